//! The jobs that the projection `work` schedules for accounts, in the engine's queue.

mod overdue;
mod tries;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::{AccountId, ParseError, account::Plan};
use engine::{
    Database, StoreError,
    jobs::{self, Held, Of, Waiting},
    sql,
};

use crate::{account, parse};
pub use overdue::{check_first, decide_now, lock, put_off};
pub use tries::{Retry, Try, forget_tries, note_try, retry, tries};

/// Calls of Meta.
pub const META: &str = "meta";
/// What is due by a token's clocks alone: apart from the others, for there may be very many at one moment.
pub const CLOCK: &str = "clock";
/// What people are to be told, gathered so that they get few mails.
pub const NOTIFICATIONS: &str = "notifications";

/// What is due for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// The names of all of them.
    pub const NAMES: &'static [&'static str] = &["pull", "check", "renew", "expire", "remind", "notify"];

    /// Those that are due by a token's clocks, or because of what happened to it, and go with what happens next.
    pub(crate) const OF_TOKENS: &'static [&'static str] = &["check", "renew", "expire", "remind", "notify"];

    /// The queue that it stands in.
    pub(crate) const fn queue(self) -> &'static str {
        match self {
            Self::Pull | Self::Check | Self::Renew => META,
            Self::Expire => CLOCK,
            Self::Remind | Self::Notify => NOTIFICATIONS,
        }
    }
}

impl FromStr for Kind {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        let all = [Self::Pull, Self::Check, Self::Renew, Self::Expire, Self::Remind, Self::Notify];
        all.into_iter().find(|kind| kind.name() == name).ok_or(ParseError)
    }
}

/// A job of an account that was claimed.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is due.
    pub kind: Kind,
    /// Whose.
    pub account: AccountId,
    /// Whether somebody is waiting for it.
    pub is_urgent: bool,
    /// How often it failed already.
    pub attempts: u32,
    /// The position of the event that made it due.
    pub cause: i64,
    /// The right to end it.
    pub held: Held,
}

impl TryFrom<jobs::Job> for Job {
    type Error = StoreError;

    fn try_from(job: jobs::Job) -> Result<Self, StoreError> {
        Ok(Self {
            kind: parse(job.held.kind())?,
            account: account(job.held.key())?,
            is_urgent: job.is_urgent,
            attempts: job.attempts,
            cause: job.cause,
            held: job.held,
        })
    }
}

/// The best plan of an account's widgets, as its pulls know it.
///
/// # Errors
/// When the database fails.
pub async fn best_plan(database: &Database, account: AccountId) -> Result<Plan, StoreError> {
    let upgraded: Option<i64> = sql("SELECT upgraded_widgets FROM widget_counts_v1 WHERE account_id = $1")
        .bind(account.to_string())
        .scalar_optional(database)
        .await?;
    Ok(if upgraded.unwrap_or(0) > 0 { Plan::Upgraded } else { Plan::Free })
}

/// What waits for an account, in the order in which it goes.
///
/// # Errors
/// When the database fails.
pub async fn waiting_for(database: &Database, account: AccountId, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    jobs::waiting(database, Of::Key(&account.to_string()), limit).await
}

/// What waits for all accounts, queue by queue, in the order in which it goes.
///
/// # Errors
/// When the database fails.
pub async fn waiting(database: &Database, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    let mut all = Vec::new();
    for queue in [META, CLOCK, NOTIFICATIONS] {
        all.extend(jobs::waiting(database, Of::Queue(queue), limit).await?);
    }
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(all)
}

/// Makes a check of an account due now that waits for another try, unless it is under way.
///
/// # Errors
/// When the database fails.
pub async fn ask_again(database: &Database, account: AccountId, now: DateTime<Utc>) -> Result<(), StoreError> {
    jobs::try_now(database, (Kind::Check.name(), &account.to_string()), now).await
}

/// Makes a check of an account due now, unless one is under way or waits for another try: one at a time an account, over
/// all nodes.
///
/// # Errors
/// When the database fails.
pub async fn ask_check(database: &Database, account: AccountId, now: DateTime<Utc>) -> Result<(), StoreError> {
    jobs::ask(database, META, (Kind::Check.name(), &account.to_string()), now).await
}
