//! What people and keys may do.

use std::str::FromStr;

use domain::{Authority, ParseError, UserId};
use projections::accounts::Viewer;

/// The role of a person or of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A customer.
    Owner,
    /// Sees all accounts and their histories.
    Support,
    /// Sees all accounts and the event log.
    Auditor,
    /// May do everything that makes sense.
    Admin,
    /// The widget service, by API key.
    Service,
}

impl Role {
    /// People who change accounts.
    pub const EDITORS: &[Self] = &[Self::Owner, Self::Admin];
    /// People who have Meta asked about accounts, and make reconnect links.
    pub const HELPERS: &[Self] = &[Self::Owner, Self::Support, Self::Admin];
    /// People who look behind accounts.
    pub const STAFF: &[Self] = &[Self::Support, Self::Auditor, Self::Admin];

    /// The name in rows and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Support => "support",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }

    /// Whose accounts the role sees.
    pub fn viewer(self, user: UserId) -> Viewer {
        if self == Self::Owner { Viewer::User(user) } else { Viewer::Staff }
    }

    /// In whose power the role gives commands; support and auditors only look.
    pub fn authority(self, user: UserId) -> Authority {
        match self {
            Self::Admin | Self::Service => Authority::Staff,
            Self::Owner | Self::Support | Self::Auditor => Authority::User(user),
        }
    }

    /// Whether the role changes accounts that the person has a right on, or all of them.
    pub fn edits(self) -> bool {
        Self::EDITORS.contains(&self)
    }

    /// Whether the role has Meta asked about accounts, and makes reconnect links.
    pub fn helps(self) -> bool {
        Self::HELPERS.contains(&self)
    }

    /// Whether the role inspects the event log and what is behind an account.
    pub fn is_staff(self) -> bool {
        Self::STAFF.contains(&self)
    }
}

impl FromStr for Role {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        let all = [Self::Owner, Self::Support, Self::Auditor, Self::Admin, Self::Service];
        all.into_iter().find(|role| role.name() == name).ok_or(ParseError)
    }
}
