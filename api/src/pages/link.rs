//! The page of a reconnect link. Opening it changes nothing, since mail scanners open links; its one button leads on.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::{connect::Ask, link::Dead};
use projections::accounts::{self, Viewer};

use super::{browser::Browser, render_with_login, see_other};
use crate::{
    app::App,
    error::Error,
    limits::{Address, Door},
    sign_in::{Guarded, Nothing, Posted},
};

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    dead: Option<(&'static str, &'static str)>,
    username: &'a str,
    login: &'static str,
    link: &'a str,
    csrf: &'a str,
}

/// `GET /r/{link}`.
pub async fn page(
    State(app): State<App>,
    from: Address,
    Guarded(csrf): Guarded,
    Path(text): Path<String>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let link = match app.commands.read_link(&text).await? {
        Ok(link) => link,
        Err(dead) => return refused(&app, from, dead),
    };
    app.commands.link_opened(link.id).await?;
    match accounts::account_for(app.database(), link.account, Viewer::Staff).await? {
        None => dead_page(Dead::Disconnected),
        Some(account) => render_with_login(&LinkPage {
            dead: None,
            username: &account.username,
            login: account.connection.login(),
            link: &text,
            csrf: &csrf,
        }),
    }
}

/// `POST /r/{link}`.
pub async fn start(
    State(app): State<App>,
    from: Address,
    browser: Browser,
    Path(text): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let link = match app.commands.read_link(&text).await? {
        Ok(link) => link,
        Err(dead) => return refused(&app, from, dead),
    };
    let value = browser.value();
    let login = app.commands.start_by_link(&link, &value, Ask::Usual).await?;
    Browser::keep(&value, &app, see_other(login.as_str()))
}

/// A link that is none of ours counts as a guess.
fn refused(app: &App, from: Address, dead: Dead) -> Result<Response, Error> {
    if matches!(dead, Dead::Unknown) {
        app.limits.failures.failed(Door::Link, from)?;
    }
    dead_page(dead)
}

fn dead_page(dead: Dead) -> Result<Response, Error> {
    let words = match dead {
        Dead::Unknown => ("This link is not complete", "A piece of it may be missing, or it was never one of ours."),
        Dead::Expired => ("This link has run out", "Reconnect links work for 30 days."),
        Dead::WorksAgain => ("It works again: nothing to do", "Meta lets us read the posts again. You needn't log in."),
        Dead::UsedUp => ("This link has done its work", "The account has been refreshed since it was made."),
        Dead::Disconnected => {
            ("This account is not connected any more", "Its owner disconnected it, and can connect it again.")
        }
    };
    render_with_login(&LinkPage { dead: Some(words), username: "", login: "", link: "", csrf: "" })
}
