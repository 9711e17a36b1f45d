//! What somebody can set for themselves.

use askama::Template;
use axum::{extract::State, response::Response};
use projections::accounts::has_upgraded;
use serde::Deserialize;
use tower_sessions::Session;

use super::{Me, render, see_other};
use crate::{
    app::App,
    error::Error,
    sign_in::{Guarded, Posted, Users, flash, mails::Mails, signed_in::SignedIn},
    words,
};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    me: Me,
    csrf: String,
    said: Option<String>,
    mails: Mails,
    has_mail_server: bool,
    /// Whether they have an upgraded widget: mails are a part of that plan.
    has_upgraded: bool,
    /// "14, 7 and 1".
    remind_days: Option<String>,
    refused: Option<String>,
}

/// `GET /settings`.
pub async fn page(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    session: Session,
) -> Result<Response, Error> {
    let users = Users::new(app.database().clone());
    render(&SettingsPage {
        me: Me::from(&user),
        csrf,
        said: flash::said(&session).await?,
        mails: users.mails(user.id).await?.ok_or(Error::SignIn)?,
        has_mail_server: app.mailer.is_some(),
        has_upgraded: has_upgraded(app.database(), user.id).await?,
        remind_days: words::list_of(&app.config.token.remind_days),
        refused: app.commands.refused_address(user.id).await?,
    })
}

/// The ticked boxes.
#[derive(Debug, Deserialize)]
pub struct Form {
    #[serde(default)]
    as_owner: Option<String>,
    #[serde(default)]
    as_developer: Option<String>,
}

/// `POST /settings`.
pub async fn save(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    session: Session,
    Posted(form): Posted<Form>,
) -> Result<Response, Error> {
    let mails = Mails { mails_as_owner: form.as_owner.is_some(), mails_as_developer: form.as_developer.is_some() };
    Users::new(app.database().clone()).set_mails(user.id, mails).await?;
    flash::say(&session, "Saved.").await?;
    Ok(see_other("/settings"))
}
