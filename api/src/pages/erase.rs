//! Erasing an account, which is asked twice; and how far the deletion of a code is.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::erase::AskedBy;
use serde::Deserialize;

use super::{Me, account::seen, account_actions::acted_on, message::Message, render, see_other};
use crate::{
    app::App,
    error::Error,
    limits::Address,
    sign_in::{
        Guarded, Posted,
        signed_in::{Acting, SignedIn},
    },
};

#[derive(Template)]
#[template(path = "erase.html")]
struct ErasePage {
    me: Me,
    csrf: String,
    id: String,
    username: String,
    widgets: i64,
    refused: bool,
}

/// `GET /accounts/{id}/erase`.
pub async fn page(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let account = seen(&app, &user, &id).await?;
    let widgets = account.free_widgets + account.upgraded_widgets;
    let (me, id) = (Me::from(&user), account.id.to_string());
    render(&ErasePage { me, csrf, id, username: account.username, widgets, refused: false })
}

/// The account's name, typed.
#[derive(Debug, Deserialize)]
pub struct Typed {
    #[serde(default)]
    name: String,
}

/// `POST /accounts/{id}/erase`.
pub async fn erase(
    State(app): State<App>,
    Acting { user, context }: Acting,
    Guarded(csrf): Guarded,
    Path(id): Path<String>,
    Posted(form): Posted<Typed>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let shown = seen(&app, &user, &id).await?;
    let typed = form.name.trim().trim_start_matches('@');
    if typed.is_empty() || typed != shown.username {
        let widgets = shown.free_widgets + shown.upgraded_widgets;
        let me = Me::from(&user);
        return render(&ErasePage { me, csrf, id, username: shown.username, widgets, refused: true });
    }
    let code = app.commands.erase_account(account, AskedBy::Staff, &context).await?;
    app.until_position(app.store().head().await?).await;
    Ok(see_other(&format!("/deletion/{code}")))
}

/// `GET /deletion/{code}`: for the person whom Meta gave the code.
pub async fn deletion(State(app): State<App>, from: Address, Path(code): Path<String>) -> Result<Response, Error> {
    app.limits.login(from)?;
    let Some(erasure) = app.commands.erasure(&code).await? else { return Err(Error::Missing) };
    let day = erasure.asked_at.format("%-d %B %Y");
    let (title, text) = match (erasure.ended_at, erasure.accounts) {
        (None, _) => (
            "Your data is being deleted",
            format!("The deletion that was asked for on {day} is under way. It usually takes less than a minute."),
        ),
        (Some(_), 0) => (
            "There is nothing of you here",
            format!("When the deletion was asked for on {day}, we had no data that this login brought."),
        ),
        (Some(_), _) if !erasure.of_accounts => (
            "Your data is deleted",
            format!(
                "What your login brought was asked to be deleted on {day} and is deleted: the access token, who you are at Facebook, \
                 and the logins. The account and its posts belong to the Page, which others manage too."
            ),
        ),
        (Some(_), _) => (
            "Your data is deleted",
            format!(
                "What was asked to be deleted on {day} is deleted: the access token, the profile, the stored posts, and the \
                 logins. Backups are overwritten within the time that the operator's privacy policy names."
            ),
        ),
    };
    render(&Message::plain(title, &text))
}
