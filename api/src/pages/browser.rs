//! A browser's own cookie: a random value by which the callback knows that it is the browser that set out.

use axum::{extract::FromRequestParts, http::request::Parts, response::Response};

use crate::{app::App, cookie, error::Error};

const NAME: &str = "relight_browser";
/// Longer than a login may take, so that a page left open over lunch still works.
const LIVES: time::Duration = time::Duration::days(30);

/// The browser's value, if it has one.
pub struct Browser(pub Option<String>);

impl FromRequestParts<App> for Browser {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let value = cookie::value(app, &parts.headers, NAME);
        Ok(Self(value.filter(|value| value.len() == 43)))
    }
}

impl Browser {
    /// The browser's value, or a new one.
    pub fn value(&self) -> String {
        self.0.clone().unwrap_or_else(commands::attempt::random_text::<32>)
    }

    /// Lets the browser keep its value.
    ///
    /// # Errors
    /// Never: the value is plain text.
    pub fn keep(value: &str, app: &App, response: Response) -> Result<Response, Error> {
        cookie::keep(app, NAME, value.to_owned(), LIVES, response)
    }
}
