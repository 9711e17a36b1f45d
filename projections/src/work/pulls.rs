//! When accounts are pulled: at once after a login, then by their best plan.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{AccountEvent, TokenEvent, account::Plan, schedule::PullIntervals};
use engine::{Bulk, StoreError, Tx, sql};
use store::Event;

use crate::{Entry, account, queue::Priority};

/// What a batch changes about an account's pull.
#[derive(Default)]
pub(super) struct Pull {
    /// The account was connected; the event's position.
    created: Option<i64>,
    free: i64,
    upgraded: i64,
    due: Option<Due>,
}

/// When a pull is due, and by which event.
enum Due {
    /// Now, before others: the token is new.
    First(DateTime<Utc>, i64),
    /// Not at all: there is no token to pull with.
    Rests(i64),
    /// Now, unless it rests: whoever is pulling already doesn't know of the change yet, so that pull is let go.
    Sooner(DateTime<Utc>, i64),
}

impl Pull {
    pub(super) fn apply(&mut self, entry: &Entry, event: &Event) {
        let (at, position) = (entry.at, entry.position);
        match event {
            Event::Token(TokenEvent::Issued { .. } | TokenEvent::Refreshed { .. }) => {
                self.due = Some(Due::First(at, position));
            }
            Event::Token(TokenEvent::Expired { .. } | TokenEvent::Revoked { .. }) => {
                self.due = Some(Due::Rests(position));
            }
            Event::Account(AccountEvent::Connected { .. }) => self.created = Some(position),
            // A new widget shows what is stored; only a feed of its plan that isn't there yet is worth a pull.
            Event::Account(AccountEvent::WidgetAdded { plan, .. }) => {
                self.count(*plan, 1);
                self.sooner(at, position);
            }
            Event::Account(AccountEvent::WidgetPlanChanged { from, plan, .. }) => {
                self.count(*from, -1);
                self.count(*plan, 1);
                if *plan == Plan::Upgraded {
                    self.sooner(at, position);
                }
            }
            Event::Account(AccountEvent::WidgetRemoved { plan, .. }) => self.count(*plan, -1),
            _ => {}
        }
    }

    fn count(&mut self, plan: Plan, by: i64) {
        match plan {
            Plan::Free => self.free += by,
            Plan::Upgraded => self.upgraded += by,
        }
    }

    fn sooner(&mut self, at: DateTime<Utc>, position: i64) {
        match &mut self.due {
            // After the login that makes it due first: it stays first, and knows of the change.
            Some(Due::First(due, cause)) => (*due, *cause) = (at, position),
            Some(Due::Rests(_)) => {}
            Some(Due::Sooner(..)) | None => self.due = Some(Due::Sooner(at, position)),
        }
    }
}

/// Rows that were lost and whose feed is younger than their cause need no pull now: when they are due again comes from the
/// feed, as if they had never been lost.
pub(super) async fn rested(tx: &mut Tx, intervals: PullIntervals) -> Result<(), StoreError> {
    let rows: Vec<(String, i64, DateTime<Utc>)> =
        sql("SELECT new.key, new.upgraded_widgets, max(f.fetched_at) FROM work_v1_rebuild AS new \
             JOIN feeds f ON f.account_id = new.key WHERE new.kind = 'pull' AND f.fetched_at >= new.due_at \
             AND NOT EXISTS (SELECT 1 FROM work_v1 AS old WHERE old.kind = new.kind AND old.key = new.key) \
             GROUP BY new.key, new.upgraded_widgets")
        .fetch_all(&mut *tx)
        .await?;
    let mut next = Vec::new();
    for (key, upgraded, fetched_at) in &rows {
        let plan = if *upgraded > 0 { Plan::Upgraded } else { Plan::Free };
        next.push(intervals.next_pull(account(key)?, plan, *fetched_at));
    }
    let bulk = Bulk::new().text("key", rows.iter().map(|(key, ..)| key.as_str())).time("due_at", next.iter().copied());
    let normal = Priority::Normal.number();
    let update = |rows: &str| {
        format!(
            "UPDATE work_v1_rebuild AS row SET due_at = new.due_at, priority = {normal} FROM ({rows}) AS new \
             WHERE row.kind = 'pull' AND row.key = new.key"
        )
    };
    bulk.execute(&mut *tx, update).await?;
    Ok(())
}

/// Writes each row that changed, once.
pub(super) async fn save(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    save_created(tx, work, pulls).await?;
    save_counts(tx, work, pulls).await?;
    save_due(tx, work, pulls).await
}

async fn save_created(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let created: Vec<_> = pulls.iter().filter_map(|(account, pull)| Some((account.as_str(), pull.created?))).collect();
    let rows = Bulk::new()
        .text("account_id", created.iter().map(|(account, _)| *account))
        .int("cause", created.iter().map(|(_, cause)| *cause));
    let normal = Priority::Normal.number();
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {work} (kind, key, account_id, free_widgets, upgraded_widgets, priority, cause) \
             SELECT 'pull', account_id, account_id, 0, 0, {normal}, cause FROM ({rows}) AS new WHERE true \
             ON CONFLICT (kind, key) DO NOTHING"
        )
    };
    rows.execute(&mut *tx, insert).await?;
    Ok(())
}

async fn save_counts(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let counted: Vec<_> = pulls.iter().filter(|(_, pull)| pull.free != 0 || pull.upgraded != 0).collect();
    let rows = Bulk::new()
        .text("account_id", counted.iter().map(|(account, _)| account.as_str()))
        .int("free", counted.iter().map(|(_, pull)| pull.free))
        .int("upgraded", counted.iter().map(|(_, pull)| pull.upgraded));
    let update = |rows: &str| {
        format!(
            "UPDATE {work} SET free_widgets = free_widgets + new.free, \
             upgraded_widgets = upgraded_widgets + new.upgraded FROM ({rows}) AS new \
             WHERE kind = 'pull' AND key = new.account_id"
        )
    };
    rows.execute(&mut *tx, update).await?;
    Ok(())
}

/// A newer cause clears lease and attempts.
async fn save_due(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let (mut set, mut sooner) = (Vec::new(), Vec::new());
    for (account, pull) in pulls {
        match pull.due {
            Some(Due::First(at, cause)) => set.push((account.as_str(), Some(at), cause)),
            Some(Due::Rests(cause)) => set.push((account.as_str(), None, cause)),
            Some(Due::Sooner(at, cause)) => sooner.push((account.as_str(), Some(at), cause)),
            None => {}
        }
    }
    let first = Priority::First.number();
    let changes = [
        (set, format!("priority = {first}, attempts = 0, last_error = NULL, "), ""),
        (sooner, String::new(), "AND row.due_at IS NOT NULL "),
    ];
    for (due, sets, condition) in changes {
        let bulk = Bulk::new()
            .text("account_id", due.iter().map(|(account, ..)| *account))
            .time("due_at", due.iter().map(|(_, at, _)| *at))
            .int("cause", due.iter().map(|(.., cause)| *cause));
        let update = |rows: &str| {
            format!(
                "UPDATE {work} AS row SET {sets}due_at = new.due_at, cause = new.cause, lease = NULL, leased_until = NULL \
                 FROM ({rows}) AS new WHERE row.kind = 'pull' AND row.key = new.account_id {condition}\
                 AND row.cause < new.cause"
            )
        };
        bulk.execute(&mut *tx, update).await?;
    }
    Ok(())
}
