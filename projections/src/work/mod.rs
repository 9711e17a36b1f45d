//! The projection `work`: which events make which jobs due ([`crate::jobs`]).
//!
//! A job is scheduled only with a newer cause, which clears lease and attempts: whoever still works for an older cause
//! can't change it any more.

mod pulls;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{AccountEvent, schedule::Schedule};
use engine::{Bulk, Projection, StoreError, Target, Tx, jobs};
use store::Event;

use crate::{Entry, jobs::Kind};
use pulls::Pull;
use timers::Timers;

/// Folds events into jobs.
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
    /// Folded anew: their jobs and counts go, what workers made of them stays.
    forgotten: BTreeSet<String>,
}

impl Projection for Work {
    const NAME: &'static str = crate::WORK;
    const VERSION: u32 = 4;
    const TABLES: &'static [&'static str] = &["widget_counts_v1"];
    const JOBS: &'static [&'static str] = Kind::NAMES;
    type Event = Event;
    type Fold = Fold;

    fn forget(&self, fold: &mut Fold, account: &str) {
        fold.forgotten.insert(account.to_owned());
    }

    fn apply(&self, fold: &mut Fold, entry: &Entry) {
        let event = &entry.event;
        if let Event::Account(AccountEvent::Erased { .. }) = event {
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
        if target == Target::Serving {
            let gone = fold.erased.iter().chain(&fold.forgotten);
            let all: BTreeSet<&String> = gone.chain(fold.pulls.keys()).chain(fold.timers.keys()).collect();
            jobs::lock(tx, all.into_iter().map(String::as_str)).await?;
        }
        let erased = || fold.erased.iter().map(String::as_str);
        let gone = || erased().chain(fold.forgotten.iter().map(String::as_str));
        jobs::cancel(tx, target, Kind::NAMES, gone()).await?;
        delete(tx, &target.table("widget_counts_v1"), gone()).await?;
        // What workers made of an erased account goes with it, wherever it was rebuilt.
        for table in ["feeds", "checks", "tries"] {
            delete(tx, table, erased()).await?;
        }
        pulls::save(tx, target, &fold.pulls).await?;
        timers::save(tx, target, &fold.timers).await
    }

    async fn before_swap(&self, tx: &mut Tx, keys: &[String]) -> Result<(), StoreError> {
        pulls::rested(tx, self.schedule.pull, keys).await
    }
}

/// Deletes accounts' rows.
async fn delete<'a>(tx: &mut Tx, table: &str, accounts: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
    let delete = |ids: &str| format!("DELETE FROM {table} WHERE account_id IN ({ids})");
    Bulk::new().text("account_id", accounts).execute(tx, delete).await?;
    Ok(())
}
