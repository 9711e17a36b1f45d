//! What can be asked of a token.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{AttemptId, Connection, DataAccess, Evidence, Reason, TokenId};

/// A deadline as Meta tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<T> {
    /// It isn't told.
    Nothing,
    /// There is none.
    Never,
    /// It is this one.
    At(T),
}

impl<T> Told<T> {
    /// The deadline; what isn't told goes on as it was known.
    pub fn or_known(self, known: Option<T>) -> Option<T> {
        match self {
            Self::Nothing => known,
            Self::Never => None,
            Self::At(end) => Some(end),
        }
    }
}

/// What can be asked of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCommand {
    /// A person went through the login: a new generation begins.
    Accept {
        /// What came of the login.
        grant: Grant,
        /// The current token, active or expired, when it was decided that this one takes its place; `None`: there was none.
        instead_of: Option<TokenId>,
    },
    /// A person went through the login, and the present token stays: Meta confirmed that it works.
    DeclineRefresh {
        /// The token that was confirmed.
        token: TokenId,
        /// The trip to the login.
        attempt: AttemptId,
        /// From where the person set out.
        way: Way,
        /// When Meta confirmed it, and by which call.
        evidence: Evidence,
    },
    /// A machine extended the session: `previous` was replaced by `token`.
    RecordRenewal {
        /// The token that was renewed.
        previous: TokenId,
        /// The one that Meta answered.
        token: TokenId,
        /// When the session ends now; `None` if Meta says never.
        expires_at: Option<DateTime<Utc>>,
        /// The time now.
        at: DateTime<Utc>,
    },
    /// A call with this token failed in a way that says it can't be used.
    ReportFailure {
        /// The token that the call used.
        token: TokenId,
        /// Why it can't be used.
        reason: Reason,
        /// What Meta answered.
        evidence: Evidence,
    },
    /// Meta was asked about a token, and said when it ends.
    RecordDeadlines {
        /// The token that was asked about.
        token: TokenId,
        /// When the session ends.
        session_ends: Told<DateTime<Utc>>,
        /// When data access ends.
        data_access: Told<DataAccess>,
        /// When Meta said so, and by which call.
        evidence: Evidence,
    },
    /// Meta was asked about an expired token, and says that it works.
    Restore {
        /// The token that was asked about.
        previous: TokenId,
        /// The id that it has from now on.
        token: TokenId,
        /// When the session ends, as far as Meta tells.
        expires_at: Option<DateTime<Utc>>,
        /// When data access ends, as far as Meta tells.
        data_access: Option<DataAccess>,
        /// When Meta said so, and by which call.
        evidence: Evidence,
    },
    /// The token works, and Meta refuses the posts.
    RecordReadingRefused {
        /// The token that was used.
        token: TokenId,
        /// What Meta answered.
        evidence: Evidence,
    },
    /// The posts were read.
    RecordReading {
        /// The token that was used.
        token: TokenId,
        /// When, and by which call.
        evidence: Evidence,
    },
    /// The session could not be extended, several times over a day.
    RecordRenewalFailing {
        /// The token that was to be extended.
        token: TokenId,
        /// When that failed first.
        since: DateTime<Utc>,
        /// What Meta answered last.
        evidence: Evidence,
    },
    /// Time passed: the token expires if one of its clocks ran out.
    Expire {
        /// The time now.
        at: DateTime<Utc>,
    },
    /// The token is destroyed.
    Revoke(Revocation),
}

/// What came of a person going through the login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The new token string's id.
    pub token: TokenId,
    /// The trip to the login that it came from.
    pub attempt: AttemptId,
    /// Through which login.
    pub connection: Connection,
    /// From where the person set out.
    pub way: Way,
    /// When the grant was made.
    pub granted_at: DateTime<Utc>,
    /// When the session ends; `None` if Meta says never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When data access ends, if that is known or estimated.
    pub data_access: Option<DataAccess>,
    /// The permissions that the person granted.
    pub permissions: Vec<String>,
}

/// From where a person set out to the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// *Connect*, signed in.
    Connect,
    /// *Refresh token* on the account's page, signed in.
    Account,
    /// The public access token page.
    TokenPage,
    /// A reconnect link.
    Link,
    /// *Switch connection*, signed in.
    Switch,
}

/// Why a token is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// An owner disconnected the account.
    Disconnected,
    /// The account's data is erased.
    Erased,
}
