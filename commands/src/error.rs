//! Why a use case could not be carried out. What a person meets at a login is no error but an [`crate::Outcome`].

use domain::{AccountError, TokenError};
use engine::{ExecuteError, StoreError};

/// Why a use case could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the account was broken.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A rule of the token was broken.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is nothing of that id.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// No app is configured for this login.
    #[error("no app is configured for this login")]
    NotOffered,
    /// As many changes were made as are taken on one day.
    #[error("{0}")]
    Spent(crate::allowance::Spent),
    /// What claims to come from Meta isn't signed by it.
    #[error("the signature is not Meta's")]
    BadSignature,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is sealed can't be opened: no such key, or it was tampered with.
    #[error("what is sealed can't be opened: {0}")]
    Sealed(&'static str),
}

impl From<ExecuteError<AccountError>> for Error {
    fn from(error: ExecuteError<AccountError>) -> Self {
        match error {
            ExecuteError::Rule(rule) => Self::Account(rule),
            ExecuteError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ExecuteError<TokenError>> for Error {
    fn from(error: ExecuteError<TokenError>) -> Self {
        match error {
            ExecuteError::Rule(rule) => Self::Token(rule),
            ExecuteError::Store(error) => Self::Store(error),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
