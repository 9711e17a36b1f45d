//! Tries that failed, one by one: operational rows, no events.

use chrono::{DateTime, Utc};
use domain::AccountId;
use store::{Database, StoreError, autocommit, read};

/// A try that failed and was put off.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Try {
    /// Of what.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub problem: String,
}

/// The latest tries for an account that failed, newest first.
///
/// # Errors
/// When the database fails.
pub async fn tries(database: &Database, account: AccountId, limit: i64) -> Result<Vec<Try>, StoreError> {
    let sql = "SELECT kind, at, problem FROM tries WHERE account_id = $1 ORDER BY at DESC LIMIT $2";
    Ok(read!(database, pool => sqlx::query_as(sql).bind(account.to_string()).bind(limit).fetch_all(pool))?)
}

/// Forgets tries from before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_tries(database: &Database, before: DateTime<Utc>) -> Result<(), StoreError> {
    autocommit!(database, pool => sqlx::query("DELETE FROM tries WHERE at < $1").bind(before).execute(pool))?;
    Ok(())
}
