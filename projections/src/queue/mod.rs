//! The queue of things due: workers claim rows under a lease, and complete them together with their result.
//!
//! Leases run on the database's clock, which all nodes share; due times on the program's, which the demo can move. A row
//! whose lease has run out can be claimed again; whoever held it before changes nothing any more.

mod claim;
mod finish;
mod waiting;
mod worker;

use std::{fmt, str::FromStr};

use domain::{AccountId, ParseIdError};

pub(crate) use finish::lock;
pub use finish::{ask_check, complete, retry};
pub use waiting::{Waiting, waiting};
pub use worker::Worker;

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
}

impl Kind {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Check => "check",
            Self::Renew => "renew",
            Self::Expire => "expire",
        }
    }

    /// All of them.
    const ALL: [Self; 4] = [Self::Pull, Self::Check, Self::Renew, Self::Expire];

    /// Those that are due by a token's clocks, and go with it.
    pub(crate) const TIMERS: [Self; 3] = [Self::Check, Self::Renew, Self::Expire];
}

impl FromStr for Kind {
    type Err = ParseIdError;

    fn from_str(name: &str) -> Result<Self, ParseIdError> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(ParseIdError)
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
}

impl Priority {
    /// The number in rows.
    pub const fn number(self) -> i64 {
        self as i64
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl TryFrom<i64> for Priority {
    type Error = ParseIdError;

    fn try_from(number: i64) -> Result<Self, ParseIdError> {
        [Self::First, Self::Normal, Self::Clock]
            .into_iter()
            .find(|priority| priority.number() == number)
            .ok_or(ParseIdError)
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
    /// How many widgets of the plan `Free` there are.
    pub free_widgets: i64,
    /// How many of the plan `Upgraded`.
    pub upgraded_widgets: i64,
    lease: Lease,
}
