//! When accounts are pulled: at once after a login, then by their best plan.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{AccountEvent, TokenEvent, account::Plan, schedule::PullIntervals};
use engine::{
    Bulk, StoreError, Target, Tx,
    jobs::{self, Priority, Scheduled},
};
use store::Event;

use crate::{Entry, account, jobs::Kind};

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
            Event::Token(TokenEvent::Issued { .. } | TokenEvent::Refreshed { .. } | TokenEvent::Restored { .. }) => {
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

/// Jobs that were lost and whose feed is younger than their cause need no pull now: when they are due again comes from the
/// feed, as if they had never been lost.
pub(super) async fn rested(tx: &mut Tx, intervals: PullIntervals, keys: &[String]) -> Result<(), StoreError> {
    let lost = |keys: &str| {
        format!(
            "SELECT new.key, new.cause, count.upgraded_widgets, \
             max(f.fetched_at) FROM jobs_rebuild AS new JOIN feeds f ON f.account_id = new.key \
             JOIN widget_counts_v1_rebuild AS count ON count.account_id = new.key \
             WHERE new.kind = 'pull' AND new.key IN ({keys}) AND f.fetched_at >= new.due_at \
             AND NOT EXISTS (SELECT 1 FROM jobs AS old WHERE old.kind = new.kind AND old.key = new.key) \
             GROUP BY new.key, new.cause, count.upgraded_widgets"
        )
    };
    let rows = Bulk::new().text("key", keys.iter().map(String::as_str));
    let rows: Vec<(String, i64, i64, DateTime<Utc>)> = rows.fetch_all(&mut *tx, lost).await?;
    let mut due = Vec::new();
    for (key, cause, upgraded, fetched_at) in &rows {
        let plan = if *upgraded > 0 { Plan::Upgraded } else { Plan::Free };
        let next = intervals.next_pull(account(key)?, plan, *fetched_at);
        due.push(pull(key, Priority::Normal, Some(next), *cause));
    }
    Ok(jobs::move_to(tx, Target::Beside, &due).await?)
}

/// A pull as it is scheduled.
fn pull(account: &str, priority: Priority, due_at: Option<DateTime<Utc>>, cause: i64) -> Scheduled<'_> {
    Scheduled { queue: Kind::Pull.queue(), kind: Kind::Pull.name(), key: account, priority, due_at, cause }
}

/// Writes each row that changed, once.
pub(super) async fn save(tx: &mut Tx, target: Target, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    save_counts(tx, target, pulls).await?;
    let (mut new, mut set, mut sooner) = (Vec::new(), Vec::new(), Vec::new());
    for (account, Pull { created, due, .. }) in pulls {
        new.extend(created.map(|cause| pull(account, Priority::Normal, None, cause)));
        match due {
            Some(Due::First(at, cause)) => set.push(pull(account, Priority::Urgent, Some(*at), *cause)),
            Some(Due::Rests(cause)) => set.push(pull(account, Priority::Normal, None, *cause)),
            Some(Due::Sooner(at, cause)) => sooner.push(pull(account, Priority::Normal, Some(*at), *cause)),
            None => {}
        }
    }
    jobs::set_missing(tx, target, &new).await?;
    jobs::set(tx, target, &set).await?;
    Ok(jobs::bring_forward(tx, target, &sooner).await?)
}

async fn save_counts(tx: &mut Tx, target: Target, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let table = target.table("widget_counts_v1");
    let counted = || pulls.iter().filter(|(_, pull)| pull.created.is_some() || pull.free != 0 || pull.upgraded != 0);
    let rows = Bulk::new()
        .text("account_id", counted().map(|(account, _)| account.as_str()))
        .int("free_widgets", counted().map(|(_, pull)| pull.free))
        .int("upgraded_widgets", counted().map(|(_, pull)| pull.upgraded));
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {table} (account_id, free_widgets, upgraded_widgets) {rows} \
             ON CONFLICT (account_id) DO UPDATE SET free_widgets = {table}.free_widgets + excluded.free_widgets, \
             upgraded_widgets = {table}.upgraded_widgets + excluded.upgraded_widgets"
        )
    };
    rows.execute(tx, insert).await?;
    Ok(())
}
