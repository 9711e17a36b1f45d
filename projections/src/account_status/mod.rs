//! The projection `account_status`: each account's state, who sees it, and which widgets show it.

mod save;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{AccountEvent, Evidence, Right, TokenEvent, WidgetId, account::Plan, token::Grant};
use engine::{Bulk, Projection, StoreError, Target, Tx, sql};
use store::Event;

use crate::Entry;
use save::{save_counts, save_rights, save_rows, save_widgets};

/// Folds events into `account_status_v1`, `account_rights_v1`, `widgets_v1` and `account_counts_v1`.
pub(crate) struct AccountStatus;

/// One row of the view.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    account_id: String,
    connection: String,
    status: String,
    reason: Option<String>,
    certainty: Option<String>,
    since: DateTime<Utc>,
    may_return: bool,
    reading_refused_at: Option<DateTime<Utc>>,
    renewal_failing_since: Option<DateTime<Utc>>,
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

const COLUMNS: &str = "account_id, connection, status, reason, certainty, since, may_return, reading_refused_at, \
                       renewal_failing_since, token_id, generation, granted_at, expires_at, \
                       data_access_expires_at, data_access_estimated, free_widgets, upgraded_widgets, position";

/// What a batch changes.
#[derive(Default)]
pub(crate) struct Fold {
    rows: HashMap<String, Row>,
    /// By status: how many of those that were loaded had it.
    before: BTreeMap<String, i64>,
    erased: BTreeSet<String>,
    /// By user and account; `None`: taken away.
    rights: BTreeMap<(String, String), Option<Right>>,
    /// By account and widget: one id in two accounts must fail, as it does in the table.
    widgets: BTreeMap<(String, String), Widget>,
}

/// What a batch changes about a widget.
struct Widget {
    plan: Plan,
    removed: bool,
    /// `None`: it was added before the batch.
    added_at: Option<DateTime<Utc>>,
}

impl Projection for AccountStatus {
    const NAME: &'static str = crate::ACCOUNT_STATUS;
    const VERSION: u32 = 3;
    const TABLES: &'static [&'static str] =
        &["account_rights_v1", "account_status_v1", "widgets_v1", "account_counts_v1"];
    type Event = Event;
    type Fold = Fold;

    async fn load(&self, fold: &mut Fold, tx: &mut Tx, target: Target, accounts: &[&str]) -> Result<(), StoreError> {
        let table = target.table("account_status_v1");
        let select = format!("SELECT {COLUMNS} FROM {table} WHERE account_id {}", tx.dialect().among("$1"));
        let rows: Vec<Row> = sql(select).bind(accounts).fetch_all(&mut *tx).await?;
        for row in &rows {
            *fold.before.entry(row.status.clone()).or_default() += 1;
        }
        fold.rows.extend(rows.into_iter().map(|row| (row.account_id.clone(), row)));
        Ok(())
    }

    fn forget(&self, fold: &mut Fold, account: &str) {
        fold.erase(account);
    }

    fn apply(&self, fold: &mut Fold, entry: &Entry) {
        let event = &entry.event;
        if let Event::Account(AccountEvent::Erased { .. }) = event {
            fold.erase(&entry.aggregate_id);
            return;
        }
        if !fold.rows.contains_key(&entry.aggregate_id) {
            fold.rows.insert(entry.aggregate_id.clone(), Row::new(entry));
        }
        let Some(row) = fold.rows.get_mut(&entry.aggregate_id) else { return };
        row.position = entry.position;
        match event {
            Event::Token(event) => row.apply_token(event, entry.at),
            Event::Account(event) => {
                row.apply_account(event, entry.at);
                fold.apply_people_and_widgets(&entry.aggregate_id, event, entry.at);
            }
        }
    }

    async fn save(&self, fold: Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        for table in ["account_rights_v1", "account_status_v1", "widgets_v1"].map(|table| target.table(table)) {
            let gone = Bulk::new().text("account_id", fold.erased.iter().map(String::as_str));
            gone.execute(&mut *tx, |ids| format!("DELETE FROM {table} WHERE account_id IN ({ids})")).await?;
        }
        let mut rows: Vec<_> = fold.rows.values().collect();
        // In the order of the key: neighbours are on one page, and followers never wait for each other in a circle.
        rows.sort_unstable_by(|a, b| a.account_id.cmp(&b.account_id));
        save_counts(tx, target, fold.before, &rows).await?;
        save_rows(tx, target, rows).await?;
        save_rights(tx, target, &fold.rights).await?;
        save_widgets(tx, target, &fold.widgets).await
    }
}

