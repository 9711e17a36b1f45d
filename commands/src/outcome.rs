//! What came of a trip to Meta's login, as the person is told it.

use chrono::{DateTime, Utc};
use domain::{AccountId, Connection};
use serde::{Deserialize, Serialize};

/// An account whose token stays, for Meta confirmed that it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub username: String,
    /// The first deadline of its token; `None`: it has none.
    pub until: Option<DateTime<Utc>>,
    /// Whether that is our estimate.
    pub estimated: bool,
}

/// What of a login could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The Page's name, or its id; `None`: Pages or accounts that nothing names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Why.
    pub why: Why,
}

/// Whether a retry may reach more: Meta could not answer about some of them.
pub(crate) fn is_partial(left_out: &[LeftOut]) -> bool {
    left_out.iter().any(|left_out| left_out.why == Why::Later)
}

/// Why it could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Meta refused it.
    Refused,
    /// The person did not tick it.
    Unticked,
    /// There are more Pages than are read.
    TooMany,
    /// Meta could not answer just now.
    Later,
}

/// What came of an attempt. Stored with it; names of accounts are in here, so it lives in a row that can be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// New accounts, or disconnected ones, are connected.
    Connected {
        /// The accounts.
        accounts: Vec<AccountId>,
        /// Accounts of the same login whose tokens stay, for they work.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<Kept>,
        /// Names of accounts of the same login that it brought no token for: their posts could not be read with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
        /// Pages of the same login that could not be read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
    },
    /// One or several connected accounts have a fresh token.
    Refreshed {
        /// The accounts.
        accounts: Vec<AccountId>,
        /// Accounts of the same login whose tokens stay, for they work.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<Kept>,
        /// Names of accounts of the same login that it brought no token for: their posts could not be read with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
        /// Pages of the same login that could not be read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
    },
    /// Nothing was to be done: the tokens of all reached accounts work, and another person granted them.
    AlreadyWorks {
        /// The account.
        kept: Vec<Kept>,
    },
    /// Meta could not be asked whether the present token works; it stays.
    NotConfirmed {
        /// Names of the accounts.
        usernames: Vec<String>,
        /// Until when Meta's limit of calls lets no one ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The posts could not be read with the new token just now: an error that passes, or a limit.
    NotRead {
        /// Names of the accounts.
        usernames: Vec<String>,
        /// Until when Meta's limit of calls lets no one ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// Meta refused the new token the posts.
    ReadingRefused {
        /// Names of the accounts.
        usernames: Vec<String>,
    },
    /// As many logins were taken as are taken on one day.
    TooOften,
    /// The connection was switched.
    Switched {
        /// Whose.
        account: AccountId,
    },
    /// The person cancelled at Meta.
    Cancelled,
    /// Meta refused the code.
    CodeRefused,
    /// Meta could not be asked, or answered with something that passes.
    MetaUnavailable,
    /// Permissions were not granted.
    PermissionMissing {
        /// Their names at Meta, as far as Meta tells them.
        missing: Vec<String>,
    },
    /// Another account than the one that was meant.
    WrongAccount {
        /// Who was meant.
        meant: String,
        /// Whom the login reached.
        reached: Vec<String>,
    },
    /// The account is connected through the other login.
    WrongConnection {
        /// The account's name.
        username: String,
        /// How it is connected.
        uses: Connection,
    },
    /// None of the reached accounts was ever connected.
    NeverConnected {
        /// Whom the login reached.
        reached: Vec<String>,
    },
    /// The Facebook user gave no Page.
    NoPage,
    /// Meta refused all Pages that might have an Instagram account.
    PagesRefused {
        /// Which.
        pages: Vec<LeftOut>,
    },
    /// None of the Pages has an Instagram account.
    PageWithoutAccount {
        /// The Pages' names.
        pages: Vec<String>,
    },
    /// The account that was meant isn't linked to a Page that was ticked.
    PageNotChosen {
        /// Who was meant.
        meant: String,
        /// Whom the ticked Pages lead to.
        reached: Vec<String>,
        /// Pages of the same login that could not be read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
    },
    /// A personal account, whose posts Meta gives to nobody.
    PersonalAccount {
        /// Its name.
        username: String,
    },
    /// An owner disconnected the account.
    Disconnected {
        /// Its name.
        username: String,
    },
    /// Who set out has no right on the account any more, or not enough.
    NotAllowed,
    /// Nobody chose one of the accounts in time.
    ChoiceExpired,
    /// The login didn't restart data access, which had ended.
    DataAccessEnded,
    /// The person has turned *activity off Meta technologies* off, without which no login works.
    ActivityOff,
    /// The app may not read this account yet: it is no tester of the app, which has not passed App Review.
    NoAccess,
    /// Meta refuses the app's id, secret or redirect address.
    AppMisconfigured,
    /// Meta doesn't offer this login just now.
    LoginUnavailable,
    /// Facebook or Instagram wants the person to confirm something there first.
    CheckWaits,
    /// The program was stopped between the callback and the end.
    Interrupted,
}

impl Outcome {
    /// The accounts that have a fresh token now; none if it led to nothing.
    pub fn accounts(&self) -> &[AccountId] {
        match self {
            Self::Connected { accounts, .. } | Self::Refreshed { accounts, .. } => accounts,
            Self::Switched { account } => std::slice::from_ref(account),
            _ => &[],
        }
    }

    /// The same, where Meta's limit of calls lets no one ask before an instant.
    pub(crate) fn limited(self, until: Option<DateTime<Utc>>) -> Self {
        match self {
            Self::NotRead { usernames, .. } => Self::NotRead { usernames, until },
            Self::NotConfirmed { usernames, .. } => Self::NotConfirmed { usernames, until },
            other => other,
        }
    }

    /// Until when Meta's limit of calls lets no one ask.
    pub(crate) const fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::NotRead { until, .. } | Self::NotConfirmed { until, .. } => *until,
            _ => None,
        }
    }

    /// Whether the person granted permissions, whatever came of it.
    pub(crate) const fn is_granted(&self) -> bool {
        matches!(
            self,
            Self::Connected { .. }
                | Self::Refreshed { .. }
                | Self::Switched { .. }
                | Self::AlreadyWorks { .. }
                | Self::PageNotChosen { .. }
                | Self::PagesRefused { .. }
                | Self::PageWithoutAccount { .. }
        )
    }

    /// The code that people see and support knows; `None` for a success.
    pub const fn code(&self) -> Option<u16> {
        Some(match self {
            Self::Connected { .. } | Self::Refreshed { .. } | Self::Switched { .. } | Self::AlreadyWorks { .. } => {
                return None;
            }
            Self::Cancelled => 1060,
            Self::CodeRefused => 1066,
            Self::MetaUnavailable => 1067,
            Self::Interrupted => 1068,
            Self::WrongAccount { .. } => 1070,
            Self::PermissionMissing { .. } => 1071,
            Self::WrongConnection { .. } => 1072,
            Self::NoPage => 1073,
            Self::PageWithoutAccount { .. } => 1074,
            Self::NeverConnected { .. } => 1075,
            Self::PageNotChosen { .. } => 1076,
            Self::PersonalAccount { .. } => 1077,
            Self::Disconnected { .. } => 1078,
            Self::NotAllowed => 1079,
            Self::ChoiceExpired => 1080,
            Self::DataAccessEnded => 1081,
            Self::NotRead { .. } => 1082,
            Self::ReadingRefused { .. } => 1083,
            Self::NotConfirmed { .. } => 1084,
            Self::TooOften => 1085,
            Self::ActivityOff => 1091,
            Self::NoAccess => 1087,
            Self::AppMisconfigured => 1088,
            Self::LoginUnavailable => 1089,
            Self::PagesRefused { .. } => 1090,
            Self::CheckWaits => 1092,
        })
    }
}
