//! A mail server that delivers nothing: it keeps what it takes, to be read at `/mails`.

mod page;
mod smtp;

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};

pub(crate) use page::{list, one};
pub(crate) use smtp::serve;

/// How many mails are kept.
const KEPT: usize = 10_000;

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// When, by the sandbox's clock.
    pub at: DateTime<Utc>,
    /// For whom, as the sender told the server.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its `Message-ID`, without brackets.
    pub message_id: String,
    /// What it says in plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// What the mail server has, and how it behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostOffice {
    /// The mails, oldest first.
    pub mails: VecDeque<Mail>,
    /// Addresses that it refuses.
    pub refused: BTreeSet<String>,
    /// It answers nobody.
    pub is_down: bool,
    /// So many times it takes a mail and breaks the connection before it says so.
    #[serde(skip)]
    pub loses_answers: u32,
}

impl PostOffice {
    fn take(&mut self, at: DateTime<Utc>, to: Vec<String>, bytes: &[u8]) {
        let Some(mail) = MessageParser::default().parse(bytes) else { return };
        let of =
            |part: Option<std::borrow::Cow<'_, str>>| part.map(|text| text.replace("\r\n", "\n")).unwrap_or_default();
        self.mails.push_back(Mail {
            at,
            to,
            subject: mail.subject().unwrap_or_default().to_owned(),
            message_id: mail.message_id().unwrap_or_default().to_owned(),
            text: of(mail.body_text(0)),
            html: of(mail.body_html(0)),
        });
        while self.mails.len() > KEPT {
            self.mails.pop_front();
        }
    }
}
