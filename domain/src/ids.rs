//! Every id is a type of its own, so that a widget's can't be passed where an account's is meant.
//!
//! Ids are UUIDs made outside the domain (version 7: random, and in order of time); as text everywhere.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not what it should be: no id, or no name of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id, or not a name of that kind")]
pub struct ParseError;

macro_rules! id {
    ($(#[$doc:meta] $name:ident)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes the id of a UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID behind the id.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                // Only the form that is also written, so that an id has one spelling in URLs and rows.
                match Uuid::try_parse(text) {
                    Ok(uuid) if uuid.to_string() == text => Ok(Self(uuid)),
                    _ => Err(ParseError),
                }
            }
        }
    )*};
}

id! {
    /// One Instagram account that was connected. The streams `account` and `token` bear it.
    AccountId
    /// One token string, from a grant or a renewal. Reports about a token carry it, and only the current one counts.
    TokenId
    /// One trip to Meta's login.
    AttemptId
    /// One widget, an embed that shows an account's posts.
    WidgetId
    /// Somebody who can sign in.
    UserId
    /// One reconnect link.
    LinkId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = AccountId::new(Uuid::from_u128(0x0190_ffff));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<AccountId>(), Err(ParseError));
        assert_eq!(id.uuid().simple().to_string().parse::<AccountId>(), Err(ParseError));
        assert_eq!("1 OR 1=1".parse::<AccountId>(), Err(ParseError));
    }
}
