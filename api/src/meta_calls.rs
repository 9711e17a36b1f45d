//! What Meta calls: somebody removed the app.

use axum::{
    extract::{Form, Path, State, rejection::FormRejection},
    http::StatusCode,
};
use domain::{Actor, Connection};
use serde::Deserialize;

use crate::{
    app::App,
    error::Error,
    limits::{Address, Door},
    request::RequestId,
};

/// What comes signed. Never logged.
#[derive(Deserialize)]
pub struct Signed {
    signed_request: String,
}

/// `POST /meta/{connection}/deauthorize`. Whoever is unknown here is a quiet success, as Meta asks for; so is a repeat.
pub async fn deauthorize(
    State(app): State<App>,
    Path(connection): Path<String>,
    from: Address,
    request: RequestId,
    form: Result<Form<Signed>, FormRejection>,
) -> Result<StatusCode, Error> {
    let connection: Connection = connection.parse().map_err(|_| Error::Missing)?;
    let Ok(Form(signed)) = form else { return Err(Error::Bad("There is no signed_request.".to_owned())) };
    match app.commands.deauthorize(connection, &signed.signed_request, &request.context(Actor::Meta)).await {
        Ok(accounts) => {
            tracing::info!(%connection, accounts, "Meta says that somebody removed the app");
            Ok(StatusCode::OK)
        }
        Err(commands::Error::NotOffered) => Err(Error::Missing),
        Err(error @ commands::Error::BadSignature) => {
            app.limits.failures.failed(Door::SignedRequest, from)?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}
