//! What no input may hold: NUL characters, which PostgreSQL's texts can't, bytes in a path that are no UTF-8, and instants
//! outside of the years 1 to 9999, which RFC 3339 can't write.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Datelike, Utc};
use http_body_util::LengthLimitError;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::error::Error;

/// Refuses a path or a query with a NUL character (`%00` is the only way to write one in a URI: RFC 3986, section 2.1), and
/// a path that is no UTF-8.
pub async fn refuse_unreadable(request: Request, next: Next) -> Response {
    let uri = request.uri();
    if percent_decode_str(uri.path()).decode_utf8().is_err() {
        return path_is_no_text().into_response();
    }
    if has_encoded_nul(uri.path().as_bytes()) || uri.query().is_some_and(|query| has_encoded_nul(query.as_bytes())) {
        return nul().into_response();
    }
    next.run(request).await
}

/// Reads a body of at most so many bytes.
///
/// # Errors
/// [`Error::TooLarge`] beyond them; [`Error::Bad`] when it can't be read to its end.
pub async fn body(body: Body, bytes: usize) -> Result<Bytes, Error> {
    to_bytes(body, bytes).await.map_err(|error| {
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            if error.is::<LengthLimitError>() {
                return Error::TooLarge;
            }
            cause = error.source();
        }
        Error::Bad("The body can't be read to its end.".to_owned())
    })
}

/// Refuses a form with a NUL character.
///
/// # Errors
/// [`Error::Bad`].
pub fn form_without_nul(body: &[u8]) -> Result<(), Error> {
    if body.contains(&0) || has_encoded_nul(body) { Err(nul()) } else { Ok(()) }
}

/// Refuses JSON with a NUL character in a text or a key.
///
/// # Errors
/// [`Error::Bad`].
pub fn json_without_nul(value: &Value) -> Result<(), Error> {
    let text = |text: &str| if text.contains('\0') { Err(nul()) } else { Ok(()) };
    match value {
        Value::String(string) => text(string),
        Value::Array(values) => values.iter().try_for_each(json_without_nul),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            text(key)?;
            json_without_nul(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Whether a text can be the name of an event's type.
pub fn is_event_type(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn has_encoded_nul(text: &[u8]) -> bool {
    text.windows(3).any(|three| three == b"%00")
}

/// What a path is refused with that is no UTF-8.
pub fn path_is_no_text() -> Error {
    Error::Bad("The path must be UTF-8.".to_owned())
}

fn nul() -> Error {
    Error::Bad("NUL characters are not accepted.".to_owned())
}

/// An instant from outside: RFC 3339, in the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl std::str::FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let instant = DateTime::parse_from_rfc3339(text);
        let instant = instant.map_err(|_| "must be a time like 2026-01-31T12:00:00Z".to_owned())?.to_utc();
        if (1..=9999).contains(&instant.year()) {
            Ok(Self(instant))
        } else {
            Err("must be in the years 1 to 9999".into())
        }
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instants_that_no_database_can_keep_are_refused() {
        for bad in ["+262142-12-31T23:59:59.999999Z", "-262143-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "x", ""] {
            assert!(bad.parse::<Instant>().is_err(), "{bad}");
        }
        // The offset may lead out of the years.
        assert!("9999-12-31T23:59:59-01:00".parse::<Instant>().is_err());
        assert!("2026-11-26T01:02:03+01:00".parse::<Instant>().is_ok());
    }

    #[test]
    fn nul_is_found_however_it_is_written() {
        assert!(form_without_nul(b"a=%00").is_err() && form_without_nul(b"a=\0").is_err());
        assert!(form_without_nul(b"a=%2500&b=100%").is_ok());
        assert!(json_without_nul(&json!({"a": ["x\0"]})).is_err() && json_without_nul(&json!({"\0": 1})).is_err());
        assert!(json_without_nul(&json!({"a": "\\u0000"})).is_ok());
    }
}
