//! Brings a database's schema up to date.

use std::borrow::Cow;

use sqlx::{
    Connection as _, PgConnection,
    migrate::{Migration, Migrator},
};

use crate::{Database, Schema, StoreError};

/// The engine's own tables: the journal, and the checkpoints of projections.
pub static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

/// The migrations of a schema, for each database the same steps.
#[derive(Debug)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: Migrator,
    /// For PostgreSQL.
    pub postgres: Migrator,
}

impl Migrations {
    /// The engine's own and an application's, in the order of their versions.
    #[must_use]
    pub fn with_engine(application: &Self) -> Self {
        let merge = |engine: &Migrator, application: &Migrator| {
            let mut all: Vec<Migration> = engine.iter().chain(application.iter()).cloned().collect();
            all.sort_by_key(|migration| migration.version);
            Migrator { migrations: Cow::Owned(all), ..Migrator::DEFAULT }
        };
        Self {
            sqlite: merge(&MIGRATIONS.sqlite, &application.sqlite),
            postgres: merge(&MIGRATIONS.postgres, &application.postgres),
        }
    }

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
    /// Brings the schema up to date. Several nodes may do so at once: one works, the others wait. A schema that a newer program
    /// has migrated stays as it is, if this one may run on it ([`Schema::Ahead`]).
    ///
    /// # Errors
    /// [`StoreError::Migrate`] if a migration fails, or a newer program has migrated the database so that this one can't work
    /// with it.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), StoreError> {
        if self.schema(migrations).await? == Schema::Ahead {
            tracing::info!(event = "schema.ahead", "a newer program has migrated the database; this one may run on it");
            return Ok(());
        }
        let migrator = migrations.of(self);
        match self {
            Self::Sqlite(pools) => migrator.run(&mut *pools.writer.turn().await?).await?,
            Self::Postgres(pool) => {
                // On a connection of its own, whose statements may take as long as a large table needs.
                let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
                migrator.run(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }
}
