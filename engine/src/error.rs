//! What can go wrong with the store.

use std::sync::Arc;

use crate::away;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or answered with an error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The same, of a commit that several units shared.
    #[error(transparent)]
    Append(Arc<sqlx::Error>),
    /// More units wait for their commit than the database takes: later.
    #[error("too much is waiting to be written")]
    Busy,
    /// There is no SQLite file, and none was to be made.
    #[error("there is no such file")]
    NoFile,
    /// The SQLite file, or the rights to it, can't be made.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The schema can't be brought up to date.
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Other writers were faster, several times in a row.
    #[error("others changed the same stream at the same time")]
    Conflict,
    /// A row that the unit relies on isn't as it must be.
    #[error("a row is not as the unit needs it")]
    Refused,
    /// A stored event can't be decoded: it is damaged, or of a newer program.
    #[error("a stored event can't be read: {0}")]
    Undecodable(String),
    /// A stored row can't be read.
    #[error("a stored row can't be read: {0}")]
    Unreadable(String),
    /// A view or a reaction can't do that.
    #[error("{0}")]
    Projection(String),
    /// What is between here and the database is in the way; what, and how to go on.
    #[error("{0}")]
    Connection(String),
    /// The URL names no engine that this one runs on.
    #[error("it must begin with sqlite:// or postgres://")]
    UnknownEngine,
}

impl StoreError {
    /// Whether the database, or a type, refused what it was given, as it would again: of PostgreSQL the classes 22 (data)
    /// and 23 (integrity), of SQLite what is too big, against a constraint or of another type, and what can't be decoded.
    /// Anything else may pass by itself.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Database(error) => is_refusal(error),
            Self::Append(error) => is_refusal(error),
            Self::Undecodable(_) | Self::Unreadable(_) => true,
            _ => false,
        }
    }

    /// Whether a statement took longer than it may (PostgreSQL's `query_canceled`).
    pub(crate) fn is_timeout(&self) -> bool {
        self.is_code("57014")
    }

    /// Whether a lock was not to be had for as long as it is waited for (PostgreSQL's `lock_not_available`).
    pub(crate) fn is_locked(&self) -> bool {
        self.is_code("55P03")
    }

    fn is_code(&self, code: &str) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(cause)) => cause.code().as_deref() == Some(code),
            _ => false,
        }
    }
}

fn is_refusal(error: &sqlx::Error) -> bool {
    /// Too big, against a constraint, of another type. Source: SQLite, "Result and Error Codes".
    const OF_SQLITE: [i32; 3] = [18, 19, 20];
    match error {
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            match cause.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                Some(_) => code.starts_with("22") || code.starts_with("23"),
                None => code.parse().is_ok_and(|code: i32| OF_SQLITE.contains(&(code & 0xff))),
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

/// Why a unit was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Another unit appended to one of its streams first.
    #[error("another unit was faster")]
    Conflict,
    /// One of its guarded rows isn't as it must be ([`crate::Query::guarded`]); nothing was written.
    #[error("a row is not as the unit needs it")]
    Refused,
    /// The connection broke while committing: it may have happened or not.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(Arc<sqlx::Error>),
    /// Nothing was written.
    #[error("the database failed: {0}")]
    Database(Arc<sqlx::Error>),
    /// Nothing was written, for too many units are waiting.
    #[error("too much is waiting to be written")]
    Busy,
}

impl CommitError {
    /// Whether the database's disk is full.
    pub(crate) fn is_no_room(&self) -> bool {
        match self {
            Self::Unknown(error) | Self::Database(error) => away::is_no_room(error),
            Self::Conflict | Self::Refused | Self::Busy => false,
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Conflict,
            CommitError::Refused => Self::Refused,
            CommitError::Unknown(error) | CommitError::Database(error) => Self::Append(error),
            CommitError::Busy => Self::Busy,
        }
    }
}

/// Why a command led to no decision.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E: std::error::Error> {
    /// A rule of the domain was broken.
    #[error("{0}")]
    Rule(E),
    /// The aggregate could not be loaded.
    #[error(transparent)]
    Store(#[from] StoreError),
}
