//! What becomes of what was claimed: done, tried again later, given back.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::AccountId;
use engine::{Bulk, Database, Dialect, StoreError, Tx, sql};

use super::{Claimed, Kind, Priority, tries};

/// Completes things in the transaction that stores their results, and says when each is due again; `None`: not before
/// something happens. Those whose lease isn't held any more stay as they are, and their results must not be stored: for each, whether it was.
///
/// # Errors
/// When the database fails.
pub async fn complete(tx: &mut Tx, done: &[(&Claimed, Option<DateTime<Utc>>)]) -> Result<Vec<bool>, StoreError> {
    let stays = |(claimed, next): &(&Claimed, Option<_>)| claimed.kind == Kind::Pull || next.is_some();
    let (rows, ends): (Vec<_>, Vec<_>) = done.iter().copied().partition(stays);
    let usual = Kind::usual_sql("done.kind");
    let update = |rows: &str| {
        format!(
            "UPDATE work_v1 SET due_at = done.next, priority = {usual}, attempts = 0, last_error = NULL, lease = NULL, \
             leased_until = NULL FROM ({rows}) AS done WHERE work_v1.kind = done.kind AND work_v1.key = done.key \
             AND work_v1.lease = done.lease RETURNING work_v1.kind, work_v1.key"
        )
    };
    let delete = |rows: &str| {
        format!(
            "DELETE FROM work_v1 WHERE (kind, key, lease) IN (SELECT kind, key, lease FROM ({rows}) AS done) \
             RETURNING kind, key"
        )
    };
    let keys = |done: &[(&Claimed, _)]| done.iter().map(|(claimed, _)| claimed.account.to_string()).collect::<Vec<_>>();
    if done.len() > 1 {
        lock(tx, keys(done).iter().map(String::as_str)).await?;
    }
    let mut held: HashSet<(String, String)> = HashSet::new();
    held.extend(bulk(&rows, &keys(&rows)).fetch_all::<(String, String)>(&mut *tx, update).await?);
    held.extend(bulk(&ends, &keys(&ends)).fetch_all::<(String, String)>(&mut *tx, delete).await?);
    let is_held =
        |(claimed, _): &(&Claimed, _)| held.contains(&(claimed.kind.name().to_owned(), claimed.account.to_string()));
    Ok(done.iter().map(is_held).collect())
}

/// Whoever changes several rows of the queue locks them first, in one order: nobody waits for one who waits for them.
pub(crate) async fn lock<'a>(tx: &mut Tx, keys: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Postgres {
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        // One engine: on SQLite a transaction that writes is alone.
        let rows = Bulk::new().text("id", keys.into_iter());
        // Row by row, whatever the planner knows of the table.
        let select = |ids: &str| {
            format!(
                "SELECT 1 FROM ({ids}) AS ids CROSS JOIN LATERAL \
                 (SELECT 1 FROM work_v1 WHERE account_id = ids.id ORDER BY kind, key FOR UPDATE) AS locked"
            )
        };
        rows.execute(&mut *tx, select).await?;
    }
    Ok(())
}

fn bulk<'a>(done: &'a [(&'a Claimed, Option<DateTime<Utc>>)], keys: &'a [String]) -> Bulk<'a> {
    Bulk::new()
        .text("kind", done.iter().map(|(claimed, _)| claimed.kind.name()))
        .text("key", keys.iter().map(String::as_str))
        .text("lease", done.iter().map(|(claimed, _)| claimed.lease.0.as_str()))
        .time("next", done.iter().map(|(_, next)| *next))
}

/// A try that failed.
#[derive(Debug, Clone, Copy)]
pub struct Retry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// When it is tried again.
    pub due_at: DateTime<Utc>,
    /// Why, as the account's page shows it.
    pub error: &'a str,
    /// From now on it stands in line with the others, also if somebody waited for it.
    pub in_line: bool,
}

/// Gives something back that failed, to be tried again later, and notes the try.
///
/// # Errors
/// When the database fails.
pub async fn retry(database: &Database, claimed: &Claimed, failed: Retry<'_>) -> Result<(), StoreError> {
    // Somebody who waits doesn't for ever: after a few tries it stands in line with the others.
    let patience = if failed.in_line { 0 } else { 3 };
    let (kind, key) = (claimed.kind.name(), claimed.account.to_string());
    let mut tx = database.begin().await?;
    let held = sql("UPDATE work_v1 SET due_at = $1, \
                    priority = CASE WHEN priority = 0 AND attempts >= $6 THEN 1 ELSE priority END, \
                    attempts = attempts + 1, last_error = $2, lease = NULL, leased_until = NULL \
                    WHERE kind = $3 AND key = $4 AND lease = $5")
    .bind(failed.due_at)
    .bind(failed.error)
    .bind(kind)
    .bind(&key)
    .bind(&claimed.lease.0)
    .bind(patience)
    .execute(&mut tx)
    .await?;
    if held == 0 {
        return Ok(());
    }
    tries::note(&mut tx, &key, kind, failed).await?;
    Ok(tx.commit().await?)
}

/// Gives something back that was not tried, for later; `why` is shown to support.
///
/// # Errors
/// When the database fails.
pub async fn postpone(
    database: &Database,
    claimed: &Claimed,
    due_at: DateTime<Utc>,
    why: &str,
) -> Result<(), StoreError> {
    let (kind, key) = (claimed.kind.name(), claimed.account.to_string());
    sql("UPDATE work_v1 SET due_at = $1, last_error = $2, lease = NULL, leased_until = NULL \
         WHERE kind = $3 AND key = $4 AND lease = $5")
    .bind(due_at)
    .bind(why)
    .bind(kind)
    .bind(&key)
    .bind(&claimed.lease.0)
    .execute(database)
    .await?;
    Ok(())
}

/// Makes a check of an account due now that waits for another try, unless it is under way.
///
/// # Errors
/// When the database fails.
pub async fn ask_again(database: &Database, account: AccountId, now: DateTime<Utc>) -> Result<(), StoreError> {
    sql("UPDATE work_v1 SET due_at = $1, attempts = 0 WHERE kind = 'check' AND key = $2 AND lease IS NULL \
         AND due_at > $1")
    .bind(now)
    .bind(account.to_string())
    .execute(database)
    .await?;
    Ok(())
}

/// Makes a check of an account due now, unless one is under way or waits for another try: one at a time an account, over
/// all nodes. It doesn't wait for the disk: whoever looks asks again.
///
/// # Errors
/// When the database fails.
pub async fn ask_check(database: &Database, account: AccountId, now: DateTime<Utc>) -> Result<(), StoreError> {
    sql(format!(
        "INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
         VALUES ('check', $1, $1, 0, 0, {first}, $2, 0) ON CONFLICT (kind, key) DO UPDATE SET priority = {first}, \
         due_at = excluded.due_at WHERE work_v1.lease IS NULL AND work_v1.attempts = 0 \
         AND work_v1.due_at > excluded.due_at RETURNING {}",
        database.dialect().unhurried(),
        first = Priority::First.number(),
    ))
    .bind(account.to_string())
    .bind(now)
    .execute(database)
    .await?;
    Ok(())
}
