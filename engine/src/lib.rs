//! The event store: the journal, and the units that are written to it, on SQLite or PostgreSQL.
//!
//! Aggregates are cqrs-es', and postgres-es and sqlite-es can read the journal. Loading is our own, for states that are known
//! already and long streams; so is writing, because a unit spans several streams and rows.

mod append;
mod away;
mod cache;
mod connection;
mod database;
mod error;
mod event_set;
pub mod files;
pub mod jobs;
mod journal;
mod load;
mod metadata;
mod migrate;
mod open;
mod projections;
mod recorded;
mod schema;
mod session;
mod snapshot;
mod sql;
#[cfg(feature = "testing")]
pub mod testing;
mod unit;
mod wake;
mod writer;

pub use sqlx;

pub use away::is_away;
pub use connection::Connection;
pub use database::{Database, Options, Pools, Tx, url_without_secrets};
pub use error::{CommitError, ExecuteError, StoreError};
pub use event_set::{Decoded, EventSet, Head};
pub use journal::{Entry, Filter, last_at, type_before};
pub use metadata::Metadata;
pub use migrate::{MIGRATIONS, Migrations};
pub use projections::{
    Kind, Progress, Projection, Quarantined, Reaction, Registry, Retried, Running, State, Target, hold, quarantined,
    quarantined_of,
};
pub use recorded::Recorded;
#[cfg(feature = "testing")]
pub use recorded::json;
pub use schema::Schema;
pub use sql::{Bulk, Dialect, On, Query, Row, Value, sql};
pub use unit::{Committed, Decision, Unit};
pub use wake::Wake;
pub use writer::{Turn, Writer};

use std::sync::atomic::Ordering;

use append::Appender;
use cache::Cache;
use cqrs_es::persist::EventUpcaster;

/// Whether units can be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// They can.
    Taken,
    /// The server is a standby, or set to read-only.
    ReadOnly,
    /// Its disk is full.
    NoRoom,
}

/// The event store of one database.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    cache: Cache,
    appender: Appender,
    wake: Wake,
    upcasters: Upcasters,
    shapes: &'static [(&'static str, i64)],
}

/// The upcasters that bring stored events of older versions to the shape of today.
pub type Upcasters = fn() -> Vec<Box<dyn EventUpcaster>>;

impl Store {
    /// The store of an opened database. Its wake-up calls are heard by all clones, and by other nodes.
    pub fn new(database: Database, upcasters: Upcasters) -> Self {
        let (wake, cache) = (Wake::new(&database), Cache::default());
        let appender = Appender::start(database.clone(), cache.clone(), wake.clone());
        Self { database, cache, appender, wake, upcasters, shapes: &[] }
    }

    /// Lets the states of these aggregates be kept when their streams are long: by type, each with the number of its shape.
    /// The number must change whenever the state's fields do, or what events do to them.
    #[must_use]
    pub fn with_shapes(self, shapes: &'static [(&'static str, i64)]) -> Self {
        Self { shapes, ..self }
    }

    fn shape(&self, aggregate: &str) -> Option<i64> {
        self.shapes.iter().find(|(of, _)| *of == aggregate).map(|(_, shape)| *shape)
    }

    /// The database, for those who own other tables in it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Says when the journal has grown.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Whether units can be committed. After one that found no room, it is tried whether there is some again.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn writes(&self) -> Result<Writes, StoreError> {
        if !self.database.is_primary().await? {
            return Ok(Writes::ReadOnly);
        }
        let no_room = self.appender.found_no_room();
        if no_room.load(Ordering::Relaxed) {
            match self.probe().await {
                Err(error) if away::is_no_room(&error) => return Ok(Writes::NoRoom),
                probed => probed?,
            }
            no_room.store(false, Ordering::Relaxed);
        }
        Ok(Writes::Taken)
    }

    /// Writes something and removes it, in one transaction.
    async fn probe(&self) -> Result<(), sqlx::Error> {
        const FILLING: usize = 64 * 1024;
        let mut tx = self.database.begin().await?;
        sql("INSERT INTO write_probe (filling) VALUES ($1)").bind(vec![1_u8; FILLING]).execute(&mut tx).await?;
        sql("DELETE FROM write_probe").execute(&mut tx).await?;
        tx.commit().await
    }

    /// Starts a unit: everything that one use case writes.
    pub fn unit(&self, metadata: impl Into<Metadata>) -> Unit {
        Unit::new(self.clone(), metadata.into())
    }

    /// Lets a use case decide, and commits what it decided as one unit.
    ///
    /// When another writer was faster on one of its streams, or nobody knows whether the commit happened because the
    /// connection broke, the use case loads and decides again: its decision must be one that may be repeated.
    ///
    /// # Errors
    /// What `decide` returns; [`StoreError::Conflict`] when others kept being faster.
    pub async fn run<D: Decision>(
        &self,
        metadata: impl Into<Metadata>,
        decision: &D,
    ) -> Result<(D::Output, Committed), D::Error> {
        const TRIES: u32 = 16;
        let metadata = metadata.into();
        let mut tried = 1;
        loop {
            let mut unit = self.unit(metadata.clone());
            let output = decision.decide(&mut unit).await?;
            match unit.commit().await {
                Ok(committed) => return Ok((output, committed)),
                Err(CommitError::Conflict | CommitError::Unknown(_)) if tried < TRIES => {
                    tokio::time::sleep(retry_pause(tried)).await;
                    tried += 1;
                }
                Err(error) => return Err(StoreError::from(error).into()),
            }
        }
    }
}

/// A few milliseconds that double each time, scattered so that rivals don't meet again.
fn retry_pause(tried: u32) -> std::time::Duration {
    let scatter = std::collections::hash_map::RandomState::new();
    let random = std::hash::BuildHasher::hash_one(&scatter, tried);
    let most = 2_000 << tried.min(6);
    std::time::Duration::from_micros(1_000 + random % most)
}
