//! The current token string, and when it ends: by its two clocks, and by Meta's word.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Grant, TokenEvent, Told};
use crate::{Connection, Evidence, Reason, TokenId};

/// The current token string and its two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Its id.
    pub id: TokenId,
    /// Through which login it came.
    pub connection: Connection,
    /// When a person last went through the login.
    pub granted_at: DateTime<Utc>,
    /// When the session ends; a machine can extend it. `None` if never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When data access ends; only a person can restart it.
    pub data_access: Option<DataAccess>,
    /// Since when Meta refuses the posts, although the token works.
    #[serde(default)]
    pub reading_refused_at: Option<DateTime<Utc>>,
    /// Since when the session can't be extended.
    #[serde(default)]
    pub renewal_failing_since: Option<DateTime<Utc>>,
}

/// Meta's second clock: when data access ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAccess {
    /// The end.
    pub ends_at: DateTime<Utc>,
    /// Whether it is our estimate. An estimate reminds; it never expires a token by itself.
    pub estimated: bool,
}

/// When the first of a token's clocks runs out, if that is known and not just estimated.
pub fn runs_out_at(session: Option<DateTime<Utc>>, data_access: Option<DataAccess>) -> Option<DateTime<Utc>> {
    let data_access = data_access.filter(|end| !end.estimated).map(|end| end.ends_at);
    [session, data_access].into_iter().flatten().min()
}

impl Current {
    /// The current token after a grant.
    pub fn of(grant: &Grant) -> Self {
        Self {
            id: grant.token,
            connection: grant.connection,
            granted_at: grant.granted_at,
            expires_at: grant.expires_at,
            data_access: grant.data_access,
            reading_refused_at: None,
            renewal_failing_since: None,
        }
    }

    /// Why the token has run out at `at`, if it has. When both clocks have, the one that only a person restarts.
    pub fn ran_out(&self, at: DateTime<Utc>) -> Option<Reason> {
        let data_access_ended = self.data_access.is_some_and(|end| !end.estimated && end.ends_at <= at);
        let session_ended = self.expires_at.is_some_and(|end| end <= at);
        if data_access_ended { Some(Reason::DataAccessEnded) } else { session_ended.then_some(Reason::Lifetime) }
    }
}

/// One of a token's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The session: a machine can extend it.
    Session,
    /// Data access: only a person can restart it.
    DataAccess,
}

impl Clock {
    /// The one that decides: it ends first. `None`: neither ends.
    pub fn first(session: Option<DateTime<Utc>>, data_access: Option<DateTime<Utc>>) -> Option<Self> {
        match (session, data_access) {
            (None, None) => None,
            (Some(session), data_access) if data_access.is_none_or(|end| session <= end) => Some(Self::Session),
            _ => Some(Self::DataAccess),
        }
    }

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::DataAccess => "data_access",
        }
    }
}

impl Current {
    /// Which of its clocks decides.
    pub fn ends_first(&self) -> Option<Clock> {
        Clock::first(self.expires_at, self.data_access.map(|end| end.ends_at))
    }

    /// When one of its clocks runs out first, known or estimated; `None`: neither does.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        [self.expires_at, self.data_access.map(|end| end.ends_at)].into_iter().flatten().min()
    }

    /// When one of its clocks runs out first, if that is known and not just estimated.
    pub fn runs_out_at(&self) -> Option<DateTime<Utc>> {
        runs_out_at(self.expires_at, self.data_access)
    }
}

/// Closer deadlines are the same: what an exchange answers in seconds and what Meta knows differ a little.
const SAME_WITHIN: TimeDelta = TimeDelta::hours(1);

/// Whether an end is told otherwise than it was known.
fn differs(known: Option<DateTime<Utc>>, told: Option<DateTime<Utc>>) -> bool {
    match (known, told) {
        (Some(known), Some(told)) => (told - known).abs() >= SAME_WITHIN,
        (known, told) => known.is_some() != told.is_some(),
    }
}

/// Whether a deadline has moved, or was over and isn't any more, however little it moved.
fn moved(known: Option<DateTime<Utc>>, told: Option<DateTime<Utc>>, at: DateTime<Utc>) -> bool {
    let is_over = |end: Option<DateTime<Utc>>| end.is_some_and(|end| end <= at);
    differs(known, told) || (is_over(known) && !is_over(told))
}

impl Current {
    /// What follows from when Meta says that the token ends.
    pub(super) fn told(
        self,
        session_ends: Told<DateTime<Utc>>,
        data_access: Told<DataAccess>,
        evidence: Evidence,
    ) -> Option<TokenEvent> {
        let (token, at) = (self.id, evidence.at);
        let told = Self {
            expires_at: session_ends.or_known(self.expires_at),
            data_access: data_access.or_known(self.data_access),
            ..self
        };
        let Self { expires_at, data_access, .. } = told;
        let is_estimated = |current: &Self| current.data_access.is_some_and(|end| end.estimated);
        let ends = |current: &Self| current.data_access.map(|end| end.ends_at);
        if self.ran_out(at).is_some() && told.ran_out(at).is_some() {
            // Time says the same.
            None
        } else if moved(self.expires_at, expires_at, at) {
            Some(TokenEvent::DeadlinesMoved { token, expires_at, data_access, evidence })
        } else if moved(ends(&self), ends(&told), at) || is_estimated(&self) != is_estimated(&told) {
            Some(TokenEvent::DataAccessMoved { token, data_access, evidence })
        } else {
            None
        }
    }
}

/// Meta was heard about each token that works within this time: it is asked once a day.
pub const HEARD_WITHIN: TimeDelta = TimeDelta::hours(26);

impl Current {
    /// Whether the token has run out at `at`, and Meta has to be asked before time decides: nobody has heard of it for too
    /// long, or it worked when its time was over already. `heard_at`: when Meta last said that it works.
    pub fn is_to_be_asked_about(&self, at: DateTime<Utc>, heard_at: Option<DateTime<Utc>>) -> bool {
        let heard_lately = |end| heard_at.is_some_and(|heard| heard < end && heard + HEARD_WITHIN >= at);
        self.runs_out_at().is_some_and(|end| end <= at && !heard_lately(end))
    }
}
