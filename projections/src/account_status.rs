//! The projection `account_status`: each account's state, who sees it, and which widgets show it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{AccountEvent, TokenEvent, account::Plan, token::Grant};
use store::{Event, Recorded, StoreError, Tx, build, execute};

use crate::follower::Projection;

/// Folds events into `account_status_v1`, `account_rights_v1` and `widgets_v1`.
pub(crate) struct AccountStatus;

/// One row of the view.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    account_id: String,
    connection: String,
    status: String,
    reason: Option<String>,
    since: DateTime<Utc>,
    token_id: Option<String>,
    generation: i64,
    granted_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    data_access_expires_at: Option<DateTime<Utc>>,
    data_access_estimated: bool,
    free_widgets: i64,
    upgraded_widgets: i64,
    position: i64,
}

const COLUMNS: &str = "account_id, connection, status, reason, since, token_id, generation, granted_at, expires_at, \
                       data_access_expires_at, data_access_estimated, free_widgets, upgraded_widgets, position";

impl Projection for AccountStatus {
    const NAME: &'static str = "account_status";
    const VERSION: i64 = 1;

    async fn apply(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), StoreError> {
        let mut rows = load(tx, events).await?;
        let mut erased = BTreeSet::new();
        for recorded in events {
            let event = recorded.event()?;
            let row = rows.entry(recorded.account_id.clone()).or_insert_with(|| Row::new(recorded));
            row.position = recorded.position;
            match &event {
                Event::Account(AccountEvent::Erased) => {
                    erased.insert(recorded.account_id.clone());
                }
                Event::Account(event) => {
                    row.apply_account(event, recorded.at);
                    apply_people_and_widgets(tx, &recorded.account_id, event, recorded.at).await?;
                }
                Event::Token(event) => row.apply_token(event, recorded.at),
            }
        }
        for account in &erased {
            rows.remove(account);
            for table in ["account_status_v1", "account_rights_v1", "widgets_v1"] {
                let sql = format!("DELETE FROM {table} WHERE account_id = $1");
                execute!(&mut *tx, sqlx::query(&sql).bind(account))?;
            }
        }
        save(tx, rows.into_values().collect()).await
    }
}

impl Row {
    fn new(recorded: &Recorded) -> Self {
        Self {
            account_id: recorded.account_id.clone(),
            connection: String::new(),
            status: "disconnected".to_owned(),
            reason: None,
            since: recorded.at,
            token_id: None,
            generation: 0,
            granted_at: None,
            expires_at: None,
            data_access_expires_at: None,
            data_access_estimated: false,
            free_widgets: 0,
            upgraded_widgets: 0,
            position: recorded.position,
        }
    }

    fn become_(&mut self, status: &str, reason: Option<&str>, at: DateTime<Utc>) {
        if self.status != status || self.reason.as_deref() != reason {
            self.since = at;
        }
        status.clone_into(&mut self.status);
        self.reason = reason.map(str::to_owned);
    }

    fn apply_account(&mut self, event: &AccountEvent, at: DateTime<Utc>) {
        let count = |row: &mut Self, plan: Plan, by: i64| match plan {
            Plan::Free => row.free_widgets += by,
            Plan::Upgraded => row.upgraded_widgets += by,
        };
        match event {
            AccountEvent::Connected { connection } | AccountEvent::ConnectionChanged { to: connection, .. } => {
                connection.name().clone_into(&mut self.connection);
            }
            AccountEvent::WidgetAdded { plan, .. } => count(self, *plan, 1),
            AccountEvent::WidgetPlanChanged { from, plan, .. } => {
                count(self, *from, -1);
                count(self, *plan, 1);
            }
            AccountEvent::WidgetRemoved { plan, .. } => count(self, *plan, -1),
            AccountEvent::Disconnected => self.become_("disconnected", None, at),
            AccountEvent::AccessGranted { .. }
            | AccountEvent::AccessRevoked { .. }
            | AccountEvent::NoticeSent { .. }
            | AccountEvent::PasswordChanged { .. }
            | AccountEvent::Deauthorized { .. }
            | AccountEvent::ErasureRequested
            | AccountEvent::Erased => {}
        }
    }

