//! Who does something, and who may.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ParseError, UserId};

/// Who caused an event. Stands in its metadata as text, such as `user:0190…` or `visitor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Somebody signed in: a customer or staff.
    User(UserId),
    /// A machine with an API key; the id is the key's.
    ApiKey(UserId),
    /// Somebody who proved to hold the Instagram login, without being signed in here.
    Visitor,
    /// Meta, by one of its callbacks.
    Meta,
    /// Relight itself: workers and timers.
    Relight,
    /// Somebody at the machine's own command line.
    Operator,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
            Self::Visitor => f.write_str("visitor"),
            Self::Meta => f.write_str("meta"),
            Self::Relight => f.write_str("relight"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().map(Self::User),
            Some(("api_key", id)) => id.parse().map(Self::ApiKey),
            None if text == "visitor" => Ok(Self::Visitor),
            None if text == "meta" => Ok(Self::Meta),
            None if text == "relight" => Ok(Self::Relight),
            None if text == "operator" => Ok(Self::Operator),
            _ => Err(ParseError),
        }
    }
}

/// In whose power a command is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// A customer: may what the rights on the account allow.
    User(UserId),
    /// An admin, the operator or the widget service: may everything that makes sense.
    Staff,
}

/// What a customer may do with one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Sees the account, refreshes it, manages its widgets.
    Developer,
    /// All of that; and decides who else may, switches the connection, disconnects.
    Owner,
}

impl Right {
    /// The right's name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for Right {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "developer" => Ok(Self::Developer),
            "owner" => Ok(Self::Owner),
            _ => Err(ParseError),
        }
    }
}