impl Fold {
    fn erase(&mut self, account: &str) {
        self.rows.remove(account);
        self.rights.retain(|(_, of), _| of != account);
        self.widgets.retain(|(of, _), _| of != account);
        self.erased.insert(account.to_owned());
    }

    fn apply_people_and_widgets(&mut self, account: &str, event: &AccountEvent, at: DateTime<Utc>) {
        match event {
            AccountEvent::AccessGranted { user, right } => {
                self.rights.insert((user.to_string(), account.to_owned()), Some(*right));
            }
            AccountEvent::AccessRevoked { user } => {
                self.rights.insert((user.to_string(), account.to_owned()), None);
            }
            AccountEvent::WidgetAdded { widget, plan } => self.widget(account, *widget, *plan, false, Some(at)),
            AccountEvent::WidgetPlanChanged { widget, plan, .. } => self.widget(account, *widget, *plan, false, None),
            AccountEvent::WidgetRemoved { widget, plan } => self.widget(account, *widget, *plan, true, None),
            _ => {}
        }
    }

    fn widget(&mut self, account: &str, id: WidgetId, plan: Plan, removed: bool, added_at: Option<DateTime<Utc>>) {
        let key = (account.to_owned(), id.to_string());
        let added_at = added_at.or_else(|| self.widgets.get(&key).and_then(|known| known.added_at));
        self.widgets.insert(key, Widget { plan, removed, added_at });
    }
}

impl Row {
    fn new(entry: &Entry) -> Self {
        Self {
            account_id: entry.aggregate_id.clone(),
            connection: String::new(),
            status: "disconnected".to_owned(),
            reason: None,
            certainty: None,
            since: entry.at,
            may_return: false,
            reading_refused_at: None,
            renewal_failing_since: None,
            token_id: None,
            generation: 0,
            granted_at: None,
            expires_at: None,
            data_access_expires_at: None,
            data_access_estimated: false,
            free_widgets: 0,
            upgraded_widgets: 0,
            position: entry.position,
        }
    }

    fn become_(&mut self, status: &str, reason: Option<&str>, at: DateTime<Utc>) {
        if self.status != status || self.reason.as_deref() != reason {
            self.since = at;
        }
        (self.certainty, self.may_return) = (None, false);
        (self.reading_refused_at, self.renewal_failing_since) = (None, None);
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
            AccountEvent::Disconnected | AccountEvent::ErasureRequested => self.become_("disconnected", None, at),
            AccountEvent::AccessGranted { .. }
            | AccountEvent::AccessRevoked { .. }
            | AccountEvent::NoticeSent { .. }
            | AccountEvent::PasswordChanged { .. }
            | AccountEvent::Deauthorized { .. }
            | AccountEvent::Erased { .. } => {}
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
                self.renewal_failing_since = None;
            }
            TokenEvent::DeadlinesMoved { expires_at, data_access, .. } => {
                self.expires_at = *expires_at;
                self.data_access_expires_at = data_access.map(|end| end.ends_at);
                self.data_access_estimated = data_access.is_some_and(|end| end.estimated);
            }
            TokenEvent::DataAccessMoved { data_access, .. } => {
                self.data_access_expires_at = data_access.map(|end| end.ends_at);
                self.data_access_estimated = data_access.is_some_and(|end| end.estimated);
            }
            TokenEvent::Restored { token, expires_at, data_access, .. } => {
                self.token_id = Some(token.to_string());
                self.expires_at = *expires_at;
                self.data_access_expires_at = data_access.map(|end| end.ends_at);
                self.data_access_estimated = data_access.is_some_and(|end| end.estimated);
                self.become_("active", None, at);
            }
            TokenEvent::ReadingRefused { evidence, .. } => self.reading_refused_at = Some(evidence.at),
            TokenEvent::ReadingResumed { .. } => self.reading_refused_at = None,
            TokenEvent::RenewalFailing { since, .. } => self.renewal_failing_since = Some(*since),
            TokenEvent::RefreshDeclined { .. } => {}
            TokenEvent::Expired { reason, evidence, .. } => {
                self.become_("expired", Some(reason.name()), at);
                self.certainty = evidence.as_ref().map(|evidence| evidence.certainty.name().to_owned());
                self.may_return = Evidence::may_return(evidence.as_ref(), *reason);
            }
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
