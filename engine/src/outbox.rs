//! Outboxes: tables of what is to be sent, whose rows are taken under a lease. The table has the columns `id`, `due_at` (on
//! the program's clock), `leased_until` (on the database's) and `ended_at`.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Database, Row, sql};

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
pub async fn take_due<T: Row>(
    database: &Database,
    Outbox { table, columns, only, set }: Outbox<'_>,
    (now, lease): (DateTime<Utc>, TimeDelta),
    limit: i64,
) -> Result<Vec<T>, sqlx::Error> {
    let among = only.map(|(column, _)| format!(" AND {column} = $3")).unwrap_or_default();
    let waiting = "ended_at IS NULL AND due_at <= $1";
    if only.is_none() {
        let is_any = sql(format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {waiting})")).bind(now);
        if !is_any.scalar::<bool>(database).await? {
            return Ok(Vec::new());
        }
    }
    let set = set.map(|set| format!(", {set}")).unwrap_or_default();
    let dialect = database.dialect();
    let take = sql(format!(
        "UPDATE {table} SET leased_until = {}{set} WHERE id IN (SELECT id FROM {table} WHERE {waiting}{among} \
         AND (leased_until IS NULL OR leased_until < {}) ORDER BY due_at LIMIT $2{}) RETURNING {columns}",
        dialect.clock(lease.num_seconds()),
        dialect.clock(0),
        dialect.skip_locked()
    ));
    let take = only.into_iter().fold(take.bind(now).bind(limit), |take, (_, value)| take.bind(value));
    take.fetch_all(database.writing()).await
}
