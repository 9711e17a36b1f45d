//! The repository that cqrs-es works on: it loads through postgres-es and sqlite-es, and what it is told to persist it
//! only collects, for the unit to commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cqrs_es::{
    Aggregate,
    persist::{PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent, SerializedSnapshot},
};
use postgres_es::PostgresEventRepository;
use serde_json::Value;
use sqlite_es::SqliteEventRepository;

use crate::Database;

/// Collects the events of one unit. Clones share what was collected.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    database: Database,
    collected: Arc<Mutex<Vec<SerializedEvent>>>,
}

impl Collector {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, collected: Arc::default() }
    }

    pub(crate) fn into_events(self) -> Vec<SerializedEvent> {
        std::mem::take(&mut *self.events())
    }

    fn events(&self) -> MutexGuard<'_, Vec<SerializedEvent>> {
        // A panic between two pushes leaves a list that is still whole.
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PersistedEventRepository for Collector {
    /// The stored events, and after them those that the unit has collected for the same stream.
    async fn get_events<A: Aggregate>(&self, aggregate_id: &str) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let mut events = match &self.database {
            Database::Sqlite(pools) => {
                SqliteEventRepository::new(pools.read.clone()).get_events::<A>(aggregate_id).await?
            }
            Database::Postgres(pool) => {
                PostgresEventRepository::new(pool.clone()).get_events::<A>(aggregate_id).await?
            }
        };
        let collected = self.events();
        let ours = |event: &&SerializedEvent| event.aggregate_type == A::TYPE && event.aggregate_id == aggregate_id;
        events.extend(collected.iter().filter(ours).cloned());
        Ok(events)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        _: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        self.events().extend_from_slice(events);
        Ok(())
    }

    // Snapshots and replays are never asked for: they apply events twice in cqrs-es 0.5, and the journal replays.

    async fn get_last_events<A: Aggregate>(&self, _: &str, _: usize) -> Result<Vec<SerializedEvent>, PersistenceError> {
        Err(unused())
    }

    async fn get_snapshot<A: Aggregate>(&self, _: &str) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Err(unused())
    }

    async fn stream_events<A: Aggregate>(&self, _: &str) -> Result<ReplayStream, PersistenceError> {
        Err(unused())
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Err(unused())
    }
}

fn unused() -> PersistenceError {
    PersistenceError::UnknownError("units use neither snapshots nor replays".into())
}
