//! Scheduling: by projections, whose events are the jobs' causes, and by units.

use chrono::{DateTime, Utc};

use super::Priority;
use crate::{Bulk, Database, Dialect, Query, StoreError, Target, Tx, sql};

/// When a job is due, and by which event.
#[derive(Debug, Clone, Copy)]
pub struct Scheduled<'a> {
    /// The queue that it stands in.
    pub queue: &'a str,
    /// What is to be done.
    pub kind: &'a str,
    /// What it is about.
    pub key: &'a str,
    /// What goes first.
    pub priority: Priority,
    /// On the program's clock; `None`: not before it is scheduled again.
    pub due_at: Option<DateTime<Utc>>,
    /// The position of the event that schedules it.
    pub cause: i64,
}

fn rows<'a>(jobs: &[Scheduled<'a>]) -> Bulk<'a> {
    Bulk::new()
        .text("queue", jobs.iter().map(|job| job.queue))
        .text("kind", jobs.iter().map(|job| job.kind))
        .text("key", jobs.iter().map(|job| job.key))
        .int("priority", jobs.iter().map(|job| job.priority.number()))
        .time("due_at", jobs.iter().map(|job| job.due_at))
        .int("cause", jobs.iter().map(|job| job.cause))
}

/// Schedules jobs unless they are there already, however they are.
///
/// # Errors
/// When the database fails.
pub async fn set_missing(tx: &mut Tx, target: Target, jobs: &[Scheduled<'_>]) -> Result<(), sqlx::Error> {
    let table = target.table("jobs");
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {table} (queue, kind, key, priority, due_at, cause) \
             SELECT queue, kind, key, priority, due_at, cause FROM ({rows}) AS new WHERE true \
             ON CONFLICT (kind, key) DO NOTHING"
        )
    };
    rows(jobs).execute(tx, insert).await.map(drop)
}

/// Schedules jobs, each as if it were new, unless a later event did so already: leases of earlier causes are void.
///
/// # Errors
/// When the database fails.
pub async fn set(tx: &mut Tx, target: Target, jobs: &[Scheduled<'_>]) -> Result<(), sqlx::Error> {
    let table = target.table("jobs");
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {table} (queue, kind, key, priority, due_at, cause) \
             SELECT queue, kind, key, priority, due_at, cause FROM ({rows}) AS new WHERE true \
             ON CONFLICT (kind, key) DO UPDATE SET queue = excluded.queue, due_at = excluded.due_at, \
             priority = excluded.priority, cause = excluded.cause, attempts = 0, last_error = NULL, lease = NULL, \
             leased_until = NULL WHERE {table}.cause < excluded.cause"
        )
    };
    rows(jobs).execute(tx, insert).await.map(drop)
}

/// Makes jobs due at another time that are there and due at some time; tries and priority stay, leases of earlier causes are
/// void.
///
/// # Errors
/// When the database fails.
pub async fn bring_forward(tx: &mut Tx, target: Target, jobs: &[Scheduled<'_>]) -> Result<(), sqlx::Error> {
    let table = target.table("jobs");
    let update = |rows: &str| {
        format!(
            "UPDATE {table} AS job SET due_at = new.due_at, cause = new.cause, lease = NULL, leased_until = NULL \
             FROM ({rows}) AS new WHERE job.kind = new.kind AND job.key = new.key AND job.due_at IS NOT NULL \
             AND job.cause < new.cause"
        )
    };
    rows(jobs).execute(tx, update).await.map(drop)
}

/// Gives jobs another due time and priority; all else stays.
///
/// # Errors
/// When the database fails.
pub async fn move_to(tx: &mut Tx, target: Target, jobs: &[Scheduled<'_>]) -> Result<(), sqlx::Error> {
    let table = target.table("jobs");
    let update = |rows: &str| {
        format!(
            "UPDATE {table} AS job SET due_at = new.due_at, priority = new.priority FROM ({rows}) AS new \
             WHERE job.kind = new.kind AND job.key = new.key"
        )
    };
    rows(jobs).execute(tx, update).await.map(drop)
}

/// Makes jobs of a kind that are due later due at this time. Their priority stays, and so does when one is tried again that
/// failed.
///
/// # Errors
/// When the database fails.
pub async fn due_by<'a>(
    tx: &mut Tx,
    kind: &str,
    keys: impl Iterator<Item = &'a str>,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let keys: Vec<_> = keys.collect();
    let update = |rows: &str| {
        format!(
            "UPDATE jobs SET due_at = new.due_at FROM ({rows}) AS new WHERE jobs.kind = new.kind AND jobs.key = new.key \
             AND jobs.attempts = 0 AND (jobs.due_at IS NULL OR jobs.due_at > new.due_at)"
        )
    };
    let kinds = keys.iter().map(|_| kind);
    let rows =
        Bulk::new().text("kind", kinds).text("key", keys.iter().copied()).time("due_at", keys.iter().map(|_| at));
    rows.execute(tx, update).await.map(drop)
}

/// Cancels the jobs of these kinds about these keys.
///
/// # Errors
/// When the database fails.
pub async fn cancel<'a>(
    tx: &mut Tx,
    target: Target,
    kinds: &[&str],
    keys: impl Iterator<Item = &'a str>,
) -> Result<(), sqlx::Error> {
    let (table, kinds) = (target.table("jobs"), list(kinds));
    let delete = |keys: &str| format!("DELETE FROM {table} WHERE kind IN ({kinds}) AND key IN ({keys})");
    Bulk::new().text("key", keys).execute(tx, delete).await.map(drop)
}

