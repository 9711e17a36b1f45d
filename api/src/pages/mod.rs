//! The pages. Handlers parse, call one use case or query, and render.

pub mod account;
pub mod account_actions;
pub mod accounts;
pub mod assets;
pub mod attempt;
pub mod attempt_actions;
pub mod browser;
pub mod clocks;
pub mod connect;
pub mod data;
pub mod erase;
pub mod erase_member;
pub mod history;
pub mod invitations;
pub mod link;
pub mod live;
pub mod login;
pub mod message;
mod notices;
pub mod oauth;
pub mod operations;
pub mod settings;
pub mod staff;
pub mod token;
pub mod webhooks;
pub mod widget;
pub mod widgets;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use crate::{
    error::Error,
    sign_in::{Role, User},
};

/// Who is signed in, as the navigation shows it.
#[derive(Debug, Clone)]
pub struct Me {
    /// The address.
    pub email: String,
    /// Whether the pages for staff are shown.
    pub is_staff: bool,
    /// Whether those for admins are.
    pub is_admin: bool,
}

impl From<&User> for Me {
    fn from(user: &User) -> Self {
        Self { email: user.email.clone(), is_staff: user.role.is_staff(), is_admin: user.role == Role::Admin }
    }
}

/// What a page may load and where its forms may lead.
const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
/// The same for pages that start a login: with `form-action`, browsers would stop the redirect to Meta.
const LOGIN_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self'; \
                            connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Renders a page.
///
/// # Errors
/// [`Error::Internal`] if it can't be rendered.
pub fn render(page: &impl Template) -> Result<Response, Error> {
    with_policy(page, POLICY)
}

/// Renders a page with buttons that lead to Meta's login.
///
/// # Errors
/// [`Error::Internal`] if it can't be rendered.
pub fn render_with_login(page: &impl Template) -> Result<Response, Error> {
    with_policy(page, LOGIN_POLICY)
}

fn with_policy(page: &impl Template, policy: &'static str) -> Result<Response, Error> {
    let html = page.render().map_err(|error| Error::Internal(error.into()))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Html(html)).into_response())
}

/// 303: the answer to a form is another page.
pub fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => Error::Bad("That address can't be followed.".to_owned()).into_response(),
    }
}

/// The start of an id, enough to tell rows apart. The first half of a version 7 UUID is time: the end is what differs.
pub fn short(id: &str) -> String {
    id.rsplit('-').next().unwrap_or(id).to_owned()
}
