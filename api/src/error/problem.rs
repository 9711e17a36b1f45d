//! A refusal as it is shown: the same facts for a page and for problem details.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Error, Field};

/// A refusal as it is shown. Lies in a response's extensions until a layer makes a body of it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The kind, in a URN: `urn:relight:problem:` and this.
    pub kind: &'static str,
    /// What happened.
    pub title: Arc<str>,
    /// What to do.
    pub detail: Arc<str>,
    /// The code that support knows.
    pub code: Option<u16>,
    /// The reference under which the cause stands in the log.
    pub reference: Option<String>,
    /// The field of a form that is wrong.
    pub field: Option<Field>,
}

/// The code of an account whose events can't be read.
const UNREADABLE: u16 = 1086;

impl Problem {
    fn new(kind: &'static str, title: &str, detail: &str) -> Self {
        Self { kind, title: title.into(), detail: detail.into(), code: None, reference: None, field: None }
    }

    /// What a status alone says, of a layer that answered without a body.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Error::Missing,
            StatusCode::METHOD_NOT_ALLOWED => Error::Method,
            StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::MediaType,
            StatusCode::REQUEST_TIMEOUT => Error::Slow,
            status if status.is_client_error() => Error::Bad("The request can't be read.".to_owned()),
            _ => Error::Unavailable(anyhow::anyhow!("a layer failed; its own line stands above")),
        }
        .into()
    }

    /// The body for machines.
    pub fn details(&self, status: StatusCode) -> Details {
        Details {
            kind: format!("urn:relight:problem:{}", self.kind),
            title: self.title.to_string(),
            status: status.as_u16(),
            detail: self.detail.to_string(),
            code: self.code,
            reference: self.reference.clone(),
        }
    }
}

/// Problem details. Source: RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub struct Details {
    /// The kind of problem, the same for every occurrence.
    #[serde(rename = "type")]
    #[schema(example = "urn:relight:problem:not-found")]
    kind: String,
    /// What happened, in a few words.
    title: String,
    /// The status code of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What to do about it.
    detail: String,
    /// The code that support knows, as the page *Codes* lists them; only with some kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1086)]
    code: Option<u16>,
    /// Under which the cause stands in the service's log; only with faults of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reference: Option<String>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing => Self::new("not-found", "Not found", "It does not exist, or you don't have access."),
            Error::SignIn => Self::new("not-signed-in", "Sign in first", "You need to be signed in to do this."),
            Error::BadKey => Self::new(
                "key-required",
                "An API key is needed",
                "Send a valid key in the header Authorization: Bearer relight_….",
            ),
            Error::Forbidden(text) => Self::new("forbidden", "Not allowed", text),
            Error::Bad(text) => Self::new("invalid-request", "The request can't be read", &text),
            Error::Rule(text) => Self::new("rule-broken", "That can't be done", &text),
            Error::Field(field) => {
                Self { field: Some(field.clone()), ..Self::new("rule-broken", "That can't be done", &field.text) }
            }
            Error::Login(title, text, code) => Self { code, ..Self::new("login-refused", &title, &text) },
            Error::Conflict => {
                Self::new("conflict", "It was changed at the same time", "Reload to see the change, then try again.")
            }
            Error::UnderWay => Self::new(
                "under-way",
                "The same request is under way",
                "A request with this Idempotency-Key is being carried out. Send it again in a few seconds for its answer.",
            ),
            Error::TooMany(seconds) => {
                let unit = if seconds == 1 { "second" } else { "seconds" };
                let text = format!("Please wait {seconds} {unit}, then try again.");
                Self::new("too-many-requests", "Too many tries", &text)
            }
            Error::Spent(text, _) => Self::new("allowance-spent", "The limit is reached", &text),
            Error::TooLarge => Self::new("too-large", "Too large", "The request is larger than what is accepted here."),
            Error::MediaType => {
                Self::new("unsupported-media-type", "Unsupported content type", "Send application/json.")
            }
            Error::Method => Self::new("method-not-allowed", "Method not allowed", "This address takes other methods."),
            Error::Slow => Self::new("timeout", "The request took too long", "Please send it again."),
            Error::Busy => {
                Self::new("busy", "Too much at once", "Nothing was changed. Please try again in a few seconds.")
            }
            Error::Unavailable(cause) => {
                let text = "We can't reach our database. Nothing was lost. Please try again in a moment.";
                Self { reference: Some(logged(&cause)), ..Self::new("unavailable", "Back in a moment", text) }
            }
            Error::Unreadable(cause) => {
                let text = "This account's history has an entry that this version of Relight can't read, so nothing can be \
                            changed until it can. Nothing was lost, and its widgets stay. The cause stands in the log under \
                            the reference.";
                let problem = Self::new("account-unreadable", "This account can't be changed just now", text);
                Self { code: Some(UNREADABLE), reference: Some(logged(&cause)), ..problem }
            }
            Error::Internal(cause) => {
                let text = "This is our fault, and nothing was lost. Please try again in a moment.";
                Self { reference: Some(logged(&cause)), ..Self::new("internal", "Something went wrong", text) }
            }
        }
    }
}

/// Logs a cause; the answer is the reference under which it stands in the log.
fn logged(cause: &anyhow::Error) -> String {
    let reference = commands::attempt::random_text::<9>();
    tracing::error!(reference, cause = format!("{cause:#}"), "a request failed");
    reference
}
