//! What can go wrong when Meta is asked.

use std::fmt;

use chrono::TimeDelta;
use serde::Deserialize;

use crate::{
    shape::{optional_whole, some_text, text, yes},
    words,
};

/// A call that did not end well. What it shows has no URL, no token, and names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// Meta answered with an error of its own form.
    #[error("Meta answered with error {0}")]
    Answer(Box<ErrorAnswer>),
    /// The answer has a status of failure and no form that Meta documents: a proxy's page, a cut body.
    #[error("Meta answered {call} with status {status} and no error that can be read")]
    Status {
        /// Which call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// Meta calls the token invalid, and doesn't say why.
    #[error("Meta calls the token invalid and doesn't say why")]
    Invalid,
    /// The answer says success and can't be read: not JSON, wrong types, too long.
    #[error("Meta's answer to {call} can't be read: {why}")]
    Unreadable {
        /// Which call.
        call: &'static str,
        /// What is wrong with it, and where in it.
        why: String,
    },
    /// No answer.
    #[error("Meta did not answer: {0}")]
    Unreachable(&'static str),
}

impl MetaError {
    pub(crate) fn unreadable(call: &'static str, why: impl Into<String>) -> Self {
        Self::Unreadable { call, why: why.into() }
    }

    /// The error as Meta put it, if it did.
    pub fn answer(&self) -> Option<&ErrorAnswer> {
        match self {
            Self::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// The same, of a call that was made with the app's own token.
    pub(crate) fn by_app(self) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(Box::new(ErrorAnswer { by_app: true, ..*answer })),
            other => other,
        }
    }

    /// Whether Meta wants to be asked for less at once.
    pub(crate) fn wants_less(&self) -> bool {
        let words = |answer: &ErrorAnswer| answer.message.to_lowercase().contains("reduce the amount of data");
        self.answer().is_some_and(|answer| matches!(answer.code, Some(1 | -3)) && words(answer))
    }

    /// The HTTP status, if there was an answer that failed.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            Self::Status { status, .. } => Some(*status),
            Self::Invalid | Self::Unreadable { .. } | Self::Unreachable(_) => None,
        }
    }
}

/// An error as Meta puts it: `{"error":{…}}` of the Graph API, or `{"error_type",…}` of `api.instagram.com`.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// Which call it answered.
    pub call: &'static str,
    /// The HTTP status; 200 for an error inside an answer of `debug_token`.
    pub status: u16,
    /// `code`, if there is one.
    pub code: Option<i64>,
    /// `error_subcode`; in answers of `debug_token` `subcode`.
    pub subcode: Option<i64>,
    /// `is_transient`.
    pub transient: bool,
    /// `fbtrace_id`: by this Meta's support finds the call.
    pub trace: Option<String>,
    /// The call used the app's own token, so the error may be about that one and not about the person's.
    pub by_app: bool,
    /// For how long the business or account that was asked about is shut out, as the answer's header says.
    pub shut_out: Option<TimeDelta>,
    /// `message`. It may quote the token: to be read by rules, never to be shown.
    message: String,
}

impl ErrorAnswer {
    /// Meta's words, for rules to read. They may quote the token, so they must not be shown or logged.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Meta's words without what gives access or names anybody: for logs and support.
    pub fn words(&self) -> String {
        words::without_names(&self.message)
    }

    /// Reads an error of either form.
    pub(crate) fn read(call: &'static str, status: u16, body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Graph {
            error: Fields,
        }
        if let Ok(Graph { error }) = serde_json::from_slice(body) {
            let says_something = error.code.is_some() || !error.message.is_empty();
            return says_something.then(|| error.of(call, status));
        }
        let fields: Fields = serde_json::from_slice(body).ok()?;
        fields.error_type.is_some().then(|| fields.of(call, status))
    }
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}")?,
            None => f.write_str("without a code")?,
        }
        if let Some(subcode) = self.subcode {
            write!(f, "/{subcode}")?;
        }
        if let Some(trace) = &self.trace {
            write!(f, " (trace {trace})")?;
        }
        write!(f, " to {} (status {}): {}", self.call, self.status, self.words())
    }
}

