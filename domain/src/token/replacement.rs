//! When a login's token may take the place of a token that works.
//!
//! A person with a role on a Facebook Page reaches the account of somebody else. From ways that need no right on the
//! account, such a login must not put a token that its person can revoke in the place of one that works.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Current, Token};

/// A login that brings a new token for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// An owner or staff set out on it, signed in: they may replace any token.
    pub entitled: bool,
    /// The person who granted the present token granted this one. An unknown grantor counts as another person.
    pub same_grantor: bool,
    /// How long before a deadline of the present token every login that reaches the account may replace it.
    pub window: TimeDelta,
    /// The time now.
    pub at: DateTime<Utc>,
}

impl Token {
    /// The present token, if Meta has to be asked whether it works before this login's token may take its place.
    pub fn guarded_from(&self, candidate: Candidate) -> Option<&Current> {
        let near = |current: &Current| current.ends_at().is_some_and(|end| end - candidate.window <= candidate.at);
        self.active().filter(|current| !candidate.entitled && !candidate.same_grantor && !near(current))
    }
}

/// What Meta answers when it is asked about the present token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It works.
    Works,
    /// It can't be used, for certain; or there is none any more.
    Refused,
    /// Refused in a way that may mean the token or the app.
    Unclear {
        /// Whether a failure of this token was suspected before, at an earlier call.
        suspected: bool,
    },
    /// No answer that says anything about the token: a timeout, an error that passes, a limit.
    NoAnswer,
}

/// What becomes of the present token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// The login's token takes its place, if it reads the posts.
    Allowed,
    /// It stays.
    Declined,
    /// It stays until Meta says more.
    Undecided,
}

impl Present {
    /// The table: what follows for a token that needs to be confirmed.
    pub const fn replacement(self) -> Replacement {
        match self {
            Self::Works => Replacement::Declined,
            // The second refusal of its kind, a call apart, while the login itself shows that the app works.
            Self::Refused | Self::Unclear { suspected: true } => Replacement::Allowed,
            Self::Unclear { suspected: false } | Self::NoAnswer => Replacement::Undecided,
        }
    }
}
