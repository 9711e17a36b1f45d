//! What a projection is: which events it folds, and into which tables.

use crate::{Entry, EventSet, StoreError, Tx};

/// Which of a projection's tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Those that serve.
    Serving,
    /// Those in which it is rebuilt beside.
    Beside,
}

impl Target {
    /// The table's name.
    pub fn table(self, serving: &str) -> String {
        match self {
            Self::Serving => serving.to_owned(),
            Self::Beside => format!("{serving}_rebuild"),
        }
    }
}

/// What folds events into rows. A value: it holds what its folds need, such as a schedule.
pub trait Projection: Send + Sync + 'static {
    /// Its name in the checkpoints.
    const NAME: &'static str;
    /// Its version: goes up when events fold into other rows than before. A new column comes with a migration, for both
    /// tables and with a default: the old rows serve, kept up by today's fold, until those of the new version are complete.
    const VERSION: u32;
    /// Its tables, in the order in which queries name them. Each has a twin of the same shape, `…_rebuild`.
    const TABLES: &'static [&'static str];
    /// The kinds of the jobs that it schedules ([`crate::jobs`]).
    const JOBS: &'static [&'static str] = &[];
    /// The events that it folds.
    type Event: EventSet;
    /// What a batch changes, in memory.
    type Fold: Default + Send;

    /// Loads what the fold needs to know of these aggregates: nothing, unless it is implemented. Each of a batch is named
    /// once, before its first event.
    fn load(
        &self,
        _fold: &mut Self::Fold,
        _tx: &mut Tx,
        _target: Target,
        _aggregate_ids: &[&str],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// Forgets an aggregate, whose events are folded again from the first one on: its rows are to go, with all that was
    /// counted of them. It is called after [`load`](Self::load).
    fn forget(&self, fold: &mut Self::Fold, aggregate_id: &str);

    /// Folds one event. Decides nothing, asks nobody.
    fn apply(&self, fold: &mut Self::Fold, entry: &Entry<Self::Event>);

    /// Writes each row that changed, once.
    fn save(
        &self,
        fold: Self::Fold,
        tx: &mut Tx,
        target: Target,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whatever is to be done with the jobs about some keys that were scheduled beside, just before they take the place of the
    /// others.
    fn before_swap(&self, _: &mut Tx, _keys: &[String]) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }
}
