//! Brings a database's schema up to date: the SQL of `migrations/`, compiled in.

use sqlx::migrate::Migrator;

use crate::{Database, StoreError};

pub(crate) static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
pub(crate) static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

impl Database {
    /// Brings the schema up to date. Several nodes may do so at once: one works, the others wait.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] if a migration fails, or the database was migrated by a newer program.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(pools) => SQLITE.run(&mut *pools.writer.turn().await?).await?,
            Self::Postgres(pool) => POSTGRES.run(pool).await?,
        }
        Ok(())
    }
}

/// A text that changes whenever a migration does.
#[cfg(feature = "testing")]
pub(crate) fn postgres_fingerprint() -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for migration in POSTGRES.iter() {
        migration.checksum.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
