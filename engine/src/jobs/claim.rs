//! Claiming: one statement, whose commit is asynchronous. A crash may lose the lease, and then nobody holds it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};

use super::{Held, Job, LEASE, Priority};
use crate::{Connection, Database, Dialect, StoreError, sql};

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
    key: String,
    priority: i64,
    pub(super) due_at: DateTime<Utc>,
    attempts: i64,
    cause: i64,
    was_held: bool,
}

impl Row {
    pub(super) fn is_urgent(&self) -> bool {
        self.priority == Priority::Urgent.number()
    }

    pub(super) fn job(self, lease: &Arc<str>) -> Job {
        Job {
            is_urgent: self.is_urgent(),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            cause: self.cause,
            was_held: self.was_held,
            held: Held { kind: self.kind, key: self.key, lease: lease.clone() },
        }
    }
}

/// A claim walks along the index, whatever the planner knows of the table: there may be many more due than it thinks.
pub(super) const PLANNER: &[(&str, &str)] = &[("enable_sort", "off"), ("enable_bitmapscan", "off")];

static CLAIMS: AtomicU64 = AtomicU64::new(0);

/// Claims what is due since `from`, which is by priority, under a lease of this claim's own. `among`: the condition that the
/// worker knows a job's kind.
pub(super) async fn claim(
    database: &Database,
    own: &mut Connection,
    (queue, node, among): (&str, &str, &str),
    classes: &[Class],
    limit: u32,
    from: impl Fn(Priority) -> DateTime<Utc>,
) -> Result<(Arc<str>, Vec<Row>), StoreError> {
    let lease: Arc<str> = format!("{node}:{}", CLAIMS.fetch_add(1, Ordering::Relaxed)).into();
    if !database.is_shared() && !is_any_due(database, (queue, among), classes).await? {
        return Ok((lease, Vec::new()));
    }
    let query = sql(statement(database.dialect(), limit, classes, among)).bind(&*lease).bind(queue);
    let query = classes.iter().fold(query, |query, class| query.bind(from(class.priority)).bind(class.until));
    let mut rows: Vec<Row> = match database {
        Database::Sqlite(_) => query.fetch_all(database.writing()).await?,
        Database::Postgres(pool) => {
            let mut taken = own.take(pool).await?;
            let rows = query.fetch_all(&mut *taken).await;
            own.keep(taken, rows.as_ref().err());
            rows?
        }
    };
    rows.sort_unstable_by_key(|row| (row.priority, row.due_at));
    Ok((lease, rows))
}

/// Whether there is something to claim. Each class is a range of the index.
async fn is_any_due(database: &Database, (queue, among): (&str, &str), classes: &[Class]) -> Result<bool, StoreError> {
    let due = |class: &Class| {
        format!(
            "EXISTS (SELECT 1 FROM jobs WHERE queue = $1 AND priority = {} AND due_at <= $2{among} \
             AND {})",
            class.priority.number(),
            database.dialect().is_free("jobs", LEASE.num_seconds())
        )
    };
    let now = classes.iter().map(|class| class.until).max();
    // One engine: SQLite has one writer, so an idle queue is looked at without a write.
    let is_any = sql(format!("SELECT {}", classes.iter().map(due).collect::<Vec<_>>().join(" OR ")));
    Ok(is_any.bind(queue).bind(now).scalar(database).await?)
}

/// Selects a class; its two times are parameters, after those of the classes before.
fn select(dialect: Dialect, number: usize, class: &Class, among: &str) -> String {
    let limit = match class.after {
        Some(after) => {
            let taken = format!("(SELECT count(*) FROM class{after})");
            format!("{} - {taken} OFFSET {taken}", class.most)
        }
        None => class.most.to_string(),
    };
    let (from, until) = (3 + 2 * number, 4 + 2 * number);
    format!(
        "SELECT kind, key FROM jobs WHERE queue = $2 AND priority = {} AND due_at BETWEEN ${from} AND ${until} \
         AND {}{among} ORDER BY due_at LIMIT {limit}{}",
        class.priority.number(),
        dialect.is_free("jobs", LEASE.num_seconds()),
        dialect.skip_locked(),
    )
}

/// The classes are read in their order, and no further than there is room. The limits stand in the text: the planner
/// would not believe a parameter to be small.
fn statement(dialect: Dialect, limit: u32, classes: &[Class], among: &str) -> String {
    let with = classes
        .iter()
        .enumerate()
        .map(|(number, class)| format!("class{number} AS ({}), ", select(dialect, number, class, among)));
    let all = (0..classes.len()).map(|number| format!("SELECT * FROM class{number}")).collect::<Vec<_>>();
    format!(
        "WITH {}chosen AS ({} LIMIT {limit}) \
         UPDATE jobs SET was_held = (lease IS NOT NULL), lease = $1, leased_until = {} WHERE (kind, key) IN (SELECT kind, key FROM chosen) \
         RETURNING kind, key, priority, due_at, attempts, cause, was_held, {}",
        with.collect::<String>(),
        all.join(" UNION ALL "),
        dialect.clock(LEASE.num_seconds()),
        dialect.unhurried(),
    )
}
