//! Why a token can't be used.

use serde::{Deserialize, Serialize};

/// Why a token can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It ran out.
    Lifetime,
    /// The person changed the password.
    PasswordChanged,
    /// The person removed the app.
    AppRemoved,
    /// The person must pass a check at Instagram or Facebook first.
    Checkpoint,
    /// The person's Facebook user isn't confirmed.
    Unconfirmed,
    /// The session was ended: logged out, a password change or a security reset, and Meta doesn't say which.
    Invalidated,
    /// The person lost the role on the Page.
    PageRoleLost,
    /// A permission is missing.
    PermissionMissing,
    /// Meta's second clock ran out: 90 days without the person.
    DataAccessEnded,
    /// Meta refused the token and didn't say why.
    Unknown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Lifetime,
        Self::PasswordChanged,
        Self::AppRemoved,
        Self::Checkpoint,
        Self::Unconfirmed,
        Self::Invalidated,
        Self::PageRoleLost,
        Self::PermissionMissing,
        Self::DataAccessEnded,
        Self::Unknown,
    ];

    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::PasswordChanged => "password_changed",
            Self::AppRemoved => "app_removed",
            Self::Checkpoint => "checkpoint",
            Self::Unconfirmed => "unconfirmed",
            Self::Invalidated => "invalidated",
            Self::PageRoleLost => "page_role_lost",
            Self::PermissionMissing => "permission_missing",
            Self::DataAccessEnded => "data_access_ended",
            Self::Unknown => "unknown",
        }
    }

    /// The reason of a name in a row.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
            assert_eq!(serde_json::to_value(reason).expect("a string"), reason.name());
        }
    }
}
