//! Claiming: one statement, whose commit doesn't wait for the disk. A crash may lose the lease, and then nobody holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use store::{Database, StoreError};

use super::{Claimed, Lease, Priority};
use crate::{LEASE, account, parse};

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    account_id: String,
    priority: i64,
    due_at: DateTime<Utc>,
    attempts: i64,
    free_widgets: i64,
    upgraded_widgets: i64,
}

/// What has been due for this long goes before first priority, as far as [`reserved`] says: nobody waits for ever.
const AGED: TimeDelta = TimeDelta::minutes(5);

/// How much of a claim is for what has waited too long.
fn reserved(limit: u32) -> u32 {
    (limit / 4).max(1)
}

static CLAIMS: AtomicU64 = AtomicU64::new(0);

/// Claims what is due now for a node: first priority first, but a share of each claim for what has waited too long.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    database: &Database,
    node: &str,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Claimed>, StoreError> {
    let (first, normal) = (Priority::First.number(), Priority::Normal.number());
    // Those that have waited too long are the first of their class again, after first priority.
    let classes = [
        class(database, normal, "$3", reserved(limit), ""),
        class(database, first, "$2", limit, ""),
        class(database, normal, "$2", limit, " OFFSET (SELECT count(*) FROM class0)"),
    ];
    claim_classes(database, node, now, limit, &classes).await
}

/// Claims what is due by the clock alone, and takes no call.
///
/// # Errors
/// When the database fails.
pub async fn claim_clock(
    database: &Database,
    node: &str,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Claimed>, StoreError> {
    let classes = [class(database, Priority::Clock.number(), "$2", limit, "")];
    claim_classes(database, node, now, limit, &classes).await
}

async fn claim_classes(
    database: &Database,
    node: &str,
    now: DateTime<Utc>,
    limit: u32,
    classes: &[String],
) -> Result<Vec<Claimed>, StoreError> {
    // On SQLite, an idle queue is looked at without a write, for there is one writer. Each class is a range of the index.
    if let Database::Sqlite(pools) = database {
        let due =
            |priority: i64| format!("EXISTS (SELECT 1 FROM work_v1 WHERE priority = {priority} AND due_at <= $1)");
        let sql = format!("SELECT {} OR {} OR {}", due(0), due(1), due(2));
        if !sqlx::query_scalar(&sql).bind(now).fetch_one(&pools.read).await? {
            return Ok(Vec::new());
        }
    }
    // Each claim's own: a worker that was late for one changes nothing of the next, of the same node either.
    let lease = format!("{node}:{}", CLAIMS.fetch_add(1, Ordering::Relaxed));
    let sql = statement(database, limit, classes);
    let aged = now - AGED;
    let mut rows: Vec<Row> = match database {
        Database::Sqlite(pools) => {
            sqlx::query_as(&sql).bind(&lease).bind(now).bind(aged).fetch_all(&pools.write).await?
        }
        Database::Postgres(pool) => sqlx::query_as(&sql).bind(&lease).bind(now).bind(aged).fetch_all(pool).await?,
    };
    rows.sort_unstable_by_key(|row| (row.priority, row.due_at));
    let claimed = |row: Row| {
        Ok(Claimed {
            kind: parse(&row.kind)?,
            account: account(&row.account_id)?,
            first: row.priority == Priority::First.number(),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            free_widgets: row.free_widgets,
            upgraded_widgets: row.upgraded_widgets,
            lease: Lease(lease.clone()),
        })
    };
    rows.into_iter().map(claimed).collect()
}

/// The clock of leases, the database's own, as both engines say it: now, and after so many seconds.
fn leases_clock(database: &Database, seconds: i64) -> String {
    match database {
        Database::Sqlite(_) => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '+{seconds} seconds')"),
        Database::Postgres(_) => format!("CURRENT_TIMESTAMP + interval '{seconds} seconds'"),
    }
}

fn class(database: &Database, priority: i64, due: &str, most: u32, offset: &str) -> String {
    let (now, lock) = (leases_clock(database, 0), database.skip_locked());
    format!(
        "SELECT kind, key FROM work_v1 WHERE priority = {priority} AND due_at <= {due} \
         AND (leased_until IS NULL OR leased_until < {now}) ORDER BY due_at LIMIT {most}{offset}{lock}"
    )
}

/// The classes are read in their order, and no further than there is room. The limits stand in the text: the planner
/// would not believe a parameter to be small.
fn statement(database: &Database, limit: u32, classes: &[String]) -> String {
    let with = classes.iter().enumerate().map(|(number, class)| format!("class{number} AS ({class}), "));
    let all = (0..classes.len()).map(|number| format!("SELECT * FROM class{number}")).collect::<Vec<_>>();
    format!(
        "WITH {}chosen AS ({} LIMIT {limit}) \
         UPDATE work_v1 SET lease = $1, leased_until = {} WHERE (kind, key) IN (SELECT kind, key FROM chosen) \
         AND $2 IS NOT NULL AND $3 IS NOT NULL \
         RETURNING kind, account_id, priority, due_at, attempts, free_widgets, upgraded_widgets, {}",
        with.collect::<String>(),
        all.join(" UNION ALL "),
        leases_clock(database, LEASE.num_seconds()),
        database.unhurried(),
    )
}
