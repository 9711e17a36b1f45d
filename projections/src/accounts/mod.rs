//! What pages and API ask of accounts: lists with search and filter, one account, who sees it.

mod list;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{AccountId, Connection, Reason, Right, UserId, failure::Certainty};
use engine::{Database, StoreError, sql};

use crate::{account, parse};

pub use list::{Cursor, Filter, counts, list};

/// An account as its view shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Meta's id of it.
    pub instagram_id: String,
    /// Its name.
    pub username: String,
    /// How it is connected.
    pub connection: Connection,
    /// Whether its token can be used.
    pub status: Status,
    /// Since when that is so.
    pub since: DateTime<Utc>,
    /// How sure Meta's answer was of the reason, if it expired by one.
    pub certainty: Certainty,
    /// Meta is asked whether the expired token works again.
    pub may_return: bool,
    /// Since when Meta refuses the posts, although the token works.
    pub reading_refused_at: Option<DateTime<Utc>>,
    /// Since when the session can't be extended.
    pub renewal_failing_since: Option<DateTime<Utc>>,
    /// When the session ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When data access ends.
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// Whether that is our estimate.
    pub data_access_estimated: bool,
    /// When a person last went through the login.
    pub granted_at: Option<DateTime<Utc>>,
    /// When Meta was last heard about the token.
    pub checked_at: Option<DateTime<Utc>>,
    /// How many grants there have been.
    pub generation: i64,
    /// How many widgets of the plan `Free` it has.
    pub free_widgets: i64,
    /// How many of the plan `Upgraded`.
    pub upgraded_widgets: i64,
    /// The last event that is in this view.
    pub position: i64,
}

/// Whether an account's token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Active,
    /// It can't, for this reason.
    Expired(Reason),
    /// An owner disconnected the account.
    Disconnected,
}

impl Status {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired(_) => "expired",
            Self::Disconnected => "disconnected",
        }
    }

    /// Why it can't be used, if it expired.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Expired(reason) => Some(reason),
            Self::Active | Self::Disconnected => None,
        }
    }
}

/// Whether any account of an app has a token that can be used.
///
/// # Errors
/// When the database fails.
pub async fn any_active(database: &Database, connection: Connection) -> Result<bool, StoreError> {
    Ok(sql("SELECT EXISTS (SELECT 1 FROM account_status_v1 WHERE status = 'active' AND connection = $1)")
        .bind(connection.name())
        .scalar(database)
        .await?)
}

/// Whether a person sees an account that has an upgraded widget.
///
/// # Errors
/// When the database fails.
pub async fn has_upgraded(database: &Database, user: UserId) -> Result<bool, StoreError> {
    Ok(sql("SELECT EXISTS (SELECT 1 FROM account_rights_v1 r JOIN account_status_v1 s ON s.account_id = r.account_id \
            WHERE r.user_id = $1 AND s.upgraded_widgets > 0)")
    .bind(user.to_string())
    .scalar(database)
    .await?)
}

/// How these accounts are connected.
///
/// # Errors
/// When the database fails.
pub async fn connections_of(
    database: &Database,
    accounts: &[AccountId],
) -> Result<HashMap<AccountId, Connection>, StoreError> {
    let rows: Vec<(String, String)> = sql(format!(
        "SELECT account_id, connection FROM account_status_v1 WHERE account_id {}",
        database.dialect().among("$1")
    ))
    .bind(accounts.iter().map(AccountId::to_string).collect::<Vec<_>>())
    .fetch_all(database)
    .await?;
    rows.iter().map(|(id, connection)| Ok((account(id)?, parse(connection)?))).collect()
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// A customer: sees accounts with a right on them.
    User(UserId),
    /// Staff and the widget service: see all.
    Staff,
}

#[derive(sqlx::FromRow)]
struct Row {
    account_id: String,
    instagram_id: String,
    username: String,
    connection: String,
    status: String,
    reason: Option<String>,
    since: DateTime<Utc>,
    certainty: Option<String>,
    may_return: bool,
    reading_refused_at: Option<DateTime<Utc>>,
    renewal_failing_since: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    data_access_expires_at: Option<DateTime<Utc>>,
    data_access_estimated: bool,
    granted_at: Option<DateTime<Utc>>,
    checked_at: Option<DateTime<Utc>>,
    generation: i64,
    free_widgets: i64,
    upgraded_widgets: i64,
    position: i64,
}

