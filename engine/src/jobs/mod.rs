//! The job queue: one table of what is due, from whose queues workers claim jobs under a lease.
//!
//! A job has a kind and a key, such as an aggregate's id; there is one of each at most. It is scheduled by a projection
//! ([`set`], [`bring_forward`], [`cancel`]) or added by a unit ([`add`]), claimed by a [`Worker`], and ended with its result:
//! in a transaction ([`end`]), in a unit ([`crate::Unit::end`]), or, when there is nothing to store, by a [`Completer`].
//!
//! Leases run on the database's clock, which all nodes share; due times on the program's, which tests can move. When a lease
//! has ended, the job can be claimed again. Each claim has a lease of its own, and ending a job compares it (fencing): a
//! worker that is late changes nothing.

mod claim;
mod completer;
mod end;
mod rebuild;
mod schedule;
mod waiting;
mod worker;

use std::sync::Arc;

use chrono::TimeDelta;

pub use completer::Completer;
pub(crate) use end::end_held;
pub use end::{End, Ended, end};
pub(crate) use rebuild::{empty_after, empty_at_once, keys_after, of_key, reconcile, restore};
pub use schedule::{
    Scheduled, add, ask, begin_anew, bring_forward, cancel, clear, due_by, hold_back, lock, move_to, remove, set,
    set_missing, try_now,
};
pub use waiting::{Of, Waiting, waiting};
pub use worker::{Room, Worker};

/// How long a worker may take, on the database's clock.
pub const LEASE: TimeDelta = TimeDelta::minutes(3);

/// Which jobs of a queue go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody is waiting for it.
    Urgent = 0,
    /// By its due time.
    Normal = 1,
}

impl Priority {
    /// The number in rows.
    pub const fn number(self) -> i64 {
        self as i64
    }
}

/// A job that was claimed.
#[derive(Debug)]
pub struct Job {
    /// Whether it was claimed with [`Priority::Urgent`].
    pub is_urgent: bool,
    /// How often it failed already.
    pub attempts: u32,
    /// The position of the event that scheduled it; 0 if none did.
    pub cause: i64,
    /// Whether the lease of an earlier claim ended without a word: what that worker did in the world may have happened.
    pub was_held: bool,
    /// The right to end it, and what it is.
    pub held: Held,
}

/// The right to end a job, and to store its result, until its lease ends.
#[derive(Debug, Clone)]
pub struct Held {
    kind: String,
    key: String,
    lease: Arc<str>,
}

impl Held {
    /// What is to be done.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What it is about.
    pub fn key(&self) -> &str {
        &self.key
    }
}
