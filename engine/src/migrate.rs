//! Brings a database's schema up to date.

use sqlx::migrate::Migrator;

use crate::{Database, StoreError};

/// The migrations of an application's schema, for each engine the same steps.
#[derive(Debug)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: Migrator,
    /// For PostgreSQL.
    pub postgres: Migrator,
}

impl Migrations {
    /// Those of a database's engine.
    pub(crate) fn of(&self, database: &Database) -> &Migrator {
        match database {
            Database::Sqlite(_) => &self.sqlite,
            Database::Postgres(_) => &self.postgres,
        }
    }

    /// A text that changes whenever a migration of PostgreSQL does.
    #[cfg(feature = "testing")]
    pub(crate) fn fingerprint(&self) -> String {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        for migration in self.postgres.iter() {
            migration.checksum.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

impl Database {
    /// Brings the schema up to date. Several nodes may do so at once: one works, the others wait.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] if a migration fails, or the database was migrated by a newer program.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), StoreError> {
        let migrator = migrations.of(self);
        match self {
            Self::Sqlite(pools) => migrator.run(&mut *pools.writer.turn().await?).await?,
            Self::Postgres(pool) => migrator.run(pool).await?,
        }
        Ok(())
    }
}
