//! What happened to a token. Facts only: no string of it, nothing of the person.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{Grant, Revocation, Way};
use crate::{AttemptId, DataAccess, Evidence, Reason, TokenId};

/// What happened to a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenEvent {
    /// The first grant of a connection, or the first after it was disconnected.
    Issued {
        /// Counts the account's grants, from 1.
        generation: u32,
        /// What came of the login.
        grant: Grant,
    },
    /// A machine extended the session; data access goes on as before.
    Renewed {
        /// The string that was replaced.
        previous: TokenId,
        /// The string that replaced it.
        token: TokenId,
        /// When the session ends now.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A person went through the login again.
    Refreshed {
        /// Counts the account's grants, from 1.
        generation: u32,
        /// What came of the login.
        grant: Grant,
    },
    /// A person went through the login in a way that gives no rights; the present token stays, for it works. At most one
    /// a day ([`super::DECLINES_EVERY`]).
    RefreshDeclined {
        /// The token that stays.
        token: TokenId,
        /// The trip to the login.
        attempt: AttemptId,
        /// From where the person set out.
        way: Way,
        /// When Meta confirmed that the token works, and by which call.
        evidence: Evidence,
    },
    /// Meta gives another end of the session than was known; `data_access` is as given with it.
    DeadlinesMoved {
        /// Which one.
        token: TokenId,
        /// When the session ends now.
        expires_at: Option<DateTime<Utc>>,
        /// When data access ends now.
        data_access: Option<DataAccess>,
        /// When Meta said so, and by which call.
        evidence: Evidence,
    },
    /// Meta gives another end of data access than was known, as after a login of the same person for another account. The
    /// session ends as it did.
    DataAccessMoved {
        /// Which one.
        token: TokenId,
        /// When data access ends now; `None`: never.
        data_access: Option<DataAccess>,
        /// When Meta said so, and by which call.
        evidence: Evidence,
    },
    /// An expired token works again, says Meta: under a new id, so that what is still said of the old one counts no more. No
    /// person did anything: the generation stays.
    Restored {
        /// The id under which it expired.
        previous: TokenId,
        /// The id that it has now.
        token: TokenId,
        /// When the session ends, as far as Meta tells.
        expires_at: Option<DateTime<Utc>>,
        /// When data access ends, as far as Meta tells.
        data_access: Option<DataAccess>,
        /// When Meta said so, and by which call.
        evidence: Evidence,
    },
    /// The token works, and Meta refuses the posts.
    ReadingRefused {
        /// Which one.
        token: TokenId,
        /// What Meta answered.
        evidence: Evidence,
    },
    /// The posts can be read again.
    ReadingResumed {
        /// With which token.
        token: TokenId,
        /// When, and by which call.
        evidence: Evidence,
    },
    /// The session can't be extended: for a day, several times. Without a person it ends.
    RenewalFailing {
        /// Which token's.
        token: TokenId,
        /// When it failed first.
        since: DateTime<Utc>,
        /// What Meta answered last.
        evidence: Evidence,
    },
    /// The token can't be used.
    Expired {
        /// Which one.
        token: TokenId,
        /// Why.
        reason: Reason,
        /// What Meta answered; `None` when a clock ran out.
        evidence: Option<Evidence>,
    },
    /// The token was destroyed by us.
    Revoked {
        /// Which one.
        token: TokenId,
        /// Why.
        cause: Revocation,
    },
}

impl TokenEvent {
    /// The types that this program knows, as they stand in the journal.
    pub const TYPES: [&'static str; 12] = [
        "Issued",
        "Renewed",
        "Refreshed",
        "RefreshDeclined",
        "DeadlinesMoved",
        "DataAccessMoved",
        "Restored",
        "ReadingRefused",
        "ReadingResumed",
        "RenewalFailing",
        "Expired",
        "Revoked",
    ];
    /// Those that change nothing of whether the token works.
    pub const WORKS_AS_BEFORE: [&'static str; 4] = ["Renewed", "RefreshDeclined", "DeadlinesMoved", "DataAccessMoved"];
}

impl DomainEvent for TokenEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Issued { .. } => "Issued",
            Self::Renewed { .. } => "Renewed",
            Self::Refreshed { .. } => "Refreshed",
            Self::RefreshDeclined { .. } => "RefreshDeclined",
            Self::DeadlinesMoved { .. } => "DeadlinesMoved",
            Self::DataAccessMoved { .. } => "DataAccessMoved",
            Self::Restored { .. } => "Restored",
            Self::ReadingRefused { .. } => "ReadingRefused",
            Self::ReadingResumed { .. } => "ReadingResumed",
            Self::RenewalFailing { .. } => "RenewalFailing",
            Self::Expired { .. } => "Expired",
            Self::Revoked { .. } => "Revoked",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