const COLUMNS: &str = "s.account_id, p.instagram_id, p.username, s.connection, s.status, s.reason, s.since, \
    s.certainty, s.may_return, s.reading_refused_at, s.renewal_failing_since, \
    s.expires_at, s.data_access_expires_at, s.data_access_estimated, s.granted_at, c.checked_at, s.generation, \
    s.free_widgets, s.upgraded_widgets, s.position";

/// One account, if the viewer may see it.
///
/// # Errors
/// When the database fails.
pub async fn account_for(database: &Database, id: AccountId, viewer: Viewer) -> Result<Option<Account>, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM account_status_v1 s JOIN profiles p ON p.account_id = s.account_id \
         LEFT JOIN checks c ON c.account_id = s.account_id WHERE s.account_id = $1"
    );
    let row: Option<Row> = match viewer {
        Viewer::Staff => sql(select).bind(id.to_string()).fetch_optional(database).await?,
        Viewer::User(user) => {
            sql(format!(
                "{select} AND EXISTS (SELECT 1 FROM account_rights_v1 r WHERE r.account_id = $1 AND r.user_id = $2)"
            ))
            .bind(id.to_string())
            .bind(user.to_string())
            .fetch_optional(database)
            .await?
        }
    };
    row.map(of_row).transpose()
}

/// Another active account of the same app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// Its id.
    pub account: AccountId,
    /// Something is held against it too, and against each other one.
    pub is_held: bool,
}

/// Another active account of the same app, if there is one: to ask whether the app works. The one that came to life last,
/// of those against which nothing is held.
///
/// # Errors
/// When the database fails.
pub async fn another_active(database: &Database, than: AccountId) -> Result<Option<Other>, StoreError> {
    for is_held in [false, true] {
        let not = if is_held { "" } else { "NOT " };
        let found: Option<String> = sql(format!(
            "SELECT s.account_id FROM account_status_v1 s WHERE s.status = 'active' AND s.account_id <> $1 \
             AND s.connection = (SELECT connection FROM account_status_v1 WHERE account_id = $1) \
             AND {not}EXISTS (SELECT 1 FROM verdicts v WHERE v.account_id = s.account_id) ORDER BY s.since DESC LIMIT 1"
        ))
        .bind(than.to_string())
        .scalar_optional(database)
        .await?;
        if let Some(id) = found {
            return Ok(Some(Other { account: account(&id)?, is_held }));
        }
    }
    Ok(None)
}

/// Who has which right on an account.
///
/// # Errors
/// When the database fails.
pub async fn rights(database: &Database, id: AccountId) -> Result<Vec<(UserId, Right)>, StoreError> {
    let rows: Vec<(String, String)> =
        sql("SELECT user_id, access FROM account_rights_v1 WHERE account_id = $1 ORDER BY access DESC, user_id")
            .bind(id.to_string())
            .fetch_all(database)
            .await?;
    rows.into_iter().map(|(user, right)| Ok((parse(&user)?, parse(&right)?))).collect()
}

fn of_row(row: Row) -> Result<Account, StoreError> {
    let status = match (row.status.as_str(), row.reason.as_deref()) {
        ("active", _) => Status::Active,
        ("expired", Some(reason)) => Status::Expired(Reason::from_name(reason).unwrap_or(Reason::Unknown)),
        _ => Status::Disconnected,
    };
    Ok(Account {
        id: account(&row.account_id)?,
        instagram_id: row.instagram_id,
        username: row.username,
        connection: parse(&row.connection)?,
        status,
        since: row.since,
        certainty: if row.certainty.as_deref() == Some(Certainty::Likely.name()) {
            Certainty::Likely
        } else {
            Certainty::Certain
        },
        may_return: row.may_return,
        reading_refused_at: row.reading_refused_at,
        renewal_failing_since: row.renewal_failing_since,
        expires_at: row.expires_at,
        data_access_expires_at: row.data_access_expires_at,
        data_access_estimated: row.data_access_estimated,
        granted_at: row.granted_at,
        checked_at: row.checked_at,
        generation: row.generation,
        free_widgets: row.free_widgets,
        upgraded_widgets: row.upgraded_widgets,
        position: row.position,
    })
}
