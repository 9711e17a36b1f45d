//! Loading an aggregate: its stream through postgres-es and sqlite-es, folded by cqrs-es.

use std::panic::AssertUnwindSafe;

use cqrs_es::{Aggregate, AggregateError, EventStore, persist::PersistedEventStore};
use futures::FutureExt;
use postgres_es::PostgresEventRepository;
use sqlite_es::SqliteEventRepository;

use crate::{
    Database, Store, StoreError,
    cache::{AnyState, Key, State},
};

impl Store {
    /// The aggregate as the database has it; it is hot from then on.
    pub(crate) async fn fresh<A: Aggregate + Clone + 'static>(&self, key: &Key) -> Result<State<A>, StoreError> {
        let loading = async {
            match &self.database {
                Database::Sqlite(pools) => {
                    let events = SqliteEventRepository::new(pools.read.clone());
                    let store = PersistedEventStore::<_, A>::new_event_store(events).with_upcasters((self.upcasters)());
                    store.load_aggregate(&key.1).await
                }
                Database::Postgres(pool) => {
                    let events = PostgresEventRepository::new(pool.clone());
                    let store = PersistedEventStore::<_, A>::new_event_store(events).with_upcasters((self.upcasters)());
                    store.load_aggregate(&key.1).await
                }
            }
        };
        // The repositories panic at a column that can't be decoded.
        let undecodable = |why: &str| StoreError::Undecodable(format!("{} {}: {why}", key.0, key.1));
        let loaded = AssertUnwindSafe(loading).catch_unwind().await.map_err(|_| undecodable("a column"))?;
        let context = loaded.map_err(|error| unexpected(key, &error))?;
        let sequence = i64::try_from(context.current_sequence).unwrap_or(i64::MAX);
        let state = State { aggregate: context.aggregate, sequence };
        if sequence > 0 {
            self.cache.keep(key.clone(), AnyState::new(state.clone()));
        }
        Ok(state)
    }
}

fn unexpected<E: std::error::Error>((aggregate, id): &Key, error: &AggregateError<E>) -> StoreError {
    match error {
        AggregateError::DatabaseConnectionError(source) | AggregateError::UnexpectedError(source) => {
            match source.downcast_ref() {
                Some(error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))) => {
                    StoreError::Undecodable(format!("{aggregate} {id}: {error}"))
                }
                _ => StoreError::Database(sqlx::Error::Protocol(source.to_string())),
            }
        }
        AggregateError::AggregateConflict => StoreError::Conflict,
        other => StoreError::Undecodable(format!("{aggregate} {id}: {other}")),
    }
}
