//! The OAuth callback: Meta's redirect comes in, a 303 to the attempt's result page goes out.

use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::callback::{Answer, Callback, End, Failure};
use domain::Connection;
use projections::jobs;
use secrecy::SecretString;
use serde::Deserialize;

use super::{browser::Browser, see_other};
use crate::{
    app::App, error::Error, limits::Address, query::Query, request::RequestId, sign_in::signed_in::MaybeSignedIn, words,
};

/// What the redirect brings. Its `Debug` shows neither code nor state.
#[derive(Deserialize)]
pub struct Redirected {
    #[serde(default)]
    state: String,
    code: Option<SecretString>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_reason: String,
    /// Of Facebook's login, which then sends neither a code nor an `error`.
    error_code: Option<String>,
}

impl Redirected {
    /// Source: RFC 6749, section 4.1.2.1, and Meta's `error_reason` and `error_code`.
    fn end(self) -> End {
        match self.code {
            Some(code) => End::Granted(code),
            None if self.error == "access_denied" || self.error_reason == "user_denied" => End::Cancelled,
            None => End::Failed(match (self.error_code.and_then(|code| code.parse().ok()), self.error.as_str()) {
                (Some(code), _) => Failure::Unavailable(code),
                (None, "server_error" | "temporarily_unavailable") => Failure::Server,
                (None, "invalid_scope" | "invalid_request" | "unauthorized_client" | "unsupported_response_type") => {
                    Failure::App
                }
                (None, _) => Failure::Unknown,
            }),
        }
    }
}

/// The longest `state` that can be ours.
const STATE_BYTES: usize = 64;

/// So many other accounts of the same person are checked at once after a login; the others have their daily check.
const CHECKED_AT_ONCE: usize = 50;

/// `GET /oauth/{connection}/callback`.
pub async fn callback(
    State(app): State<App>,
    from: Address,
    Path(connection): Path<String>,
    MaybeSignedIn(user): MaybeSignedIn,
    browser: Browser,
    request: RequestId,
    Query(query): Query<Redirected>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let connection: Connection = connection.parse().map_err(|_| Error::Missing)?;
    let state = query.state.trim_end_matches("#_").to_owned();
    if state.len() > STATE_BYTES {
        return Err(Error::Bad("That is no login of ours.".to_owned()));
    }
    let shared = app.clone();
    let by = user.as_ref().map(|user| user.role.authority(user.id));
    let work = async move {
        let callback = Callback {
            connection,
            state: &state,
            end: query.end(),
            browser: browser.0.as_deref(),
            user: user.map(|user| user.id),
            by,
            request: Some(request.0),
        };
        shared.commands.callback(callback).await
    };
    let answer = app.to_the_end(work).await?;
    Ok(match answer {
        Answer::Attempt { reference, to_check } => {
            for account in to_check.into_iter().take(CHECKED_AT_ONCE) {
                jobs::ask_check(app.database(), account, app.commands.clock.now()).await?;
            }
            // The result page shows the state that the login led to.
            app.until_position(app.store().head().await?).await;
            see_other(&format!("/attempts/{reference}"))
        }
        Answer::Refused(refusal) => {
            let telling = words::refusal(refusal);
            let text = telling.text.join(" ");
            return Err(Error::Login(telling.title, text, telling.code));
        }
    })
}