    fn apply_token(&mut self, event: &TokenEvent, at: DateTime<Utc>) {
        match event {
            TokenEvent::Issued { generation, grant } | TokenEvent::Refreshed { generation, grant } => {
                self.take(*generation, grant);
                self.become_("active", None, at);
            }
            TokenEvent::Renewed { token, expires_at, .. } => {
                self.token_id = Some(token.to_string());
                self.expires_at = *expires_at;
            }
            TokenEvent::Expired { reason, .. } => self.become_("expired", Some(reason.name()), at),
            TokenEvent::Revoked { .. } => {
                self.token_id = None;
                self.expires_at = None;
                self.data_access_expires_at = None;
                self.data_access_estimated = false;
                self.become_("disconnected", None, at);
            }
        }
    }

    fn take(&mut self, generation: u32, grant: &Grant) {
        self.generation = generation.into();
        self.token_id = Some(grant.token.to_string());
        self.granted_at = Some(grant.granted_at);
        self.expires_at = grant.expires_at;
        self.data_access_expires_at = grant.data_access.map(|end| end.ends_at);
        self.data_access_estimated = grant.data_access.is_some_and(|end| end.estimated);
    }
}

async fn load(tx: &mut Tx, events: &[Recorded]) -> Result<BTreeMap<String, Row>, StoreError> {
    let accounts: BTreeSet<&str> = events.iter().map(|event| event.account_id.as_str()).collect();
    let rows: Vec<Row> = build!(&mut *tx, query => {
        query.push(format!("SELECT {COLUMNS} FROM account_status_v1 WHERE account_id IN ("));
        let mut ids = query.separated(", ");
        for account in &accounts {
            ids.push_bind(*account);
        }
        query.push(")");
    }, fetch Row)?;
    Ok(rows.into_iter().map(|row| (row.account_id.clone(), row)).collect())
}

async fn save(tx: &mut Tx, rows: Vec<Row>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    build!(&mut *tx, query => {
        query.push(format!("INSERT INTO account_status_v1 ({COLUMNS}) "));
        query.push_values(rows, |mut values, row| {
            values
                .push_bind(row.account_id)
                .push_bind(row.connection)
                .push_bind(row.status)
                .push_bind(row.reason)
                .push_bind(row.since)
                .push_bind(row.token_id)
                .push_bind(row.generation)
                .push_bind(row.granted_at)
                .push_bind(row.expires_at)
                .push_bind(row.data_access_expires_at)
                .push_bind(row.data_access_estimated)
                .push_bind(row.free_widgets)
                .push_bind(row.upgraded_widgets)
                .push_bind(row.position);
        });
        query.push(" ON CONFLICT (account_id) DO UPDATE SET ");
        let mut sets = query.separated(", ");
        for column in COLUMNS.split(", ").filter(|column| *column != "account_id") {
            sets.push(format!("{column} = excluded.{column}"));
        }
    }, execute)?;
    Ok(())
}

async fn apply_people_and_widgets(
    tx: &mut Tx,
    account: &str,
    event: &AccountEvent,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    match event {
        AccountEvent::AccessGranted { user, right } => execute!(
            tx,
            sqlx::query(
                "INSERT INTO account_rights_v1 (user_id, account_id, access) VALUES ($1, $2, $3) \
                 ON CONFLICT (user_id, account_id) DO UPDATE SET access = excluded.access",
            )
            .bind(user.to_string())
            .bind(account)
            .bind(right.name())
        )?,
        AccountEvent::AccessRevoked { user } => execute!(
            tx,
            sqlx::query("DELETE FROM account_rights_v1 WHERE user_id = $1 AND account_id = $2")
                .bind(user.to_string())
                .bind(account)
        )?,
        AccountEvent::WidgetAdded { widget, plan } => execute!(
            tx,
            sqlx::query(
                "INSERT INTO widgets_v1 (widget_id, account_id, plan, removed, added_at) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(widget.to_string())
            .bind(account)
            .bind(plan.name())
            .bind(false)
            .bind(at)
        )?,
        AccountEvent::WidgetPlanChanged { widget, plan, .. } => execute!(
            tx,
            sqlx::query("UPDATE widgets_v1 SET plan = $1 WHERE widget_id = $2")
                .bind(plan.name())
                .bind(widget.to_string())
        )?,
        AccountEvent::WidgetRemoved { widget, .. } => execute!(
            tx,
            sqlx::query("UPDATE widgets_v1 SET removed = $1 WHERE widget_id = $2").bind(true).bind(widget.to_string())
        )?,
        _ => 0,
    };
    Ok(())
}
