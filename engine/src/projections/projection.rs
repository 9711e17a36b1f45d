//! What a projection is: which events it folds, and into which tables.

use crate::{Entry, EventSet, StoreError, Tx, sql};

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
    /// The events that it folds.
    type Event: EventSet;
    /// What a batch changes, in memory.
    type Fold: Default + Send;

    /// Loads what the fold needs to know of these aggregates. Each of a batch is named once, before its first event.
    fn load(
        &self,
        fold: &mut Self::Fold,
        tx: &mut Tx,
        target: Target,
        aggregate_ids: &[&str],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Folds one event. Decides nothing, asks nobody.
    fn apply(&self, fold: &mut Self::Fold, entry: &Entry<Self::Event>);

    /// Writes each row that changed, once.
    fn save(
        &self,
        fold: Self::Fold,
        tx: &mut Tx,
        target: Target,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets what was rebuilt beside serve: the tables change their names, however long they are.
    fn swap(&self, tx: &mut Tx) -> impl Future<Output = Result<(), StoreError>> + Send {
        async move {
            for table in Self::TABLES {
                let beside = Target::Beside.table(table);
                for (from, to) in [(*table, "swapped"), (&beside, table), ("swapped", &beside)] {
                    sql(format!("ALTER TABLE {from} RENAME TO {to}")).execute(&mut *tx).await?;
                }
            }
            Ok(())
        }
    }
}
