//! JSON bodies.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::BODY_BYTES;
use crate::{app::App, error::Error, input};

/// How much of what the reader of JSON says is passed on, in characters: it may repeat what was sent.
const MESSAGE_CHARACTERS: usize = 200;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &App) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(Error::MediaType);
        }
        let body = input::body(request.into_body(), BODY_BYTES).await?;
        let bad = |error: serde_json::Error| {
            let said: String = error.to_string().chars().take(MESSAGE_CHARACTERS).collect();
            Error::Bad(format!("The body: {said}."))
        };
        let value: Value = serde_json::from_slice(&body).map_err(bad)?;
        if !value.is_object() {
            // serde would read a list as the fields in their order, which the description doesn't say.
            return Err(Error::Bad("The body must be a JSON object.".to_owned()));
        }
        input::json_without_nul(&value)?;
        serde_json::from_value(value).map(Self).map_err(bad)
    }
}

/// `application/json`, also with parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
