//! Which Instagram account an account is, and what it is called: in a row that can be deleted.

use chrono::{DateTime, Utc};
use domain::AccountId;
use engine::{Database, Query, StoreError, sql};
use meta::Profile;

/// The account that an Instagram account was connected as.
pub(crate) async fn find(database: &Database, instagram_id: &str) -> Result<Option<AccountId>, StoreError> {
    let id: Option<String> = sql("SELECT account_id FROM profiles WHERE instagram_id = $1")
        .bind(instagram_id)
        .scalar_optional(database)
        .await?;
    id.map(|id| id.parse().map_err(|_| StoreError::Unreadable("a profile without an account's id".to_owned())))
        .transpose()
}

/// Which Instagram account an account is.
pub(crate) async fn of(database: &Database, account: AccountId) -> Result<Option<Profile>, StoreError> {
    let row: Option<(String, String)> = sql("SELECT instagram_id, username FROM profiles WHERE account_id = $1")
        .bind(account.to_string())
        .fetch_optional(database)
        .await?;
    Ok(row.map(|(instagram_id, username)| Profile { instagram_id, username }))
}

/// Who granted the account's token, as Meta's app knows them.
pub(crate) async fn grantor(database: &Database, account: AccountId) -> Result<Option<String>, StoreError> {
    let id: Option<Option<String>> = sql("SELECT grantor_id FROM profiles WHERE account_id = $1")
        .bind(account.to_string())
        .scalar_optional(database)
        .await?;
    Ok(id.flatten())
}

/// The write that keeps a profile as a login showed it. Two accounts for one Instagram account conflict.
pub(crate) fn keep(account: AccountId, profile: &Profile, grantor_id: Option<String>, at: DateTime<Utc>) -> Query {
    sql("INSERT INTO profiles (account_id, instagram_id, username, username_lower, grantor_id, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id) DO UPDATE SET username = excluded.username, \
         username_lower = excluded.username_lower, grantor_id = excluded.grantor_id, updated_at = excluded.updated_at")
    .bind(account.to_string())
    .bind(profile.instagram_id.as_str())
    .bind(profile.username.as_str())
    .bind(profile.username.to_lowercase())
    .bind(grantor_id)
    .bind(at)
}

/// The accounts whose tokens this person granted, as Meta's app knows them.
pub(crate) async fn of_grantor(database: &Database, grantor_id: &str) -> Result<Vec<AccountId>, StoreError> {
    let ids: Vec<String> = sql("SELECT account_id FROM profiles WHERE grantor_id = $1 ORDER BY account_id LIMIT 1000")
        .bind(grantor_id)
        .scalars(database)
        .await?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Keeps the name that an account has now, and that it was told just now.
pub(crate) async fn rename(
    database: &Database,
    account: AccountId,
    username: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sql("UPDATE profiles SET username = $2, username_lower = $3, updated_at = $4 WHERE account_id = $1")
        .bind(account.to_string())
        .bind(username)
        .bind(username.to_lowercase())
        .bind(at)
        .execute(database)
        .await?;
    Ok(())
}

/// When Meta last told the account's name.
pub(crate) async fn told_at(database: &Database, account: AccountId) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sql("SELECT updated_at FROM profiles WHERE account_id = $1")
        .bind(account.to_string())
        .scalar_optional(database)
        .await?)
}
