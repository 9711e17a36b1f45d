//! What a projection is: how it folds events, and into which tables.

use domain::schedule::Schedule;
use engine::{StoreError, Tx, execute};
use store::Event;

/// An event of the journal, decoded.
pub(crate) type Entry = engine::Entry<Event>;

/// Which of a projection's tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Those that serve.
    Serving,
    /// Those in which it is rebuilt beside.
    Beside,
}

impl Target {
    /// The table's name.
    pub(crate) fn table(self, serving: &str) -> String {
        match self {
            Self::Serving => serving.to_owned(),
            Self::Beside => format!("{serving}_rebuild"),
        }
    }
}

/// What folds events into rows.
pub(crate) trait Projection: Send + Sync + 'static {
    /// Its name in the checkpoints.
    const NAME: &'static str;
    /// Its version: goes up when events fold into other rows than before. A new column comes with a migration, for both
    /// tables and with a default: the old rows serve, kept up by today's fold, until those of the new version are complete.
    const VERSION: i64;
    /// Its tables, in the order in which queries name them.
    const TABLES: &'static [&'static str];
    /// What a batch changes, in memory.
    type Fold: Default + Send;

    /// Loads what the fold needs to know for these events and doesn't yet.
    fn load(
        fold: &mut Self::Fold,
        tx: &mut Tx,
        target: Target,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many accounts it changes.
    fn accounts(fold: &Self::Fold) -> usize;

    /// Folds one event. Decides nothing, asks nobody.
    fn apply(fold: &mut Self::Fold, entry: &Entry, event: &Event, schedule: &Schedule);

    /// Writes each row that changed, once.
    fn save(fold: Self::Fold, tx: &mut Tx, target: Target) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets what was rebuilt beside serve: the tables change their names, however long they are.
    fn swap(tx: &mut Tx, _: &Schedule) -> impl Future<Output = Result<(), StoreError>> + Send {
        async move {
            for table in Self::TABLES {
                let beside = Target::Beside.table(table);
                for (from, to) in [(*table, "swapped"), (&beside, table), ("swapped", &beside)] {
                    execute!(&mut *tx, sqlx::query(&format!("ALTER TABLE {from} RENAME TO {to}")))?;
                }
            }
            Ok(())
        }
    }
}
