//! The OAuth callback: Meta's redirect comes in, a 303 to the attempt's result page goes out.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use commands::callback::{Answer, Callback};
use domain::Connection;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    browser::Browser,
    message::{Message, page},
    see_other,
};
use crate::{app::App, error::Error, limits::Address, sign_in::user::MaybeSignedIn, words};

/// What the redirect brings. Its `Debug` shows neither code nor state.
#[derive(Deserialize)]
pub struct Redirected {
    #[serde(default)]
    state: String,
    code: Option<SecretString>,
}

/// The longest `state` that can be ours.
const STATE_BYTES: usize = 64;

/// `GET /oauth/{connection}/callback`.
pub async fn callback(
    State(app): State<App>,
    Address(from): Address,
    Path(connection): Path<String>,
    MaybeSignedIn(user): MaybeSignedIn,
    browser: Browser,
    Query(query): Query<Redirected>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let connection: Connection = connection.parse().map_err(|_| Error::Missing)?;
    let state = query.state.trim_end_matches("#_").to_owned();
    if state.len() > STATE_BYTES {
        return Err(Error::Bad("That is no login of ours.".to_owned()));
    }
    // In a task of its own: a browser that goes away must not stop it half-way.
    let work = tokio::spawn({
        let commands = app.commands.clone();
        async move {
            let callback = Callback {
                connection,
                state: &state,
                code: query.code,
                browser: browser.0.as_deref(),
                user: user.map(|user| user.id),
                request: None,
            };
            commands.callback(callback).await
        }
    });
    let answer = work.await.map_err(|error| Error::Internal(error.into()))??;
    Ok(match answer {
        Answer::Attempt { reference } => {
            // The result page shows the state that the login led to.
            app.until_position(app.store().head().await?).await;
            see_other(&format!("/attempts/{reference}"))
        }
        Answer::Refused(refusal) => {
            let telling = words::refusal(refusal);
            let text = telling.text.join(" ");
            let message = Message { title: &telling.title, text: &text, code: telling.code, reference: None };
            (StatusCode::BAD_REQUEST, page(&message)).into_response()
        }
    })
}
