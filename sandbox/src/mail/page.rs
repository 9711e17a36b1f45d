//! The pages to read mails on.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::Mail;
use crate::{consent::render, server::Meta};

#[derive(Template)]
#[template(path = "mails.html")]
struct MailsPage {
    is_down: bool,
    rows: Vec<(usize, Mail)>,
}

/// How many mails the list shows, the latest first.
const LISTED: usize = 1_000;

/// `GET /mails`.
pub(crate) async fn list(State(meta): State<Meta>) -> Response {
    let world = meta.world();
    let rows = world.post.mails.iter().cloned().enumerate().rev().take(LISTED).collect();
    render(&MailsPage { is_down: world.post.is_down, rows })
}

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage {
    mail: Mail,
    /// The text in pieces: words, and addresses to follow.
    lines: Vec<Vec<(String, bool)>>,
}

/// `GET /mails/{number}`.
pub(crate) async fn one(State(meta): State<Meta>, Path(number): Path<usize>) -> Response {
    let mail = meta.world().post.mails.get(number).cloned();
    match mail {
        Some(mail) => {
            let piece = |word: &str| (word.to_owned(), word.starts_with("http://") || word.starts_with("https://"));
            let lines = mail.text.lines().map(|line| line.split_inclusive(' ').map(piece).collect()).collect();
            render(&MailPage { mail, lines })
        }
        None => (StatusCode::NOT_FOUND, "There is no such mail.").into_response(),
    }
}
