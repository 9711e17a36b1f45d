//! Cookies that Relight itself sets: for the whole site, for no script, and under `__Host-` names where it is reached by https.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::{app::App, error::Error};

/// The value of a cookie, if the browser sent it.
pub fn value(app: &App, headers: &HeaderMap, name: &str) -> Option<String> {
    CookieJar::from_headers(headers).get(&app.config.cookie(name)).map(|cookie| cookie.value().to_owned())
}

/// Lets the browser keep a cookie. `Lax`: a `Strict` one would not come back with Meta's redirect.
///
/// # Errors
/// When the value can't stand in a header.
pub fn keep(
    app: &App,
    name: &str,
    value: String,
    lives: time::Duration,
    mut response: Response,
) -> Result<Response, Error> {
    let cookie = Cookie::build((app.config.cookie(name), value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(app.config.is_https())
        .max_age(lives);
    let header = HeaderValue::from_str(&cookie.to_string()).map_err(|error| Error::Internal(error.into()))?;
    response.headers_mut().append(header::SET_COOKIE, header);
    Ok(response)
}
