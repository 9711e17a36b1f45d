//! How an account is connected.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// How an account is connected: through which of Meta's two logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// Instagram Login: the person logs in at Instagram.
    Consumer,
    /// Facebook Login: the person logs in at Facebook and has a role on the account's Page.
    Business,
}

impl Connection {
    /// Both, in the order in which pages offer them.
    pub const ALL: [Self; 2] = [Self::Consumer, Self::Business];

    /// The name in routes, rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Business => "business",
        }
    }

    /// Where the person logs in.
    pub const fn login(self) -> &'static str {
        match self {
            Self::Consumer => "Instagram",
            Self::Business => "Facebook",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Business,
            Self::Business => Self::Consumer,
        }
    }

    /// The permissions that showing posts needs, all of which a grant must contain.
    ///
    /// Source: Meta, "Instagram API with Instagram Login" and "Instagram API with Facebook Login", *Get started*.
    pub const fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Consumer => &["instagram_business_basic"],
            Self::Business => &["instagram_basic", "pages_show_list", "pages_read_engagement"],
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Connection {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|connection| connection.name() == text).ok_or(ParseError)
    }
}
