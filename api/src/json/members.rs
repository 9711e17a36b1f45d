//! People who sign in, as JSON.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Body;
use crate::{
    app::App,
    error::Error,
    sign_in::{api_key::Caller, erase},
};

/// A person who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The address that they sign in with.
    #[schema(max_length = 254)]
    email: String,
}

/// Erases a person who signs in: their sign-in, sessions, rights on accounts, invitations and mails are deleted for good. Accounts
/// stay with everybody else who has a right on them. The journal keeps its events, which hold no personal data.
#[utoipa::path(post, operation_id = "erase_member", path = "/members/erasure", tag = "members", request_body = Member,
    responses((status = 204, description = "They are erased.")))]
pub async fn erase(State(app): State<App>, caller: Caller, Body(member): Body<Member>) -> Result<StatusCode, Error> {
    erase::by_address(&app, &member.email, &caller.context()).await?;
    Ok(StatusCode::NO_CONTENT)
}
