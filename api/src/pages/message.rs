//! A page that says one thing: an error, a refusal.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::Me;
use crate::error::Problem;

/// What is said.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub(super) struct Message<'a> {
    me: Option<Me>,
    csrf: String,
    title: &'a str,
    text: &'a str,
    code: Option<u16>,
    reference: Option<&'a str>,
    support: Option<&'a str>,
    /// Whether signing in leads on.
    sign_in: bool,
}

impl<'a> Message<'a> {
    /// A page that is no error.
    pub(super) fn plain(title: &'a str, text: &'a str) -> Self {
        let csrf = String::new();
        Self { me: None, csrf, title, text, code: None, reference: None, support: None, sign_in: false }
    }
}

/// A refusal as a page, with the navigation of the person who is signed in (and the token of their forms), and a link to
/// support where there is a reference to give it. Should it not render, a plain text.
pub fn page(problem: &Problem, signed_in: Option<(Me, String)>, support: Option<&str>) -> Response {
    let (me, csrf) = signed_in.map_or((None, String::new()), |(me, csrf)| (Some(me), csrf));
    let reference = problem.reference.as_deref();
    let support = support.filter(|_| reference.is_some());
    let sign_in = problem.kind == "not-signed-in";
    let (title, text, code) = (&problem.title, &problem.detail, problem.code);
    let message = Message { me, csrf, title, text, code, reference, support, sign_in };
    super::render(&message).unwrap_or_else(|_| Html(format!("{} {}", problem.title, problem.detail)).into_response())
}
