//! How a notice is written: plain text and HTML that say the same.

use askama::Template;
use lettre::message::{
    Mailbox, Message, MultiPart,
    header::{Header, HeaderName, HeaderValue},
};

/// A mail, before it is addressed.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What its `Message-ID` is made of: the same again for the same mail.
    pub id: String,
    /// The subject.
    pub subject: String,
    /// What all items have in common.
    pub intro: String,
    /// One an account.
    pub items: Vec<Item>,
    /// How many accounts it is about besides.
    pub more: usize,
    /// What follows them.
    pub outro: String,
    /// Where Relight is, without a slash at the end.
    pub base: String,
}

/// What a mail says about one account.
#[derive(Debug, Clone)]
pub struct Item {
    /// The account's name.
    pub username: String,
    /// What happened, and what to do.
    pub text: String,
    /// What the button says, and where it leads.
    pub button: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Plain<'a> {
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    letter: &'a Letter,
}

/// Nobody's vacation notice should answer. Source: RFC 3834, section 5.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Letter {
    pub(super) fn message(&self, from: Mailbox, to: Mailbox) -> Result<Message, Box<dyn std::error::Error>> {
        let id = format!("<{}@{}>", self.id, from.email.domain());
        let parts =
            MultiPart::alternative_plain_html(Plain { letter: self }.render()?, Html { letter: self }.render()?);
        let message = Message::builder().from(from).to(to).subject(&self.subject);
        Ok(message.message_id(Some(id)).header(AutoSubmitted).multipart(parts)?)
    }
}
