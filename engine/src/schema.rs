//! Whether a database's schema is the one that this program works with.

use std::collections::BTreeSet;

use crate::{Database, Migrations, StoreError, sql};

/// How a database's schema compares with the program's migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There is none: an empty database.
    Missing,
    /// Migrations are still to be run.
    Older,
    /// It is what this program works with.
    Current,
    /// A newer program has migrated it, and this one may run on it: the table `minimum_program` says so.
    Ahead,
    /// A newer program has migrated it so that this one can't work with it.
    Newer,
}

impl Database {
    /// Compares the schema with the program's migrations, and changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn schema(&self, migrations: &Migrations) -> Result<Schema, StoreError> {
        let tables: i64 = sql(match self {
            Self::Sqlite(_) => "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
            Self::Postgres(_) => "SELECT count(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')",
        })
        .scalar(self)
        .await?;
        if tables == 0 {
            return Ok(Schema::Missing);
        }
        let applied: Vec<i64> = sql("SELECT version FROM _sqlx_migrations WHERE success").scalars(self).await?;
        let applied: BTreeSet<_> = applied.into_iter().collect();
        let known: BTreeSet<_> = migrations.of(self).iter().map(|migration| migration.version).collect();
        Ok(if applied.is_empty() {
            Schema::Missing
        } else if !applied.is_subset(&known) {
            let may_run = known.is_subset(&applied) && self.minimum_program().await? <= known.last().copied();
            if may_run { Schema::Ahead } else { Schema::Newer }
        } else if applied.len() < known.len() {
            Schema::Older
        } else {
            Schema::Current
        })
    }

    /// The version of the migration that a program must know to run on the schema.
    async fn minimum_program(&self) -> Result<Option<i64>, StoreError> {
        Ok(sql("SELECT max(knows) FROM minimum_program").scalar(self).await?)
    }
}
