//! What waits, for support.

use chrono::{DateTime, Utc};
use domain::AccountId;
use engine::{Database, StoreError, sql};

/// Something that waits or is under way, as support sees it.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct Waiting {
    /// What.
    pub kind: String,
    /// Whose.
    pub account_id: String,
    /// 0 goes first.
    pub priority: i64,
    /// When it is due; `null` rests.
    pub due_at: Option<DateTime<Utc>>,
    /// The position of the event that put it here.
    pub cause: i64,
    /// How often it failed since.
    pub attempts: i64,
    /// Why, the last time.
    pub last_error: Option<String>,
    /// Until when somebody works on it.
    pub leased_until: Option<DateTime<Utc>>,
}

/// What waits for an account, or for all of them, in the order in which it goes.
///
/// # Errors
/// When the database fails.
pub async fn waiting(database: &Database, account: Option<AccountId>, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    let columns = "SELECT kind, account_id, priority, due_at, cause, attempts, last_error, leased_until FROM work_v1";
    let rows = match account {
        Some(account) => {
            sql(format!("{columns} WHERE account_id = $1 ORDER BY priority, due_at LIMIT $2"))
                .bind(account.to_string())
                .bind(limit)
                .fetch_all(database)
                .await?
        }
        None => {
            sql(format!("{columns} WHERE due_at IS NOT NULL ORDER BY priority, due_at LIMIT $1"))
                .bind(limit)
                .fetch_all(database)
                .await?
        }
    };
    Ok(rows)
}
