//! Which account's posts a widget shows.

use chrono::{DateTime, Utc};
use domain::{AccountId, WidgetId, account::Plan};
use engine::{Database, StoreError, sql};

use crate::{account, parse};

/// A widget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widget {
    /// Its id.
    pub id: WidgetId,
    /// The account whose posts it shows.
    pub account: AccountId,
    /// Its plan.
    pub plan: Plan,
    /// It was removed: its page says so.
    pub removed: bool,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// When its feed was fetched, if it ever was.
    pub fetched_at: Option<DateTime<Utc>>,
    /// When its account is pulled next; `None` rests.
    pub due_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    widget_id: String,
    account_id: String,
    plan: String,
    removed: bool,
    added_at: DateTime<Utc>,
    fetched_at: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
}

const SELECT: &str = "SELECT w.widget_id, w.account_id, w.plan, w.removed, w.added_at, p.due_at, \
    coalesce(f.fetched_at, (SELECT max(o.fetched_at) FROM feeds o WHERE o.account_id = w.account_id)) AS fetched_at \
    FROM widgets_v1 w LEFT JOIN feeds f ON f.account_id = w.account_id AND f.plan = w.plan \
    LEFT JOIN jobs p ON p.kind = 'pull' AND p.key = w.account_id";

/// A widget, also a removed one.
///
/// # Errors
/// When the database fails.
pub async fn widget(database: &Database, id: WidgetId) -> Result<Option<Widget>, StoreError> {
    let row: Option<Row> =
        sql(format!("{SELECT} WHERE w.widget_id = $1")).bind(id.to_string()).fetch_optional(database).await?;
    row.as_ref().map(of_row).transpose()
}

/// The widgets that an account has, in the order in which they were added.
///
/// # Errors
/// When the database fails.
pub async fn of_account(database: &Database, id: AccountId) -> Result<Vec<Widget>, StoreError> {
    let rows: Vec<Row> =
        sql(format!("{SELECT} WHERE w.account_id = $1 AND NOT w.removed ORDER BY w.added_at, w.widget_id"))
            .bind(id.to_string())
            .fetch_all(database)
            .await?;
    rows.iter().map(of_row).collect()
}

fn of_row(row: &Row) -> Result<Widget, StoreError> {
    Ok(Widget {
        id: parse(&row.widget_id)?,
        account: account(&row.account_id)?,
        plan: parse(&row.plan)?,
        removed: row.removed,
        added_at: row.added_at,
        fetched_at: row.fetched_at,
        due_at: row.due_at,
    })
}
