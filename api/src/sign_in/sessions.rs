//! Sessions of signed-in browsers, in the database that everything else is in.

use async_trait::async_trait;
use store::{Database, Turn, Writer};
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, ExpiredDeletion, Result},
};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore};

/// The table of sessions, on either engine.
#[derive(Debug, Clone)]
pub enum Sessions {
    /// SQLite: reads wait for nobody; writes wait their turn, as everybody's do.
    Sqlite {
        /// For reading.
        read: SqliteStore,
        /// For writing.
        write: SqliteStore,
        /// Whose turn it is.
        writer: Writer,
    },
    /// PostgreSQL.
    Postgres(PostgresStore),
}

impl Sessions {
    /// The sessions of a database.
    ///
    /// # Errors
    /// Never: the names of table and schema are right.
    pub fn new(database: &Database) -> std::result::Result<Self, String> {
        Ok(match database {
            Database::Sqlite(pools) => Self::Sqlite {
                read: SqliteStore::new(pools.read.clone()).with_table_name("sessions")?,
                write: SqliteStore::new(pools.lent.clone()).with_table_name("sessions")?,
                writer: pools.writer.clone(),
            },
            Database::Postgres(pool) => Self::Postgres(
                PostgresStore::new(pool.clone()).with_schema_name("public")?.with_table_name("sessions")?,
            ),
        })
    }

    /// Deletes those that have run out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tidy(&self) -> std::result::Result<(), Error> {
        match self {
            Self::Sqlite { write, writer, .. } => {
                let _turn = turn(writer).await?;
                write.delete_expired().await
            }
            Self::Postgres(store) => store.delete_expired().await,
        }
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        match self {
            Self::Sqlite { write, writer, .. } => {
                let _turn = turn(writer).await?;
                write.create(record).await
            }
            Self::Postgres(store) => store.create(record).await,
        }
    }

    async fn save(&self, record: &Record) -> Result<()> {
        match self {
            Self::Sqlite { write, writer, .. } => {
                let _turn = turn(writer).await?;
                write.save(record).await
            }
            Self::Postgres(store) => store.save(record).await,
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        match self {
            Self::Sqlite { read, .. } => read.load(id).await,
            Self::Postgres(store) => store.load(id).await,
        }
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        match self {
            Self::Sqlite { write, writer, .. } => {
                let _turn = turn(writer).await?;
                write.delete(id).await
            }
            Self::Postgres(store) => store.delete(id).await,
        }
    }
}

async fn turn(writer: &Writer) -> Result<Turn> {
    writer.turn().await.map_err(|error| Error::Backend(error.to_string()))
}
