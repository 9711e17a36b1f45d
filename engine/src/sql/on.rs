//! Where a query runs.

use sqlx::{PgConnection, SqliteConnection};

use super::Dialect;
use crate::{Database, Tx};

/// Where a [`Query`](crate::Query) runs.
#[derive(Debug)]
pub enum On<'a> {
    /// On a database: what is fetched is read, on SQLite beside the one connection that writes; what is executed is a
    /// transaction of its own.
    Database(&'a Database),
    /// The same for a statement that writes and returns rows: see [`Database::writing`].
    Writing(&'a Database),
    /// On a connection of SQLite, or in a transaction of it.
    Sqlite(&'a mut SqliteConnection),
    /// On a connection of PostgreSQL, or in a transaction of it.
    Postgres(&'a mut PgConnection),
}

impl On<'_> {
    /// Its engine's dialect.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Database(database) | Self::Writing(database) => database.dialect(),
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }
}

impl<'a> From<&'a Database> for On<'a> {
    fn from(database: &'a Database) -> Self {
        Self::Database(database)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        match tx {
            Tx::Sqlite(tx) => Self::Sqlite(tx),
            Tx::Postgres(tx) => Self::Postgres(tx),
        }
    }
}

impl<'a> From<&'a mut SqliteConnection> for On<'a> {
    fn from(connection: &'a mut SqliteConnection) -> Self {
        Self::Sqlite(connection)
    }
}

impl<'a> From<&'a mut PgConnection> for On<'a> {
    fn from(connection: &'a mut PgConnection) -> Self {
        Self::Postgres(connection)
    }
}
