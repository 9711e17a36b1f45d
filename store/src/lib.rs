//! What is Relight's about its store: the events that the journal holds, their metadata, and the schema. The store itself is
//! the engine's.

mod event;
mod metadata;
#[cfg(feature = "testing")]
pub mod testing;

use std::sync::LazyLock;

use engine::{Database, Migrations, Recorded, Store, StoreError, sqlx};

pub use event::Event;
pub use metadata::Metadata;

/// The schema of all tables: the engine's own, and the SQL of `migrations/`, compiled in.
pub static MIGRATIONS: LazyLock<Migrations> = LazyLock::new(|| {
    Migrations::with_engine(&Migrations {
        sqlite: sqlx::migrate!("../migrations/sqlite"),
        postgres: sqlx::migrate!("../migrations/postgres"),
    })
});

/// The shapes of the aggregates' states. A test fails where one changes and its number doesn't.
pub const SHAPES: &[(&str, i64)] = &[("account", 1), ("token", 2)];

/// The store of an opened and migrated database.
pub fn of(database: Database) -> Store {
    Store::new(database, domain::upcasters).with_shapes(SHAPES)
}

/// The account that an event is of.
///
/// # Errors
/// [`StoreError::Unreadable`] if its stream has no account's id.
pub fn account(event: &Recorded) -> Result<domain::AccountId, StoreError> {
    let unreadable = |_| StoreError::Unreadable(format!("position {}: not an account's id", event.position));
    event.aggregate_id.parse().map_err(unreadable)
}
