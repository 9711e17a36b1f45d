//! Each changed row written once.

use std::collections::BTreeMap;

use domain::Right;
use engine::{Bulk, StoreError, Target, Tx, sql};

use super::{Row, Widget};

pub(super) async fn save_rows(tx: &mut Tx, target: Target, rows: Vec<&Row>) -> Result<(), StoreError> {
    let bulk = Bulk::new()
        .text("account_id", rows.iter().map(|row| row.account_id.as_str()))
        .text("connection", rows.iter().map(|row| row.connection.as_str()))
        .text("status", rows.iter().map(|row| row.status.as_str()))
        .text("reason", rows.iter().map(|row| row.reason.as_deref()))
        .text("certainty", rows.iter().map(|row| row.certainty.as_deref()))
        .time("since", rows.iter().map(|row| row.since))
        .bool("may_return", rows.iter().map(|row| row.may_return))
        .time("reading_refused_at", rows.iter().map(|row| row.reading_refused_at))
        .time("renewal_failing_since", rows.iter().map(|row| row.renewal_failing_since))
        .text("token_id", rows.iter().map(|row| row.token_id.as_deref()))
        .int("generation", rows.iter().map(|row| row.generation))
        .time("granted_at", rows.iter().map(|row| row.granted_at))
        .time("expires_at", rows.iter().map(|row| row.expires_at))
        .time("data_access_expires_at", rows.iter().map(|row| row.data_access_expires_at))
        .bool("data_access_estimated", rows.iter().map(|row| row.data_access_estimated))
        .int("free_widgets", rows.iter().map(|row| row.free_widgets))
        .int("upgraded_widgets", rows.iter().map(|row| row.upgraded_widgets))
        .int("position", rows.iter().map(|row| row.position));
    let names = bulk.names();
    let columns = names.split(", ").filter(|name| *name != "account_id");
    let sets = columns.map(|name| format!("{name} = excluded.{name}")).collect::<Vec<_>>().join(", ");
    let table = target.table("account_status_v1");
    let insert =
        |rows: &str| format!("INSERT INTO {table} ({names}) {rows} ON CONFLICT (account_id) DO UPDATE SET {sets}");
    bulk.execute(&mut *tx, insert).await?;
    Ok(())
}

/// How many more or fewer accounts have each status than before.
pub(super) async fn save_counts(
    tx: &mut Tx,
    target: Target,
    before: BTreeMap<String, i64>,
    rows: &[&Row],
) -> Result<(), StoreError> {
    let mut more: BTreeMap<_, _> = before.into_iter().map(|(status, accounts)| (status, -accounts)).collect();
    for row in rows {
        *more.entry(row.status.clone()).or_default() += 1;
    }
    more.retain(|_, more| *more != 0);
    let bulk = Bulk::new().text("status", more.keys().map(String::as_str)).int("accounts", more.values().copied());
    let table = target.table("account_counts_v1");
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {table} (status, accounts) {rows} \
             ON CONFLICT (status) DO UPDATE SET accounts = {table}.accounts + excluded.accounts"
        )
    };
    if bulk.execute(&mut *tx, insert).await? > 0 {
        sql(format!("DELETE FROM {table} WHERE accounts = 0")).execute(&mut *tx).await?;
    }
    Ok(())
}

pub(super) async fn save_rights(
    tx: &mut Tx,
    target: Target,
    rights: &BTreeMap<(String, String), Option<Right>>,
) -> Result<(), StoreError> {
    let table = target.table("account_rights_v1");
    let granted: Vec<_> = rights.iter().filter_map(|(key, right)| Some((key, (*right)?))).collect();
    let bulk = Bulk::new()
        .text("user_id", granted.iter().map(|((user, _), _)| user.as_str()))
        .text("account_id", granted.iter().map(|((_, account), _)| account.as_str()))
        .text("access", granted.iter().map(|(_, right)| right.name()));
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {table} (user_id, account_id, access) {rows} \
             ON CONFLICT (user_id, account_id) DO UPDATE SET access = excluded.access"
        )
    };
    bulk.execute(&mut *tx, insert).await?;
    let revoked: Vec<_> = rights.iter().filter(|(_, right)| right.is_none()).map(|(key, _)| key).collect();
    let bulk = Bulk::new()
        .text("user_id", revoked.iter().map(|(user, _)| user.as_str()))
        .text("account_id", revoked.iter().map(|(_, account)| account.as_str()));
    bulk.execute(&mut *tx, |rows| format!("DELETE FROM {table} WHERE (user_id, account_id) IN ({rows})")).await?;
    Ok(())
}

pub(super) async fn save_widgets(
    tx: &mut Tx,
    target: Target,
    widgets: &BTreeMap<(String, String), Widget>,
) -> Result<(), StoreError> {
    let table = target.table("widgets_v1");
    let (added, changed): (Vec<_>, Vec<_>) = widgets.iter().partition(|(_, widget)| widget.added_at.is_some());
    let rows = Bulk::new()
        .text("widget_id", added.iter().map(|((_, id), _)| id.as_str()))
        .text("account_id", added.iter().map(|((account, _), _)| account.as_str()))
        .text("plan", added.iter().map(|(_, widget)| widget.plan.name()))
        .bool("removed", added.iter().map(|(_, widget)| widget.removed))
        .time("added_at", added.iter().map(|(_, widget)| widget.added_at));
    let names = rows.names();
    rows.execute(&mut *tx, |rows| format!("INSERT INTO {table} ({names}) {rows}")).await?;
    let rows = Bulk::new()
        .text("widget_id", changed.iter().map(|((_, id), _)| id.as_str()))
        .text("plan", changed.iter().map(|(_, widget)| widget.plan.name()))
        .bool("removed", changed.iter().map(|(_, widget)| widget.removed));
    let update = |rows: &str| {
        format!(
            "UPDATE {table} SET plan = new.plan, removed = new.removed FROM ({rows}) AS new \
             WHERE {table}.widget_id = new.widget_id"
        )
    };
    rows.execute(&mut *tx, update).await?;
    Ok(())
}
