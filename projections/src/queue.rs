//! The queue of things due: workers claim rows under a lease, and complete them together with their result.
//!
//! Leases run on the database's clock, which all nodes share; due times on the program's, which the demo can move. A row
//! whose lease has run out can be claimed again; whoever held it before changes nothing any more.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, ParseIdError};
use store::{Database, StoreError, Tx, build, execute, read, within};

use crate::{LEASE, account, parse};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Fetching an account's posts.
    Pull,
    /// Asking Meta whether a token works.
    Check,
}

impl Kind {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Check => "check",
        }
    }
}

impl FromStr for Kind {
    type Err = ParseIdError;

    fn from_str(name: &str) -> Result<Self, ParseIdError> {
        [Self::Pull, Self::Check].into_iter().find(|kind| kind.name() == name).ok_or(ParseIdError)
    }
}

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody is waiting: after a refresh, or looking at the page.
    First,
    /// The schedule.
    Normal,
}

impl Priority {
    /// The number in rows.
    pub const fn number(self) -> i64 {
        match self {
            Self::First => 0,
            Self::Normal => 1,
        }
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

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    account_id: String,
    priority: i64,
    attempts: i64,
    free_widgets: i64,
    upgraded_widgets: i64,
}

/// What has been due for this long goes before first priority, as far as [`reserved`] says: nobody waits for ever.
const AGED: TimeDelta = TimeDelta::minutes(5);

/// How much of a claim is for what has waited too long.
fn reserved(limit: i64) -> i64 {
    (limit / 4).max(1)
}

/// Claims what is due now: first priority first, but a share of each claim for what has waited too long.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    database: &Database,
    lease: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    // An idle queue is looked at without a write; each class is a range of the index.
    let sql = "SELECT EXISTS (SELECT 1 FROM work_v1 WHERE priority = 0 AND due_at <= $1) \
               OR EXISTS (SELECT 1 FROM work_v1 WHERE priority = 1 AND due_at <= $1)";
    let due: bool = read!(database, pool => sqlx::query_scalar(sql).bind(now).fetch_one(pool))?;
    if !due {
        return Ok(Vec::new());
    }
    let mut tx = database.begin().await?;
    let leases_now: DateTime<Utc> =
        within!(&mut tx, on => sqlx::query_scalar("SELECT CURRENT_TIMESTAMP").fetch_one(on))?;
    let (first, normal) = (Priority::First.number(), Priority::Normal.number());
    let aged = now - AGED;
    let mut rows: Vec<Row> = Vec::new();
    for (priority, from, until, most) in [
        (normal, DateTime::UNIX_EPOCH, aged, reserved(limit)),
        (first, DateTime::UNIX_EPOCH, now, limit),
        // Of those that have waited too long, the first were taken above.
        (normal, aged, now, limit),
        (normal, DateTime::UNIX_EPOCH, aged, limit),
    ] {
        let free = limit - i64::try_from(rows.len()).unwrap_or(limit);
        if free == 0 {
            break;
        }
        let sql = format!(
            "SELECT kind, account_id, priority, attempts, free_widgets, upgraded_widgets FROM work_v1 \
             WHERE priority = $1 AND due_at > $2 AND due_at <= $3 AND (leased_until IS NULL OR leased_until < $4) \
             ORDER BY due_at LIMIT $5{}",
            database.skip_locked()
        );
        let more = most.min(free) + i64::try_from(rows.len()).unwrap_or(0);
        let found: Vec<Row> = within!(&mut tx, on => sqlx::query_as(&sql)
            .bind(priority).bind(from).bind(until).bind(leases_now).bind(more).fetch_all(on))?;
        let is_new = |row: &Row| !rows.iter().any(|taken| taken.kind == row.kind && taken.account_id == row.account_id);
        let found: Vec<_> = found.into_iter().filter(is_new).collect();
        rows.extend(found.into_iter().take(usize::try_from(most.min(free)).unwrap_or(0)));
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    build!(&mut tx, query => {
        query.push("UPDATE work_v1 SET lease = ").push_bind(lease);
        query.push(", leased_until = ").push_bind(leases_now + LEASE);
        query.push(" WHERE (kind, key) IN (");
        query.push_values(&rows, |mut row, claimed: &Row| {
            row.push_bind(&claimed.kind).push_bind(&claimed.account_id);
        });
        query.push(")");
    }, execute)?;
    tx.commit().await?;
    let claimed = |row: Row| {
        Ok(Claimed {
            kind: parse(&row.kind)?,
            account: account(&row.account_id)?,
            first: row.priority == Priority::First.number(),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            free_widgets: row.free_widgets,
            upgraded_widgets: row.upgraded_widgets,
            lease: Lease(lease.to_owned()),
        })
    };
    rows.into_iter().map(claimed).collect()
}

/// Completes something in the transaction that stores its result, and says when it is due again. `false`: the lease isn't
/// held any more, and the transaction must not be committed.
///
/// # Errors
/// When the database fails.
pub async fn complete(tx: &mut Tx, claimed: &Claimed, next: Option<DateTime<Utc>>) -> Result<bool, StoreError> {
    let done = match claimed.kind {
        Kind::Check => {
            let sql = "DELETE FROM work_v1 WHERE kind = 'check' AND key = $1 AND lease = $2";
            execute!(tx, sqlx::query(sql).bind(claimed.account.to_string()).bind(&claimed.lease.0))?
        }
        Kind::Pull => {
            let sql = "UPDATE work_v1 SET due_at = $1, priority = $2, attempts = 0, last_error = NULL, lease = NULL, \
                       leased_until = NULL WHERE kind = 'pull' AND key = $3 AND lease = $4";
            execute!(
                tx,
                sqlx::query(sql)
                    .bind(next)
                    .bind(Priority::Normal.number())
                    .bind(claimed.account.to_string())
                    .bind(&claimed.lease.0)
            )?
        }
    };
    Ok(done == 1)
}

/// Gives something back that failed, to be tried again later; `error` is shown to support.
///
/// # Errors
/// When the database fails.
pub async fn retry(
    database: &Database,
    claimed: &Claimed,
    due_at: DateTime<Utc>,
    error: &str,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let sql = "UPDATE work_v1 SET due_at = $1, attempts = attempts + 1, last_error = $2, lease = NULL, \
               leased_until = NULL WHERE kind = $3 AND key = $4 AND lease = $5";
    execute!(
        &mut tx,
        sqlx::query(sql)
            .bind(due_at)
            .bind(error)
            .bind(claimed.kind.name())
            .bind(claimed.account.to_string())
            .bind(&claimed.lease.0)
    )?;
    Ok(tx.commit().await?)
}

/// Gives everything back that was claimed under a lease and not completed, as it was: this node stops.
///
/// # Errors
/// When the database fails.
pub async fn release(database: &Database, lease: &str) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let sql = "UPDATE work_v1 SET lease = NULL, leased_until = NULL WHERE lease = $1";
    let released = execute!(&mut tx, sqlx::query(sql).bind(lease))?;
    tx.commit().await?;
    Ok(released)
}

