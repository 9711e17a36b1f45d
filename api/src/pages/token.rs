//! The access token page: for anybody who holds the login, without a sign-in.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::connect::Ask;
use domain::Connection;
use projections::{
    accounts::{self, Viewer},
    widgets,
};
use serde::Deserialize;

use super::{browser::Browser, render_with_login, see_other};
use crate::{
    app::App,
    error::Error,
    limits::Address,
    query::Query,
    sign_in::{Guarded, Nothing, Posted},
    words,
};

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage<'a> {
    csrf: String,
    uses: Option<&'static str>,
    consumer: bool,
    business: bool,
    support: Option<&'a str>,
}

/// What the page is asked for.
#[derive(Debug, Deserialize)]
pub struct TokenQuery {
    #[serde(default)]
    widget: String,
}

/// `GET /token`.
pub async fn page(
    State(app): State<App>,
    Guarded(csrf): Guarded,
    Query(query): Query<TokenQuery>,
) -> Result<Response, Error> {
    let (consumer, business) = (app.commands.offers(Connection::Consumer), app.commands.offers(Connection::Business));
    let uses = uses(&app, &query.widget).await?.filter(|_| consumer && business).map(words::button);
    let support = app.config.support.url.as_ref().map(url::Url::as_str);
    render_with_login(&TokenPage { csrf, uses, consumer, business, support })
}

/// Which login a widget's account uses. An unknown widget says nothing: the page helps without it.
async fn uses(app: &App, widget: &str) -> Result<Option<Connection>, Error> {
    let Ok(id) = widget.parse() else { return Ok(None) };
    let Some(widget) = widgets::widget(app.database(), id).await? else { return Ok(None) };
    let account = accounts::account_for(app.database(), widget.account, Viewer::Staff).await?;
    Ok(account.map(|account| account.connection))
}

/// `POST /token/{connection}`.
pub async fn start(
    State(app): State<App>,
    from: Address,
    browser: Browser,
    Path(connection): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let connection: Connection = connection.parse().map_err(|_| Error::Missing)?;
    app.limits.login(from)?;
    let value = browser.value();
    let login = app.commands.start_public(connection, &value, Ask::Usual).await?;
    Browser::keep(&value, &app, see_other(login.as_str()))
}
