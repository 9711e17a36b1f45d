//! What waits, for people who look.

use chrono::{DateTime, Utc};

use super::LEASE;
use crate::{Bulk, Database, StoreError, sql};

/// A job that waits or is under way.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct Waiting {
    /// Where it stands.
    pub queue: String,
    /// What is to be done.
    pub kind: String,
    /// What it is about.
    pub key: String,
    /// 0 goes first.
    pub priority: i64,
    /// When it is due; `None`: not before it is scheduled again.
    pub due_at: Option<DateTime<Utc>>,
    /// The position of the event that scheduled it.
    pub cause: i64,
    /// How often it failed since.
    pub attempts: i64,
    /// Why, the last time.
    pub last_error: Option<String>,
    /// Until when a worker holds it, on the database's clock.
    pub leased_until: Option<DateTime<Utc>>,
}

const SELECT: &str = "SELECT queue, kind, key, priority, due_at, cause, attempts, last_error, leased_until FROM jobs";

/// The jobs of one key in any queue, or those of a queue that are due at some time; in the order in which they go.
///
/// # Errors
/// When the database fails.
pub async fn waiting(database: &Database, of: Of<'_>, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    let (condition, value) = match of {
        Of::Key(key) => ("key = $1", key),
        Of::Queue(queue) => ("queue = $1 AND due_at IS NOT NULL", queue),
    };
    Ok(sql(format!("{SELECT} WHERE {condition} ORDER BY priority, due_at LIMIT $2"))
        .bind(value)
        .bind(limit)
        .fetch_all(database)
        .await?)
}

/// Which jobs to look at.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// Those about this.
    Key(&'a str),
    /// Those in this queue.
    Queue(&'a str),
}

/// Whether a job of normal priority that meets a condition was due in a queue at some time, and no worker holds it.
pub(super) async fn waits(
    database: &Database,
    (queue, among): (&str, &str),
    until: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let waits = format!(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = $1 AND priority = 1 AND due_at <= $2{} \
         AND {})",
        among,
        database.dialect().is_free("jobs", LEASE.num_seconds()),
    );
    Ok(sql(waits).bind(queue).bind(until).scalar(database).await?)
}

/// Those of some queues in which a job that meets a condition was due at some time, and no worker holds it.
pub(super) async fn waiting_queues(
    database: &Database,
    (queues, among): (&[&str], &str),
    until: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let select = |queues: &str| {
        format!(
            "SELECT queues.queue FROM ({queues}) AS queues WHERE EXISTS (SELECT 1 FROM jobs \
             WHERE jobs.queue = queues.queue AND priority = 1 AND due_at <= queues.until{among} \
             AND {})",
            database.dialect().is_free("jobs", LEASE.num_seconds()),
        )
    };
    let rows = Bulk::new().text("queue", queues.iter().copied()).time("until", queues.iter().map(|_| until));
    Ok(rows.fetch_all::<(String,)>(database, select).await?.into_iter().map(|(queue,)| queue).collect())
}