impl fmt::Debug for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The fields of an error, under the names of each form.
#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default, deserialize_with = "optional_whole")]
    code: Option<i64>,
    #[serde(default, deserialize_with = "optional_whole")]
    error_subcode: Option<i64>,
    /// In answers of `debug_token`.
    #[serde(default, deserialize_with = "optional_whole")]
    subcode: Option<i64>,
    #[serde(default, deserialize_with = "yes")]
    is_transient: bool,
    #[serde(default, deserialize_with = "some_text")]
    fbtrace_id: Option<String>,
    #[serde(default, alias = "error_message", deserialize_with = "text")]
    message: String,
    #[serde(default, deserialize_with = "some_text")]
    error_type: Option<String>,
}

impl Fields {
    pub(crate) fn of(self, call: &'static str, status: u16) -> ErrorAnswer {
        // A trace id goes into events and pages: only what one can look like.
        let plain =
            |trace: &String| trace.len() <= 64 && trace.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        ErrorAnswer {
            call,
            status,
            code: self.code,
            subcode: self.error_subcode.or(self.subcode),
            transient: self.is_transient,
            trace: self.fbtrace_id.filter(plain),
            by_app: false,
            shut_out: None,
            message: self.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_error_are_read() {
        let graph = br#"{"error":{"message":"secret IGAAabc","type":"OAuthException","code":190,"error_subcode":460,
            "is_transient":false,"fbtrace_id":"AbC-1"}}"#;
        let answer = ErrorAnswer::read("me", 400, graph).expect("read");
        assert_eq!((answer.code, answer.subcode, answer.trace.as_deref()), (Some(190), Some(460), Some("AbC-1")));
        let instagram =
            br#"{"error_type":"OAuthException","code":"400","error_message":"Matching code was not found"}"#;
        let answer = ErrorAnswer::read("me", 400, instagram).expect("read");
        assert_eq!((answer.code, answer.message()), (Some(400), "Matching code was not found"));
    }

    #[test]
    fn what_is_no_error_is_not_read_as_one() {
        for body in [
            &b"<html>"[..],
            b"",
            b"[]",
            br#"{"code":1}"#,
            br#"{"error":"x"}"#,
            br#"{"error":{"code":{}}}"#,
            br#"{"error":{}}"#,
        ] {
            assert_eq!(ErrorAnswer::read("me", 500, body), None);
        }
    }

    #[test]
    fn an_error_is_read_whatever_of_it_is_missing_or_odd() {
        for (body, code, message) in [
            (
                &br#"{"error":{"message":"An unknown error has occurred.","type":"OAuthException"}}"#[..],
                0,
                "An unknown error has occurred.",
            ),
            (br#"{"error":{"message":{"text":"x"},"code":190}}"#, 190, ""),
            (br#"{"error":{"message":null,"code":"4","error_subcode":"x","is_transient":"no"}}"#, 4, ""),
            (br#"{"error_type":"OAuthException","error_message":"No code"}"#, 0, "No code"),
        ] {
            let answer = ErrorAnswer::read("me", 400, body).expect("read");
            assert_eq!((answer.code.unwrap_or(0), answer.message()), (code, message));
        }
    }

    #[test]
    fn what_wants_less_says_so_in_either_of_its_codes() {
        let wants_less = |code: i64, message: &str| {
            let body = serde_json::json!({"error": {"message": message, "code": code}}).to_string();
            MetaError::Answer(Box::new(ErrorAnswer::read("media", 500, body.as_bytes()).expect("read"))).wants_less()
        };
        let words = "Please reduce the amount of data you're asking for, then retry your request";
        assert!(wants_less(1, words) && wants_less(-3, words));
        assert!(!wants_less(1, "An unknown error occurred") && !wants_less(4, words));
    }

    #[test]
    fn an_error_shows_neither_a_token_nor_a_strange_trace() {
        let body = br#"{"error":{"message":"Malformed access token IGAAsecret","code":190,"fbtrace_id":"<b>x</b>"}}"#;
        let error = MetaError::Answer(Box::new(ErrorAnswer::read("me", 400, body).expect("read")));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("IGAA") && !shown.contains("<b>"), "{shown}");
    }
}
