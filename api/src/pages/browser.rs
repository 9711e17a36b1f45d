//! A browser's own cookie: a random value by which the callback knows that it is the browser that set out.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::{app::App, error::Error};

const NAME: &str = "relight_browser";
/// Longer than a login may take, so that a page left open over lunch still works.
const LIVES: time::Duration = time::Duration::days(30);

/// The browser's value, if it has one.
pub struct Browser(pub Option<String>);

impl FromRequestParts<App> for Browser {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let jar = CookieJar::from_headers(&parts.headers);
        let value = jar.get(&app.config.cookie(NAME)).map(|cookie| cookie.value().to_owned());
        Ok(Self(value.filter(|value| value.len() == 43)))
    }
}

impl Browser {
    /// The browser's value, or a new one.
    pub fn value(&self) -> String {
        self.0.clone().unwrap_or_else(commands::attempt::random_text::<32>)
    }

    /// Lets the browser keep its value. `Lax`: a `Strict` cookie would not come back with Meta's redirect.
    ///
    /// # Errors
    /// Never: the value is plain text.
    pub fn keep(value: &str, app: &App, mut response: Response) -> Result<Response, Error> {
        let cookie = Cookie::build((app.config.cookie(NAME), value.to_owned()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(app.config.is_https())
            .max_age(LIVES);
        let header = HeaderValue::from_str(&cookie.to_string()).map_err(|error| Error::Internal(error.into()))?;
        response.headers_mut().append(header::SET_COOKIE, header);
        Ok(response)
    }
}