/// Makes a check of an account due now, unless one is under way already: one at a time an account, over all nodes.
///
/// # Errors
/// When the database fails.
pub async fn ask_check(database: &Database, account: AccountId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let sql = "INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
               VALUES ('check', $1, $1, 0, 0, $2, $3, 0) ON CONFLICT (kind, key) DO NOTHING";
    execute!(&mut tx, sqlx::query(sql).bind(account.to_string()).bind(Priority::First.number()).bind(now))?;
    Ok(tx.commit().await?)
}

/// Something that waits or is under way, as support sees it.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct Waiting {
    /// What.
    pub kind: String,
    /// Whose.
    pub account_id: String,
    /// 0 goes first.
    pub priority: i64,
    /// When it is due; `null` rests.
    pub due_at: Option<DateTime<Utc>>,
    /// The position of the event that put it here.
    pub cause: i64,
    /// How often it failed since.
    pub attempts: i64,
    /// Why, the last time.
    pub last_error: Option<String>,
    /// Until when somebody works on it.
    pub leased_until: Option<DateTime<Utc>>,
}

/// What waits for an account, or for all of them, in the order in which it goes.
///
/// # Errors
/// When the database fails.
pub async fn waiting(database: &Database, account: Option<AccountId>, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    let columns = "SELECT kind, account_id, priority, due_at, cause, attempts, last_error, leased_until FROM work_v1";
    let rows = match account {
        Some(account) => {
            let sql = format!("{columns} WHERE account_id = $1 ORDER BY priority, due_at LIMIT $2");
            read!(database, pool => sqlx::query_as(&sql).bind(account.to_string()).bind(limit).fetch_all(pool))?
        }
        None => {
            let sql = format!("{columns} WHERE due_at IS NOT NULL ORDER BY priority, due_at LIMIT $1");
            read!(database, pool => sqlx::query_as(&sql).bind(limit).fetch_all(pool))?
        }
    };
    Ok(rows)
}
