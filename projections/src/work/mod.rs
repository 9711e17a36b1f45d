//! The projection `work`: which events make which things due. The queue itself is in [`crate::queue`].
//!
//! A row is written only with a newer cause, which clears lease and attempts: whoever still works for an older cause
//! can't change it any more.

mod pulls;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{AccountEvent, schedule::Schedule};
use engine::{Bulk, Projection, StoreError, Target, Tx, sql};
use store::Event;

use crate::{Entry, queue};
use pulls::Pull;
use timers::Timers;

/// Folds events into `work_v1`.
pub(crate) struct Work {
    schedule: Arc<Schedule>,
}

impl Work {
    /// With the times at which things are due.
    pub(crate) const fn new(schedule: Arc<Schedule>) -> Self {
        Self { schedule }
    }
}

/// What a batch changes.
#[derive(Default)]
pub(crate) struct Fold {
    pulls: BTreeMap<String, Pull>,
    timers: BTreeMap<String, Timers>,
    erased: BTreeSet<String>,
}

impl Projection for Work {
    const NAME: &'static str = crate::WORK;
    const VERSION: u32 = 3;
    const TABLES: &'static [&'static str] = &["work_v1"];
    type Event = Event;
    type Fold = Fold;

    async fn load(&self, _: &mut Fold, _: &mut Tx, _: Target, _: &[&str]) -> Result<(), StoreError> {
        Ok(())
    }

    fn apply(&self, fold: &mut Fold, entry: &Entry) {
        let event = &entry.event;
        if let Event::Account(AccountEvent::Erased) = event {
            fold.pulls.remove(&entry.aggregate_id);
            fold.timers.remove(&entry.aggregate_id);
            fold.erased.insert(entry.aggregate_id.clone());
            return;
        }
        if let Event::Token(event) = event {
            fold.timers.entry(entry.aggregate_id.clone()).or_default().apply(entry, event, &self.schedule);
        }
        fold.pulls.entry(entry.aggregate_id.clone()).or_default().apply(entry, event);
    }

    async fn save(&self, fold: Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        let work = target.table("work_v1");
        if target == Target::Serving {
            let all: BTreeSet<&String> =
                fold.erased.iter().chain(fold.pulls.keys()).chain(fold.timers.keys()).collect();
            queue::lock(tx, all.into_iter().map(String::as_str)).await?;
        }
        // What workers made of an erased account goes with it, wherever it was rebuilt.
        for table in [work.as_str(), "feeds", "checks", "tries"] {
            let erased = Bulk::new().text("account_id", fold.erased.iter().map(String::as_str));
            erased.execute(&mut *tx, |ids| format!("DELETE FROM {table} WHERE account_id IN ({ids})")).await?;
        }
        pulls::save(tx, &work, &fold.pulls).await?;
        timers::save(tx, &work, &fold.timers).await
    }

    /// Reconciled: what workers made of a row since its cause stays as it is.
    async fn swap(&self, tx: &mut Tx) -> Result<(), StoreError> {
        pulls::rested(tx, self.schedule.pull).await?;
        for statement in [
            "DELETE FROM work_v1 WHERE NOT EXISTS (SELECT 1 FROM work_v1_rebuild AS new \
             WHERE work_v1.kind = new.kind AND work_v1.key = new.key)",
            "UPDATE work_v1 SET free_widgets = new.free_widgets, upgraded_widgets = new.upgraded_widgets \
             FROM work_v1_rebuild AS new WHERE work_v1.kind = new.kind AND work_v1.key = new.key",
            "UPDATE work_v1 SET due_at = new.due_at, priority = new.priority, cause = new.cause, attempts = 0, \
             last_error = NULL, lease = NULL, leased_until = NULL FROM work_v1_rebuild AS new \
             WHERE work_v1.kind = new.kind AND work_v1.key = new.key \
             AND (work_v1.cause <> new.cause OR (work_v1.due_at IS NULL) <> (new.due_at IS NULL))",
            "INSERT INTO work_v1 SELECT * FROM work_v1_rebuild AS new WHERE NOT EXISTS \
             (SELECT 1 FROM work_v1 WHERE work_v1.kind = new.kind AND work_v1.key = new.key)",
        ] {
            sql(statement).execute(&mut *tx).await?;
        }
        Ok(())
    }
}
