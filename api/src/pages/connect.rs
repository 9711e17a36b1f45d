//! Connect an account: which login, and off to it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::connect::Ask;
use domain::Connection;

use super::{Me, browser::Browser, render_with_login, see_other};
use crate::{
    app::App,
    error::Error,
    limits::Address,
    sign_in::{Guarded, Nothing, Posted, signed_in::SignedIn},
};

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    me: Me,
    csrf: String,
    consumer: bool,
    business: bool,
}

/// `GET /connect`.
pub async fn page(State(app): State<App>, SignedIn(user): SignedIn, Guarded(csrf): Guarded) -> Result<Response, Error> {
    let (consumer, business) = (app.commands.offers(Connection::Consumer), app.commands.offers(Connection::Business));
    render_with_login(&ConnectPage { me: Me::from(&user), csrf, consumer, business })
}

/// `POST /connect/{connection}`.
pub async fn start(
    State(app): State<App>,
    from: Address,
    SignedIn(user): SignedIn,
    browser: Browser,
    Path(connection): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let connection: Connection = connection.parse().map_err(|_| Error::Missing)?;
    let value = browser.value();
    let login = app.commands.start_connect(user.id, connection, &value, Ask::Usual).await?;
    Browser::keep(&value, &app, see_other(login.as_str()))
}