/// Adds a job, unless there is one of this kind and key.
pub fn add(queue: &str, kind: &str, key: &str, due_at: DateTime<Utc>) -> Query {
    sql("INSERT INTO jobs (queue, kind, key, priority, due_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (kind, key) DO NOTHING")
    .bind(queue)
    .bind(kind)
    .bind(key)
    .bind(Priority::Normal.number())
    .bind(due_at)
}

/// Removes a job, whoever holds it.
pub fn remove(kind: &str, key: &str) -> Query {
    sql("DELETE FROM jobs WHERE kind = $1 AND key = $2").bind(kind).bind(key)
}

/// Removes all jobs of a queue, whoever holds them.
pub fn clear(queue: &str) -> Query {
    sql("DELETE FROM jobs WHERE queue = $1").bind(queue)
}

/// Keeps a job from being claimed until the transaction ends, if it is due later than `now`, was never tried and no worker
/// holds it; whether that is so.
///
/// # Errors
/// When the database fails.
pub async fn hold_back(tx: &mut Tx, (kind, key): (&str, &str), now: DateTime<Utc>) -> Result<bool, StoreError> {
    let held = sql("UPDATE jobs SET due_at = due_at WHERE kind = $1 AND key = $2 AND lease IS NULL AND attempts = 0 \
                    AND due_at > $3")
    .bind(kind)
    .bind(key)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(held > 0)
}

/// Makes a job urgent and due now, unless one of this kind and key is under way or waits for another try: one at a time, over
/// all nodes. The commit is asynchronous: a crash may lose the call.
///
/// # Errors
/// When the database fails.
pub async fn ask(
    database: &Database,
    queue: &str,
    (kind, key): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sql(format!(
        "INSERT INTO jobs (queue, kind, key, priority, due_at) VALUES ($1, $2, $3, {urgent}, $4) \
         ON CONFLICT (kind, key) DO UPDATE SET priority = {urgent}, due_at = excluded.due_at \
         WHERE jobs.lease IS NULL AND jobs.attempts = 0 \
         AND (jobs.due_at IS NULL OR jobs.due_at > excluded.due_at) RETURNING {}",
        database.dialect().unhurried(),
        urgent = Priority::Urgent.number(),
    ))
    .bind(queue)
    .bind(kind)
    .bind(key)
    .bind(now)
    .execute(database)
    .await?;
    Ok(())
}

/// Makes a job due now that waits for another try, unless it is under way.
///
/// # Errors
/// When the database fails.
pub async fn try_now(database: &Database, (kind, key): (&str, &str), now: DateTime<Utc>) -> Result<(), StoreError> {
    sql("UPDATE jobs SET due_at = $1, attempts = 0 WHERE kind = $2 AND key = $3 AND lease IS NULL AND due_at > $1")
        .bind(now)
        .bind(kind)
        .bind(key)
        .execute(database)
        .await?;
    Ok(())
}

/// Lets a job begin anew at another time, as if it had never been tried, unless it is under way.
///
/// # Errors
/// When the database fails.
pub async fn begin_anew(tx: &mut Tx, (kind, key): (&str, &str), at: DateTime<Utc>) -> Result<(), StoreError> {
    sql("UPDATE jobs SET due_at = $1, attempts = 0, last_error = NULL WHERE kind = $2 AND key = $3 AND lease IS NULL")
        .bind(at)
        .bind(kind)
        .bind(key)
        .execute(tx)
        .await?;
    Ok(())
}

/// Locks the jobs about some keys, in one order, before several of them change: transactions that do so never wait for
/// each other in a circle.
///
/// # Errors
/// When the database fails.
pub async fn lock<'a>(tx: &mut Tx, keys: impl Iterator<Item = &'a str>) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    // Row by row, whatever the planner knows of the table.
    let select = |keys: &str| {
        format!(
            "SELECT 1 FROM ({keys}) AS keys CROSS JOIN LATERAL \
             (SELECT 1 FROM jobs WHERE jobs.key = keys.key ORDER BY kind FOR UPDATE) AS locked"
        )
    };
    // One engine: on SQLite a transaction that writes is alone.
    Bulk::new().text("key", keys.into_iter()).execute(tx, select).await.map(drop)
}

/// Kinds as a list in SQL. They are names in the program's text.
pub(super) fn list(kinds: &[&str]) -> String {
    kinds.iter().map(|kind| format!("'{}'", kind.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}
