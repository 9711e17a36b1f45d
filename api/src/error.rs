//! The only place that knows status codes. A 500 shows a reference number, never its cause; the cause is logged once,
//! here, under the same number.

use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::AccountError;
use serde_json::json;
use store::StoreError;

use crate::{
    pages::message::{Message, page},
    sign_in::{Users, passwords::PasswordError, user::BackendError},
};

/// What a handler can't do, as the caller is told it.
#[derive(Debug)]
pub enum Error {
    /// Nothing is here, or nothing that this caller may see.
    Missing,
    /// Not signed in.
    SignIn,
    /// Signed in, and not allowed.
    Forbidden(&'static str),
    /// The request can't be read.
    Bad(String),
    /// A rule was broken.
    Rule(String),
    /// Others changed the same thing at the same time.
    Conflict,
    /// Too often: seconds until the next try.
    TooMany(u64),
    /// The request is too large.
    TooLarge,
    /// More is asked for than can be written just now.
    Busy,
    /// The database can't be reached, which passes.
    Unavailable(anyhow::Error),
    /// Our own fault.
    Internal(anyhow::Error),
}

/// After how many seconds somebody should try again while the database can't be reached.
const RETRY_SECONDS: u64 = 5;

/// In which form the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page.
    Page,
    /// JSON.
    Json,
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::NOT_FOUND,
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Rule(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What happened, what to do about it, and the reference if there is one.
    fn words(&self) -> (&'static str, String, Option<String>) {
        let plain = |title, text: &str| (title, text.to_owned(), None);
        match self {
            Self::Missing => plain(
                "Nothing is here",
                "The address may be mistyped, or what was here belongs to somebody else or is gone.",
            ),
            Self::SignIn => plain("Sign in first", "This is only shown to people who are signed in."),
            Self::Forbidden(text) => plain("That is not allowed", text),
            Self::Bad(text) => plain("That can't be read", text),
            Self::Rule(text) => plain("That can't be done", text),
            Self::Conflict => plain(
                "Somebody was faster",
                "The same thing was changed at the same time. Look at it again, then retry.",
            ),
            Self::TooMany(seconds) => {
                plain("Too many tries", &format!("Please wait {seconds} seconds, then try again."))
            }
            Self::TooLarge => plain("That is too large", "What was sent is larger than what is taken here."),
            Self::Busy => plain("Too much at once", "Nothing was changed. Please try again in a few seconds."),
            Self::Unavailable(cause) => {
                let text = "We can't reach our database just now. Nothing was lost. Please try again in a moment.";
                ("Back in a moment", text.to_owned(), Some(logged(cause)))
            }
            Self::Internal(cause) => {
                let text = "It is our fault, and nothing was lost. Please try again in a moment.";
                ("Something went wrong", text.to_owned(), Some(logged(cause)))
            }
        }
    }

    /// The answer, in the form that the caller reads.
    pub fn answer(self, form: Form) -> Response {
        let status = self.status();
        let (title, text, reference) = self.words();
        let mut response = match form {
            Form::Json => {
                let body = json!({"error": {"message": title, "detail": text, "reference": reference}});
                (status, Json(body)).into_response()
            }
            Form::Page => {
                let message = Message { title, text: &text, code: None, reference: reference.as_deref() };
                (status, page(&message)).into_response()
            }
        };
        let retry = match self {
            Self::TooMany(seconds) => Some(seconds),
            Self::Busy | Self::Unavailable(_) => Some(RETRY_SECONDS),
            _ => None,
        };
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Logs a cause; the answer is the reference under which it stands in the log.
fn logged(cause: &anyhow::Error) -> String {
    let reference = commands::attempt::random_text::<9>();
    tracing::error!(reference, cause = format!("{cause:#}"), "a request failed");
    reference
}

/// A page for answers of layers below us that are an error and say nothing, such as the sessions' without a database.
pub async fn explain(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let silent = response.status() == StatusCode::INTERNAL_SERVER_ERROR
        && !response.headers().contains_key(header::CONTENT_TYPE);
    if silent { Error::Unavailable(anyhow::anyhow!("a layer failed; see above")).into_response() } else { response }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.answer(Form::Page)
    }
}

/// An error that is told as JSON.
#[derive(Debug)]
pub struct JsonError(pub Error);

impl<E: Into<Error>> From<E> for JsonError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for JsonError {
    fn into_response(self) -> Response {
        self.0.answer(Form::Json)
    }
}

impl From<commands::Error> for Error {
    fn from(error: commands::Error) -> Self {
        use commands::Error as E;
        match error {
            // Whose account it is, is nobody else's business: no right looks like no account.
            E::Account(AccountError::Missing | AccountError::NoRight | AccountError::NoWidget) | E::Missing(_) => {
                Self::Missing
            }
            E::Account(AccountError::NotOwner) => Self::Forbidden("Only an owner of the account may do that."),
            E::Account(rule) => Self::Rule(sentence(&rule.to_string())),
            E::Token(rule) => Self::Rule(sentence(&rule.to_string())),
            E::BadSignature => Self::Bad("The signature is not Meta's.".to_owned()),
            E::NotOffered => Self::Rule("This login is not set up here.".to_owned()),
            E::Store(error) => error.into(),
            E::Sealed(_) => Self::Internal(error.into()),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::Busy => Self::Busy,
            StoreError::Database(error) => error.into(),
            StoreError::Append(error) if is_away(&error) => Self::Unavailable(error.into()),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooMany => Self::TooMany(RETRY_SECONDS),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Store(error) => error.into(),
            BackendError::Password(error) => error.into(),
        }
    }
}

impl From<axum_login::Error<Users>> for Error {
    fn from(error: axum_login::Error<Users>) -> Self {
        match error {
            axum_login::Error::Backend(error) => error.into(),
            error @ axum_login::Error::Session(_) => Self::Internal(error.into()),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) { Self::Unavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

/// Whether the database can't be reached, which passes.
fn is_away(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    matches!(error, E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_meets_a_full_queue_is_told_when_to_come_again() {
        for form in [Form::Page, Form::Json] {
            let response = Error::from(StoreError::Busy).answer(form);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }

    #[test]
    fn a_database_that_is_away_is_told_from_our_own_faults() {
        let away = Error::from(StoreError::Append(std::sync::Arc::new(sqlx::Error::PoolTimedOut)));
        assert_eq!(away.answer(Form::Page).status(), StatusCode::SERVICE_UNAVAILABLE);
        let ours = Error::from(StoreError::Database(sqlx::Error::RowNotFound));
        assert_eq!(ours.answer(Form::Page).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
