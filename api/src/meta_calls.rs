//! Meta's callbacks: deauthorization (a person removed the app) and requests to delete a person's data.

use axum::{
    Json,
    extract::{Form, Path, State, rejection::FormRejection},
    http::StatusCode,
};
use domain::{Actor, Connection};
use serde::{Deserialize, Serialize};

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

/// The login that Meta calls about, and what it signed.
fn read(connection: &str, form: Result<Form<Signed>, FormRejection>) -> Result<(Connection, Signed), Error> {
    let connection = connection.parse().map_err(|_| Error::Missing)?;
    let Ok(Form(signed)) = form else { return Err(Error::Bad("There is no signed_request.".to_owned())) };
    Ok((connection, signed))
}

/// `POST /meta/{connection}/deauthorize`. Answers 200 for an unknown person and for a repeat, too, as Meta asks for.
pub async fn deauthorize(
    State(app): State<App>,
    Path(connection): Path<String>,
    from: Address,
    request: RequestId,
    form: Result<Form<Signed>, FormRejection>,
) -> Result<StatusCode, Error> {
    let (connection, signed) = read(&connection, form)?;
    match app.commands.deauthorize(connection, &signed.signed_request, &request.context(Actor::Meta)).await {
        Ok(accounts) => {
            tracing::info!(%connection, accounts, "Meta says that a person removed the app");
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

/// What Meta shows the person: where to look, and by which code.
#[derive(Debug, Serialize)]
pub struct Deletion {
    url: String,
    confirmation_code: String,
}

/// `POST /meta/{connection}/data-deletion`. Unknown people get a code, too.
pub async fn data_deletion(
    State(app): State<App>,
    Path(connection): Path<String>,
    from: Address,
    request: RequestId,
    form: Result<Form<Signed>, FormRejection>,
) -> Result<Json<Deletion>, Error> {
    let (connection, signed) = read(&connection, form)?;
    match app.commands.delete_data(connection, &signed.signed_request, &request.context(Actor::Meta)).await {
        Ok(code) => {
            tracing::info!(%connection, code, "Meta asks to delete a person's data");
            let url = format!("{}/deletion/{code}", app.config.public_url());
            Ok(Json(Deletion { url, confirmation_code: code }))
        }
        Err(commands::Error::NotOffered) => Err(Error::Missing),
        Err(error @ commands::Error::BadSignature) => {
            app.limits.failures.failed(Door::SignedRequest, from)?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}
