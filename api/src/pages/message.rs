//! A page that says one thing: an error, a refusal.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

/// What is said.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub struct Message<'a> {
    /// What happened.
    pub title: &'a str,
    /// What to do.
    pub text: &'a str,
    /// The code that support knows.
    pub code: Option<u16>,
    /// The reference that support finds it by.
    pub reference: Option<&'a str>,
}

/// Renders it; should even that fail, as plain text.
pub fn page(message: &Message<'_>) -> Response {
    match super::render(message) {
        Ok(page) => page,
        Err(_) => Html(format!("{} {}", message.title, message.text)).into_response(),
    }
}
