//! How the errors of the rooms below become refusals.

use domain::AccountError;
use engine::StoreError;

use super::{Error, RETRY_SECONDS};
use crate::sign_in::{Users, passwords::PasswordError, user::BackendError};

impl From<commands::Error> for Error {
    fn from(error: commands::Error) -> Self {
        use commands::Error as E;
        match error {
            // An account without a right on it looks like an account that does not exist.
            E::Account(AccountError::Missing | AccountError::NoRight | AccountError::NoWidget) | E::Missing(_) => {
                Self::Missing
            }
            E::Account(AccountError::NotOwner) => Self::Forbidden("Only an owner of the account may do that."),
            E::Account(rule) => Self::Rule(sentence(&rule.to_string())),
            E::Spent(spent) => Self::Spent(sentence(&spent.to_string()), spent.seconds),
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
            StoreError::Append(error) if engine::is_away(&error) => Self::Unavailable(error.into()),
            error @ StoreError::Undecodable(_) => Self::Unreadable(error.into()),
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
            axum_login::Error::Session(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if engine::is_away(&error) { Self::Unavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

impl From<tower_sessions::session::Error> for Error {
    fn from(error: tower_sessions::session::Error) -> Self {
        Self::Internal(error.into())
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
