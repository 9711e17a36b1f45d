//! Forms: from our own pages only. Public ones prove it by where the browser says it comes from, those of signed-in people
//! by a token of their session too.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use axum_login::AuthSession;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use tower_sessions::Session;

use super::{Users, flash::Typed};
use crate::{app::App, error::Error, input};

const CSRF: &str = "csrf";
/// The largest form: one with a thousand ticked boxes.
const FORM_BYTES: usize = 64 * 1024;

/// A form without fields: a button.
#[derive(Debug, serde::Deserialize)]
pub struct Nothing {}

/// The fields of a form that came from our own page.
pub struct Posted<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        comes_from_us(request.headers(), &app.config.http.public_url)?;
        let (parts, body) = request.into_parts();
        let body = input::body(body, FORM_BYTES).await?;
        input::form_without_nul(&body)?;
        if let Some(typed) = parts.extensions.get::<Typed>() {
            typed.read(&body);
        }
        if is_signed_in(&parts) {
            let session = parts.extensions.get::<Session>().ok_or(Error::SignIn)?;
            let expected: Option<String> = session.get(CSRF).await?;
            let given = url::form_urlencoded::parse(&body).find(|(name, _)| name == CSRF).map(|(_, value)| value);
            let same = expected.zip(given).is_some_and(|(a, b)| bool::from(a.as_bytes().ct_eq(b.as_bytes())));
            if !same {
                return Err(Error::Forbidden("This form is from an older page. Go back, reload, and try again."));
            }
        }
        serde_html_form::from_bytes(&body)
            .map(Self)
            .map_err(|_| Error::Bad("A field of the form is missing or wrong.".to_owned()))
    }
}

/// The token that forms of this session must carry; empty where nobody is signed in.
pub struct Guarded(pub String);

impl FromRequestParts<App> for Guarded {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        if !is_signed_in(parts) {
            return Ok(Self(String::new()));
        }
        let session = parts.extensions.get::<Session>().ok_or(Error::SignIn)?;
        token(session).await.map(Self)
    }
}

/// The token of a session; made when it is first asked for. A new session has a new one.
///
/// # Errors
/// When the database fails.
pub async fn token(session: &Session) -> Result<String, Error> {
    if let Some(token) = session.get(CSRF).await? {
        return Ok(token);
    }
    let token = commands::attempt::random_text::<24>();
    session.insert(CSRF, &token).await?;
    Ok(token)
}

fn is_signed_in(parts: &Parts) -> bool {
    parts.extensions.get::<AuthSession<Users>>().is_some_and(|session| session.user.is_some())
}

/// Browsers say with each form from where it comes; what says nothing is no browser, and carries no cookies of one.
fn comes_from_us(headers: &HeaderMap, public_url: &url::Url) -> Result<(), Error> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match text(header::ORIGIN) {
        Some(origin) => origin == public_url.origin().ascii_serialization(),
        None => matches!(text(header::HeaderName::from_static("sec-fetch-site")), None | Some("same-origin" | "none")),
    };
    if ours { Ok(()) } else { Err(Error::Forbidden("This form was sent from another site.")) }
}
