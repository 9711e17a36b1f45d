//! What is kept of the person behind an account, as JSON.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use commands::attempt::Attempt;
use domain::account::Plan;
use projections::feeds;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::accounts::find;
use crate::{app::App, error::Error, pages::account::attempt_words, sign_in::api_key::Caller};

/// What is kept of the person behind an account. The access token is not shown to anybody.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonalData {
    /// Meta's id of the account.
    instagram_id: String,
    /// Its name.
    username: String,
    /// When a person last went through the login.
    granted_at: Option<DateTime<Utc>>,
    /// The posts that its widgets show.
    #[schema(value_type = Vec<std::collections::HashMap<String, String>>)]
    posts: Box<RawValue>,
    /// The latest logins, newest first.
    logins: Vec<Login>,
}

/// A trip to Meta's login.
#[derive(Debug, Serialize, ToSchema)]
struct Login {
    /// What pages show of it.
    reference: String,
    /// When it began.
    started_at: DateTime<Utc>,
    /// What came of it.
    outcome: String,
}

/// What is kept of the person behind an account.
#[utoipa::path(get, operation_id = "get_account_data", path = "/accounts/{id}/data", params(("id" = Uuid, Path, description = "The id.")), tag = "accounts",
    responses((status = 200, body = PersonalData)))]
pub async fn data(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<PersonalData>, Error> {
    let account = find(&app, &caller, &id).await?;
    let feed = feeds::feed(app.database(), account.id, Plan::Upgraded).await?;
    let posts = feed.map_or_else(|| "[]".to_owned(), |feed| feed.posts);
    let posts = RawValue::from_string(posts).map_err(|error| Error::Internal(error.into()))?;
    let login = |attempt: Attempt| Login {
        outcome: attempt_words(&attempt),
        started_at: attempt.started_at,
        reference: attempt.reference,
    };
    let logins = app.commands.attempts_of_account(account.id, 100).await?.into_iter().map(login).collect();
    let (instagram_id, username, granted_at) = (account.instagram_id, account.username, account.granted_at);
    Ok(Json(PersonalData { instagram_id, username, granted_at, posts, logins }))
}
