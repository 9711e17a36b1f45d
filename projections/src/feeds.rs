//! Feeds: the posts that widgets show, one for each plan of an account's widgets; and when Meta was last heard.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{AccountId, Connection, TokenId, account::Plan};
use engine::{Bulk, Database, StoreError, Tx, jobs::Ended, sql};

/// A stored feed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Feed {
    /// The posts, as the JSON that widgets are served.
    pub posts: String,
    /// When they were fetched.
    pub fetched_at: DateTime<Utc>,
}

/// The feed that an account's widgets of a plan show: their plan's own, or until that is there the other plan's, so that a
/// widget whose plan has just changed isn't blank.
///
/// # Errors
/// When the database fails.
pub async fn feed(database: &Database, account: AccountId, plan: Plan) -> Result<Option<Feed>, StoreError> {
    Ok(sql("SELECT posts, fetched_at FROM feeds WHERE account_id = $1 \
            ORDER BY CASE plan WHEN $2 THEN 0 ELSE 1 END LIMIT 1")
    .bind(account.to_string())
    .bind(plan.name())
    .fetch_optional(database)
    .await?)
}

/// When the feed of each plan was fetched.
///
/// # Errors
/// When the database fails.
pub async fn fetched_at(database: &Database, account: AccountId) -> Result<Vec<(Plan, DateTime<Utc>)>, StoreError> {
    let rows: Vec<(String, DateTime<Utc>)> = sql("SELECT plan, fetched_at FROM feeds WHERE account_id = $1")
        .bind(account.to_string())
        .fetch_all(database)
        .await?;
    rows.into_iter().map(|(plan, at)| Ok((crate::parse(&plan)?, at))).collect()
}

/// Stores what a job pulled, for the widgets of these plans.
///
/// # Errors
/// When the database fails.
pub async fn store(
    tx: &mut Tx,
    _: &Ended,
    account: AccountId,
    plans: &[Plan],
    posts: &str,
    fetched_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    for plan in plans {
        sql("INSERT INTO feeds (account_id, plan, posts, fetched_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (account_id, plan) DO UPDATE SET posts = excluded.posts, \
             fetched_at = excluded.fetched_at")
        .bind(account.to_string())
        .bind(plan.name())
        .bind(posts)
        .bind(fetched_at)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Deletes the posts of accounts that were disconnected before a time, or whose person removed the app: they are no longer ours
/// to show.
///
/// # Errors
/// When the database fails.
pub async fn forget_of_gone(database: &Database, before: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(sql("DELETE FROM feeds WHERE account_id IN (SELECT account_id FROM account_status_v1 \
            WHERE since < $1 AND (status = 'disconnected' OR (status = 'expired' AND reason = 'app_removed')))")
    .bind(before)
    .execute(database)
    .await?)
}

/// When Meta was last heard about an account's token.
///
/// # Errors
/// When the database fails.
pub async fn heard_at(database: &Database, account: AccountId) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sql("SELECT checked_at FROM checks WHERE account_id = $1")
        .bind(account.to_string())
        .scalar_optional(database)
        .await?)
}

/// The same of many accounts: those of which it was heard.
///
/// # Errors
/// When the database fails.
pub async fn heard_of(
    database: &Database,
    accounts: impl Iterator<Item = AccountId>,
) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
    let ids: Vec<_> = accounts.map(|account| account.to_string()).collect();
    let select = |ids: &str| {
        format!("SELECT account_id, checked_at FROM checks WHERE account_id IN (SELECT id FROM ({ids}) AS ids)")
    };
    let heard: Vec<(String, DateTime<Utc>)> =
        Bulk::new().text("id", ids.iter().map(String::as_str)).fetch_all(database, select).await?;
    Ok(heard.into_iter().collect())
}

/// Notes that Meta said something about a token just now, as a job heard it.
///
/// # Errors
/// When the database fails.
pub async fn heard(
    tx: &mut Tx,
    _: &Ended,
    account: AccountId,
    token: TokenId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sql("INSERT INTO checks (account_id, token_id, checked_at) VALUES ($1, $2, $3) \
         ON CONFLICT (account_id) DO UPDATE SET token_id = excluded.token_id, checked_at = excluded.checked_at")
    .bind(account.to_string())
    .bind(token.to_string())
    .bind(at)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// How many accounts of an app Meta was heard about since, well.
///
/// # Errors
/// When the database fails.
pub async fn heard_since(database: &Database, connection: Connection, since: DateTime<Utc>) -> Result<i64, StoreError> {
    Ok(sql("SELECT count(*) FROM checks c JOIN account_status_v1 s ON s.account_id = c.account_id \
            WHERE c.checked_at > $1 AND s.connection = $2 AND s.status = 'active'")
    .bind(since)
    .bind(connection.name())
    .scalar(database)
    .await?)
}
