//! Outboxes: tables of what is to be sent, whose rows are taken under a lease. The table has the columns `id`, `due_at` (on
//! the program's clock), `leased_until` (on the database's) and `ended_at`.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, postgres::PgRow, sqlite::SqliteRow};

use crate::{Database, read, returning};

/// Which rows of which outbox.
#[derive(Debug, Clone, Copy)]
pub struct Outbox<'a> {
    /// The table.
    pub table: &'a str,
    /// What is read of a row.
    pub columns: &'a str,
    /// Only rows with this value in this column.
    pub only: Option<(&'a str, &'a str)>,
    /// What is set besides, from what was there before: a lease that is still there ended without a word.
    pub set: Option<&'a str>,
}

/// Takes the rows that have been due longest, for as long as `lease`. An idle outbox is looked at without a write.
///
/// # Errors
/// When the database fails.
pub async fn take_due<T>(
    database: &Database,
    Outbox { table, columns, only, set }: Outbox<'_>,
    (now, lease): (DateTime<Utc>, TimeDelta),
    limit: i64,
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let among = only.map(|(column, _)| format!(" AND {column} = $3")).unwrap_or_default();
    let waiting = "ended_at IS NULL AND due_at <= $1";
    if only.is_none() {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {waiting})");
        if !read!(database, pool => sqlx::query_scalar::<_, bool>(&sql).bind(now).fetch_one(pool))? {
            return Ok(Vec::new());
        }
    }
    let set = set.map(|set| format!(", {set}")).unwrap_or_default();
    let sql = format!(
        "UPDATE {table} SET leased_until = {}{set} WHERE id IN (SELECT id FROM {table} WHERE {waiting}{among} \
         AND (leased_until IS NULL OR leased_until < {}) ORDER BY due_at LIMIT $2{}) RETURNING {columns}",
        database.clock(lease.num_seconds()),
        database.clock(0),
        database.skip_locked()
    );
    returning!(database, on => {
        let mut query = sqlx::query_as(&sql).bind(now).bind(limit);
        if let Some((_, value)) = only {
            query = query.bind(value);
        }
        query.fetch_all(on)
    })
}
