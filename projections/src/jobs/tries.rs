//! Tries that failed, one by one: operational rows, no events.

use chrono::{DateTime, Utc};
use domain::AccountId;
use engine::{Database, StoreError, Tx, jobs::End, sql};

use super::Job;

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

/// Lets a job that failed be tried again later, and notes the try.
///
/// # Errors
/// When the database fails.
pub async fn retry(database: &Database, job: &Job, failed: Retry<'_>) -> Result<(), StoreError> {
    let Retry { due_at, error, in_line, .. } = failed;
    let mut tx = database.begin().await?;
    if job.held.end(&mut tx, End::Retry { at: due_at, why: error.to_owned(), in_line }).await?.is_none() {
        return Ok(());
    }
    note(&mut tx, &job.account.to_string(), job.kind.name(), failed).await?;
    Ok(tx.commit().await?)
}

/// Notes a try that led to nothing, in the transaction that ends its job.
///
/// # Errors
/// When the database fails.
pub async fn note_try(tx: &mut Tx, job: &Job, at: DateTime<Utc>, error: &str) -> Result<(), StoreError> {
    let failed = Retry { at, due_at: at, error, in_line: true };
    note(tx, &job.account.to_string(), job.kind.name(), failed).await
}

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

/// How many are kept of an account: with Meta away for days, they would be very many.
const KEPT: i64 = 20;

/// Notes one, and forgets those of the account that are too many.
async fn note(tx: &mut Tx, account: &str, kind: &str, failed: Retry<'_>) -> Result<(), StoreError> {
    sql("INSERT INTO tries (account_id, kind, at, problem) VALUES ($1, $2, $3, $4)")
        .bind(account)
        .bind(kind)
        .bind(failed.at)
        .bind(failed.error)
        .execute(&mut *tx)
        .await?;
    sql("DELETE FROM tries WHERE account_id = $1 AND at <= \
         (SELECT at FROM tries WHERE account_id = $1 ORDER BY at DESC LIMIT 1 OFFSET $2)")
    .bind(account)
    .bind(KEPT)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The latest tries for an account that failed, newest first.
///
/// # Errors
/// When the database fails.
pub async fn tries(database: &Database, account: AccountId) -> Result<Vec<Try>, StoreError> {
    Ok(sql("SELECT kind, at, problem FROM tries WHERE account_id = $1 ORDER BY at DESC")
        .bind(account.to_string())
        .fetch_all(database)
        .await?)
}

/// Forgets tries from before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_tries(database: &Database, before: DateTime<Utc>) -> Result<(), StoreError> {
    sql("DELETE FROM tries WHERE at < $1").bind(before).execute(database).await?;
    Ok(())
}
