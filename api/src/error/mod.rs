//! What a handler refuses, and the only place that knows status codes.
//!
//! A handler returns an [`Error`]; it becomes a response that carries a [`Problem`] and no body. The layers of
//! `routes::boundary` fill in the body: a page with the reader's navigation, or problem details (RFC 9457) for machines. A 500
//! shows a reference, never its cause; the cause is logged once, here, under the same reference.

pub mod details;
mod from;
pub mod problem;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

pub use problem::Problem;

/// Why a request is refused.
#[derive(Debug)]
pub enum Error {
    /// Nothing is at this address, or nothing that this caller may see.
    Missing,
    /// Not signed in.
    SignIn,
    /// No API key, or one that is not known.
    BadKey,
    /// Signed in, and not allowed.
    Forbidden(&'static str),
    /// The request can't be read.
    Bad(String),
    /// A rule was broken.
    Rule(String),
    /// A field of a form is wrong: the form is shown again with what was typed.
    Field(Field),
    /// A login ended without an attempt: a title, a text and the code that support knows.
    Login(String, String, Option<u16>),
    /// The same thing was changed at the same time.
    Conflict,
    /// The same request is being carried out already.
    UnderWay,
    /// Too often: seconds until the next try.
    TooMany(u64),
    /// An allowance is used up: a sentence that says which, and seconds until it is there again.
    Spent(String, u64),
    /// The request is too large.
    TooLarge,
    /// The body has another type than the one that is read here.
    MediaType,
    /// This address takes other methods.
    Method,
    /// The request's body did not arrive in time.
    Slow,
    /// More is asked for than can be written just now.
    Busy,
    /// The database can't be reached, which passes.
    Unavailable(anyhow::Error),
    /// An account's stored events can't be decoded, so no command is carried out on it.
    Unreadable(anyhow::Error),
    /// Our own fault.
    Internal(anyhow::Error),
}

/// A wrong field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub text: String,
    /// The page that shows the form.
    pub page: String,
}

/// Seconds after which a request should be repeated while the database can't be reached.
const RETRY_SECONDS: u64 = 5;

/// Seconds after which a request may be repeated about an account whose events can't be decoded: it takes another program
/// version or a repair.
const UNREADABLE_SECONDS: u64 = 300;

impl Error {
    /// Says that a refusal is about a field of a form on a page. Other errors stay as they are.
    #[must_use]
    pub fn at(self, name: &'static str, page: &str) -> Self {
        match self {
            Self::Rule(text) | Self::Bad(text) | Self::Spent(text, _) => {
                Self::Field(Field { name, text, page: page.to_owned() })
            }
            other => other,
        }
    }

    /// The status code.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::NOT_FOUND,
            Self::SignIn | Self::BadKey => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Bad(_) | Self::Login(..) => StatusCode::BAD_REQUEST,
            Self::Rule(_) | Self::Field(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict | Self::UnderWay => StatusCode::CONFLICT,
            Self::TooMany(_) | Self::Spent(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::Unavailable(_) | Self::Unreadable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany(seconds) | Self::Spent(_, seconds) => Some(*seconds),
            Self::Busy | Self::Unavailable(_) | Self::UnderWay => Some(RETRY_SECONDS),
            Self::Conflict => Some(1),
            Self::Unreadable(_) => Some(UNREADABLE_SECONDS),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::BadKey | Self::SignIn) {
            // Source: RFC 9110, section 15.5.2, and RFC 6750, section 3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"relight\""));
        }
        response.extensions_mut().insert(Problem::from(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use engine::StoreError;

    use super::*;

    #[test]
    fn a_full_queue_answers_503_with_retry_after() {
        let response = Error::from(StoreError::Busy).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn a_database_that_is_away_is_told_from_our_own_faults() {
        let away = Error::from(StoreError::Append(std::sync::Arc::new(sqlx::Error::PoolTimedOut)));
        assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
        let ours = Error::from(StoreError::Database(sqlx::Error::RowNotFound));
        assert_eq!(ours.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_scheme_that_is_asked_for() {
        let response = Error::BadKey.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().expect("a text").starts_with("Bearer"));
    }
}
