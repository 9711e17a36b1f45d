//! The jobs of a projection that is rebuilt, or whose aggregate is folded anew.

use chrono::{DateTime, Utc};

use super::schedule::list;
use crate::{Bulk, Dialect, Tx, sql};

/// How many jobs are removed in one transaction.
const AT_ONCE: usize = 10_000;

/// Removes all that was scheduled beside in one go, where that costs nothing and no other rebuild is under way than the one of
/// this name; whether it did.
pub(crate) async fn empty_at_once(tx: &mut Tx, rebuild: &str) -> Result<bool, sqlx::Error> {
    if !sql("SELECT EXISTS (SELECT 1 FROM jobs_rebuild)").scalar(&mut *tx).await? {
        return Ok(true);
    }
    if tx.dialect() == Dialect::Sqlite {
        return Ok(false);
    }
    // One engine: SQLite overwrites each page that it frees, and would block other writers meanwhile.
    sql("LOCK TABLE jobs_rebuild IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
    // One engine: as above. Each rebuild has its checkpoint before its first job.
    let others = sql("SELECT EXISTS (SELECT 1 FROM checkpoints WHERE name LIKE '%\\_rebuild' AND name <> $1)");
    if others.bind(rebuild).scalar(&mut *tx).await? {
        return Ok(false);
    }
    // One engine: as above.
    sql("TRUNCATE jobs_rebuild").execute(tx).await?;
    Ok(true)
}

/// Removes what was scheduled beside of these kinds about the next keys after one; the last of them, `None`: there were none.
pub(crate) async fn empty_after(tx: &mut Tx, kinds: &[&str], after: &str) -> Result<Option<String>, sqlx::Error> {
    let next = format!("SELECT key FROM jobs_rebuild WHERE key > $1 ORDER BY key LIMIT {AT_ONCE}");
    let last = sql(format!("SELECT max(key) FROM ({next}) AS next")).bind(after);
    let last: Option<String> = last.scalar(&mut *tx).await?;
    if let Some(last) = &last {
        sql(format!("DELETE FROM jobs_rebuild WHERE key > $1 AND key <= $2 AND kind IN ({})", list(kinds)))
            .bind(after)
            .bind(last)
            .execute(&mut *tx)
            .await?;
    }
    Ok(last)
}

/// The next keys about which jobs of these kinds are scheduled, here or beside: so many at most, in their order.
pub(crate) async fn keys_after(
    tx: &mut Tx,
    kinds: &[&str],
    after: &str,
    limit: usize,
) -> Result<Vec<String>, sqlx::Error> {
    let mut all = Vec::new();
    let mut until = None;
    for table in ["jobs", "jobs_rebuild"] {
        // Along the key's index, whatever the planner knows of the table.
        let select = format!(
            "SELECT key FROM {table} WHERE key > $1 AND kind IN ({}) GROUP BY key ORDER BY key LIMIT {limit}",
            list(kinds)
        );
        let keys: Vec<String> = sql(select).bind(after).scalars(&mut *tx).await?;
        if keys.len() == limit {
            // There may be more behind the last.
            until = keys.last().cloned().into_iter().chain(until).min();
        }
        all.extend(keys);
    }
    all.sort_unstable();
    all.dedup();
    all.retain(|key| until.as_ref().is_none_or(|until| key <= until));
    Ok(all)
}

/// Brings the jobs of these kinds about some keys to what was scheduled beside: what workers made of a job since its cause
/// stays as it is.
pub(crate) async fn reconcile(tx: &mut Tx, kinds: &[&str], keys: &[String]) -> Result<(), sqlx::Error> {
    if kinds.is_empty() {
        return Ok(());
    }
    super::lock(tx, keys.iter().map(String::as_str)).await?;
    let kinds = list(kinds);
    let delete = |keys: &str| {
        format!(
            "DELETE FROM jobs WHERE kind IN ({kinds}) AND key IN ({keys}) AND NOT EXISTS \
             (SELECT 1 FROM jobs_rebuild AS new WHERE jobs.kind = new.kind AND jobs.key = new.key)"
        )
    };
    let update = |keys: &str| {
        format!(
            "UPDATE jobs SET queue = new.queue, due_at = new.due_at, priority = new.priority, cause = new.cause, \
             attempts = 0, last_error = NULL, lease = NULL, leased_until = NULL FROM jobs_rebuild AS new \
             WHERE new.kind IN ({kinds}) AND new.key IN ({keys}) AND jobs.kind = new.kind AND jobs.key = new.key \
             AND (jobs.cause <> new.cause OR jobs.queue <> new.queue OR (jobs.due_at IS NULL) <> (new.due_at IS NULL))"
        )
    };
    let insert = |keys: &str| {
        format!(
            "INSERT INTO jobs SELECT * FROM jobs_rebuild AS new WHERE new.kind IN ({kinds}) AND new.key IN ({keys}) \
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.kind = new.kind AND jobs.key = new.key)"
        )
    };
    let rows = || Bulk::new().text("key", keys.iter().map(String::as_str));
    rows().execute(&mut *tx, delete).await?;
    rows().execute(&mut *tx, update).await?;
    rows().execute(&mut *tx, insert).await.map(drop)
}

/// What workers made of a job since its cause.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Kept {
    kind: String,
    key: String,
    priority: i64,
    due_at: Option<DateTime<Utc>>,
    cause: i64,
    attempts: i64,
    last_error: Option<String>,
    lease: Option<String>,
    leased_until: Option<DateTime<Utc>>,
}

/// The jobs of one key, as they are before they are scheduled anew.
pub(crate) async fn of_key(tx: &mut Tx, key: &str, kinds: &[&str]) -> Result<Vec<Kept>, sqlx::Error> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    super::lock(tx, std::iter::once(key)).await?;
    sql(format!(
        "SELECT kind, key, priority, due_at, cause, attempts, last_error, lease, leased_until FROM jobs \
         WHERE key = $1 AND kind IN ({})",
        list(kinds)
    ))
    .bind(key)
    .fetch_all(tx)
    .await
}

/// Gives those that have the same cause as before what workers had made of them, as after a rebuild.
pub(crate) async fn restore(tx: &mut Tx, kept: &[Kept]) -> Result<(), sqlx::Error> {
    for job in kept {
        sql(
            "UPDATE jobs SET priority = $1, due_at = $2, attempts = $3, last_error = $4, lease = $5, leased_until = $6 \
             WHERE kind = $7 AND key = $8 AND cause = $9",
        )
        .bind(job.priority)
        .bind(job.due_at)
        .bind(job.attempts)
        .bind(job.last_error.as_deref())
        .bind(job.lease.as_deref())
        .bind(job.leased_until)
        .bind(&job.kind)
        .bind(&job.key)
        .bind(job.cause)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
