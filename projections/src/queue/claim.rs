//! Claiming: one statement, whose commit doesn't wait for the disk. A crash may lose the lease, and then nobody holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use engine::{Connection, Database, StoreError, sql};

use super::{Claimed, Lease, Priority};
use crate::{LEASE, account, parse};

/// What a claim may take: what was due until a time, so many at most.
pub(super) struct Class {
    pub(super) priority: Priority,
    pub(super) until: DateTime<Utc>,
    pub(super) most: u32,
    /// The number of an earlier class of the same priority, whose rows are among the most and are passed over.
    pub(super) after: Option<usize>,
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    kind: String,
    account_id: String,
    #[sqlx(try_from = "i64")]
    pub(super) priority: Priority,
    pub(super) due_at: DateTime<Utc>,
    attempts: i64,
    cause: i64,
    free_widgets: i64,
    upgraded_widgets: i64,
}

impl Row {
    pub(super) fn claimed(self, lease: &Lease) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            kind: parse(&self.kind)?,
            account: account(&self.account_id)?,
            first: self.priority == Priority::First,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            cause: self.cause,
            free_widgets: self.free_widgets,
            upgraded_widgets: self.upgraded_widgets,
            lease: lease.clone(),
        })
    }
}

/// A claim walks along the index, whatever the planner knows of the table: there may be many more due than it thinks.
pub(super) const PLANNER: &[(&str, &str)] = &[("enable_sort", "off"), ("enable_bitmapscan", "off")];

static CLAIMS: AtomicU64 = AtomicU64::new(0);

/// Takes what is due since `from`, which is by priority, for a lease of this claim's own: a worker that was late for one
/// changes nothing of the next, of the same node either.
pub(super) async fn take(
    database: &Database,
    own: &mut Connection,
    node: &str,
    classes: &[Class],
    limit: u32,
    from: impl Fn(Priority) -> DateTime<Utc>,
) -> Result<(Lease, Vec<Row>), StoreError> {
    let lease = Lease(format!("{node}:{}", CLAIMS.fetch_add(1, Ordering::Relaxed)));
    if !database.is_shared() {
        // Each class is a range of the index.
        let due = |class: &Class| {
            format!("EXISTS (SELECT 1 FROM work_v1 WHERE priority = {} AND due_at <= $1)", class.priority.number())
        };
        // One engine: SQLite has one writer, so an idle queue is looked at without a write.
        let is_any = sql(format!("SELECT {}", classes.iter().map(due).collect::<Vec<_>>().join(" OR ")));
        let now = classes.iter().map(|class| class.until).max();
        if !is_any.bind(now).scalar::<bool>(database).await? {
            return Ok((lease, Vec::new()));
        }
    }
    let query = sql(statement(database, limit, classes)).bind(&lease.0);
    let query = classes.iter().fold(query, |query, class| query.bind(from(class.priority)).bind(class.until));
    let mut rows: Vec<Row> = match database {
        Database::Sqlite(_) => query.fetch_all(database.writing()).await?,
        Database::Postgres(pool) => {
            let mut taken = own.take(pool).await?;
            let rows = query.fetch_all(&mut taken).await;
            own.keep(taken, rows.as_ref().err());
            rows?
        }
    };
    rows.sort_unstable_by_key(|row| (row.priority, row.due_at));
    Ok((lease, rows))
}

/// Whether something of a class was due at some time, and nobody works on it.
pub(super) async fn waits(database: &Database, priority: Priority, until: DateTime<Utc>) -> Result<bool, StoreError> {
    Ok(sql(format!(
        "SELECT EXISTS (SELECT 1 FROM work_v1 WHERE priority = {} AND due_at <= $1 \
         AND (leased_until IS NULL OR leased_until < {}))",
        priority.number(),
        database.dialect().clock(0),
    ))
    .bind(until)
    .scalar(database)
    .await?)
}

/// Selects a class; its two times are parameters, after those of the classes before.
fn select(database: &Database, number: usize, class: &Class) -> String {
    let (now, lock) = (database.dialect().clock(0), database.dialect().skip_locked());
    let limit = match class.after {
        Some(after) => {
            let taken = format!("(SELECT count(*) FROM class{after})");
            format!("{} - {taken} OFFSET {taken}", class.most)
        }
        None => class.most.to_string(),
    };
    let (from, until) = (2 + 2 * number, 3 + 2 * number);
    format!(
        "SELECT kind, key FROM work_v1 WHERE priority = {} AND due_at BETWEEN ${from} AND ${until} \
         AND (leased_until IS NULL OR leased_until < {now}) ORDER BY due_at LIMIT {limit}{lock}",
        class.priority.number(),
    )
}

/// The classes are read in their order, and no further than there is room. The limits stand in the text: the planner
/// would not believe a parameter to be small.
fn statement(database: &Database, limit: u32, classes: &[Class]) -> String {
    let with = classes
        .iter()
        .enumerate()
        .map(|(number, class)| format!("class{number} AS ({}), ", select(database, number, class)));
    let all = (0..classes.len()).map(|number| format!("SELECT * FROM class{number}")).collect::<Vec<_>>();
    format!(
        "WITH {}chosen AS ({} LIMIT {limit}) \
         UPDATE work_v1 SET lease = $1, leased_until = {} WHERE (kind, key) IN (SELECT kind, key FROM chosen) \
         RETURNING kind, account_id, priority, due_at, attempts, cause, free_widgets, upgraded_widgets, {}",
        with.collect::<String>(),
        all.join(" UNION ALL "),
        database.dialect().clock(LEASE.num_seconds()),
        database.dialect().unhurried(),
    )
}
