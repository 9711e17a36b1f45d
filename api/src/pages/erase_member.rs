//! Erasing a person who signs in, whose address is asked for twice.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Deserialize;
use tower_sessions::Session;

use super::{Me, render, see_other};
use crate::{
    app::App,
    error::Error,
    sign_in::{
        Guarded, Posted, erase,
        flash::{self, Form},
        signed_in::{Acting, SignedIn},
    },
};

const PAGE: &str = "/data/erase";

#[derive(Template)]
#[template(path = "erase_member.html")]
struct EraseMemberPage {
    me: Me,
    csrf: String,
    form: Form,
}

/// `GET /data/erase`.
pub async fn page(SignedIn(user): SignedIn, Guarded(csrf): Guarded, session: Session) -> Result<Response, Error> {
    render(&EraseMemberPage { me: Me::from(&user), csrf, form: Form::take(&session).await? })
}

/// The person's address, typed twice.
#[derive(Debug, Deserialize)]
pub struct Typed {
    #[serde(default)]
    email: String,
    #[serde(default)]
    again: String,
}

/// `POST /data/erase`.
pub async fn erase(
    State(app): State<App>,
    Acting { context, .. }: Acting,
    session: Session,
    Posted(form): Posted<Typed>,
) -> Result<Response, Error> {
    if form.email.trim() != form.again.trim() {
        return Err(Error::Bad("The two addresses differ.".to_owned()).at("again", PAGE));
    }
    erase::by_address(&app, &form.email, &context).await.map_err(|error| error.at("email", PAGE))?;
    app.until_position(app.store().head().await?).await;
    flash::say(&session, "Erased.").await?;
    Ok(see_other("/data"))
}
