//! What is due by the clocks of an account's token, or because of what happened to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    TokenEvent,
    schedule::{self, GATHER, Schedule},
    token::{Current, Grant},
};
use engine::{Bulk, StoreError, Tx};

use crate::{Entry, account, queue::Kind};

/// What a batch changes about what is due by the clocks of an account's token.
#[derive(Default)]
pub(super) struct Timers {
    /// The token that they were for is gone, or another one took its place.
    gone: bool,
    /// When each is due now, and by which event.
    set: BTreeMap<&'static str, (DateTime<Utc>, i64)>,
}

impl Timers {
    pub(super) fn apply(&mut self, entry: &Entry, event: &TokenEvent, schedule: &Schedule) {
        match event {
            TokenEvent::Issued { grant, .. } => self.begin(entry, grant, schedule),
            TokenEvent::Refreshed { grant, .. } => {
                self.begin(entry, grant, schedule);
                self.set(Kind::Notify, Some(entry.at + GATHER), entry);
            }
            // When it expires is seen when it would have: who looks then knows both clocks.
            TokenEvent::Renewed { expires_at, .. } => {
                let Ok(account) = account(&entry.aggregate_id) else { return };
                self.set(Kind::Renew, schedule.renewal(account, entry.at, *expires_at), entry);
            }
            TokenEvent::Expired { .. } => {
                self.end();
                self.set(Kind::Notify, Some(entry.at + GATHER), entry);
            }
            TokenEvent::Revoked { .. } => self.end(),
            TokenEvent::RefreshDeclined { .. } => {}
        }
    }

    fn begin(&mut self, entry: &Entry, grant: &Grant, schedule: &Schedule) {
        self.end();
        let Ok(account) = account(&entry.aggregate_id) else { return };
        self.set(Kind::Expire, Current::of(grant).runs_out_at(), entry);
        self.set(Kind::Renew, schedule.renewal(account, grant.granted_at, grant.expires_at), entry);
        self.set(Kind::Check, Some(schedule::next_check(account, grant.granted_at)), entry);
        let reminder = grant.data_access.and_then(|end| schedule.next_reminder(end.ends_at, grant.granted_at));
        self.set(Kind::Remind, reminder, entry);
    }

    fn end(&mut self) {
        self.gone = true;
        self.set.clear();
    }

    fn set(&mut self, kind: Kind, due_at: Option<DateTime<Utc>>, entry: &Entry) {
        if let Some(due_at) = due_at {
            self.set.insert(kind.name(), (due_at, entry.position));
        }
    }
}

/// Writes each row that changed, once.
pub(super) async fn save(tx: &mut Tx, work: &str, timers: &BTreeMap<String, Timers>) -> Result<(), StoreError> {
    let kinds = Kind::TIMERS.map(|kind| format!("'{}'", kind.name())).join(", ");
    let gone = Bulk::new().text("key", timers.iter().filter(|(_, timers)| timers.gone).map(|(key, _)| key.as_str()));
    gone.execute(&mut *tx, |keys| format!("DELETE FROM {work} WHERE kind IN ({kinds}) AND key IN ({keys})")).await?;
    let set: Vec<_> = timers
        .iter()
        .flat_map(|(key, timers)| timers.set.iter().map(move |(kind, (due, cause))| (*kind, key, *due, *cause)))
        .collect();
    let rows = Bulk::new()
        .text("kind", set.iter().map(|(kind, ..)| *kind))
        .text("key", set.iter().map(|(_, key, ..)| key.as_str()))
        .time("due_at", set.iter().map(|(_, _, due, _)| *due))
        .int("cause", set.iter().map(|(.., cause)| *cause));
    let usual = Kind::usual_sql("kind");
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {work} (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
             SELECT kind, key, key, 0, 0, {usual}, due_at, cause \
             FROM ({rows}) AS new WHERE true ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, \
             priority = excluded.priority, cause = excluded.cause, attempts = 0, last_error = NULL, lease = NULL, \
             leased_until = NULL WHERE {work}.cause < excluded.cause"
        )
    };
    rows.execute(&mut *tx, insert).await?;
    Ok(())
}
