//! The queue of things due: workers claim rows under a lease, and complete them together with their result.
//!
//! Leases run on the database's clock, which all nodes share; due times on the program's, which the demo can move. A row
//! whose lease has run out can be claimed again; whoever held it before changes nothing any more.

mod claim;
mod finish;
mod tries;
mod waiting;
mod worker;

use std::{fmt, str::FromStr};

use domain::{AccountId, ParseError};

pub(crate) use finish::lock;
pub use finish::{Retry, ask_again, ask_check, complete, postpone, retry};
pub use tries::{Try, forget_tries, tries};
pub use waiting::{Waiting, waiting};
pub use worker::{Room, Worker};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Fetching an account's posts.
    Pull,
    /// Asking Meta whether a token works.
    Check,
    /// Extending a token's session.
    Renew,
    /// Marking a token expired when one of its clocks has run out.
    Expire,
    /// Reminding people before data access ends.
    Remind,
    /// Telling people what happened.
    Notify,
}

impl Kind {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Check => "check",
            Self::Renew => "renew",
            Self::Expire => "expire",
            Self::Remind => "remind",
            Self::Notify => "notify",
        }
    }

    /// All of them.
    const ALL: [Self; 6] = [Self::Pull, Self::Check, Self::Renew, Self::Expire, Self::Remind, Self::Notify];

    /// Those that are due by a token's clocks, or because of what happened to it, and go with what happens next.
    pub(crate) const TIMERS: [Self; 5] = [Self::Check, Self::Renew, Self::Expire, Self::Remind, Self::Notify];

    /// What it goes with, as long as nobody waits for it.
    pub(crate) const fn usual(self) -> Priority {
        match self {
            Self::Pull | Self::Check | Self::Renew => Priority::Normal,
            Self::Expire => Priority::Clock,
            Self::Remind | Self::Notify => Priority::Notice,
        }
    }

    /// The same in SQL, of a column with the kind's name.
    pub(crate) fn usual_sql(column: &str) -> String {
        let case = |kind: &Self| format!("WHEN '{}' THEN {} ", kind.name(), kind.usual().number());
        format!("CASE {column} {}END", Self::ALL.iter().map(case).collect::<String>())
    }
}

impl FromStr for Kind {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(ParseError)
    }
}

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody is waiting: after a refresh, or looking at the page.
    First = 0,
    /// The schedule.
    Normal = 1,
    /// What takes no call, only the time: apart from the others, for there may be very many at one moment.
    Clock = 2,
    /// Mails: gathered, so that people get few.
    Notice = 3,
}

impl Priority {
    const ALL: [Self; 4] = [Self::First, Self::Normal, Self::Clock, Self::Notice];

    /// The number in rows.
    pub const fn number(self) -> i64 {
        self as i64
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl TryFrom<i64> for Priority {
    type Error = ParseError;

    fn try_from(number: i64) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|priority| priority.number() == number).ok_or(ParseError)
    }
}

/// The right to work on a row until its lease ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Lease(String);

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that was claimed.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// What is due.
    pub kind: Kind,
    /// Whose.
    pub account: AccountId,
    /// Whether somebody is waiting for it.
    pub first: bool,
    /// How often it failed already.
    pub attempts: u32,
    /// The position of the event that made it due.
    pub cause: i64,
    /// How many widgets of the plan `Free` there are.
    pub free_widgets: i64,
    /// How many of the plan `Upgraded`.
    pub upgraded_widgets: i64,
    lease: Lease,
}
