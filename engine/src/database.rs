//! The two engines behind one door: the URL's scheme chooses, and one SQL text serves both.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, Postgres, Row as _, SqlitePool, Transaction};
use tokio::sync::Semaphore;

use crate::{Dialect, On, StoreError, Turn, Writer, away, open, sql};

/// How often SQLite's WAL is tried to be emptied.
const TRUNCATED: u32 = 10;

/// An opened database.
#[derive(Debug, Clone)]
pub enum Database {
    /// Embedded: a file of this node alone.
    Sqlite(Pools),
    /// A server, for one node or many.
    Postgres(PgPool),
}

/// The connections to a SQLite file: one that writes, and several that read beside it (the WAL lets them).
#[derive(Debug, Clone)]
pub struct Pools {
    /// Reads only.
    pub read: SqlitePool,
    /// The one that writes.
    pub writer: Writer,
    /// Half of the connections that read may fold projections, for as long as that takes: the others are for who waits.
    pub(crate) folding: Arc<Semaphore>,
}

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many connections there may be at once. Of SQLite's, those that read, and no more than twice as many as the
    /// machine has processors, or four.
    pub connections: u32,
    /// How long a caller waits for one.
    pub acquire_timeout: Duration,
    /// Whether a SQLite file is made where there is none. Without it an opened database is left as it is.
    pub create: bool,
    /// The program's name, as PostgreSQL shows it of its connections.
    pub name: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 16, acquire_timeout: Duration::from_secs(5), create: true, name: "engine" }
    }
}

impl Database {
    /// Opens the database; a SQLite file is created if there is none and [`Options::create`] says so.
    ///
    /// # Errors
    /// [`StoreError::UnknownEngine`] for another scheme, [`StoreError::NoFile`] where a SQLite file is missing,
    /// [`StoreError::Database`] if it can't be reached.
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => open::sqlite(url, options).await,
            Some(("postgres" | "postgresql", _)) => open::postgres(url, options).await,
            _ => Err(StoreError::UnknownEngine),
        }
    }

    /// Whether other nodes may share it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// What differs in its engine's SQL.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Where a query runs that writes and returns rows, as a transaction of its own: one round trip.
    pub fn writing(&self) -> On<'_> {
        On::Writing(self)
    }

    /// Begins a transaction that will write. Dropping it rolls it back.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.writer.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await.inspect_err(away::note)?),
        })
    }

    /// Begins a transaction of a projection that reads alone, on SQLite beside the connection that writes.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub(crate) async fn reading(&self) -> Result<Tx, sqlx::Error> {
        match self {
            Self::Sqlite(pools) => {
                let turn = pools.folding.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
                Ok(Tx::Sqlite(Turn::reading(pools.read.acquire().await?, turn).await?))
            }
            Self::Postgres(_) => self.begin().await,
        }
    }

    /// Takes what was deleted out of the files, as far as the engine lets it: SQLite overwrites it at once and here empties its
    /// WAL; of PostgreSQL, these tables are written anew, which locks each for as long as that takes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn scrub(&self, tables: &[&str]) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(pools) => {
                let mut turn = pools.writer.turn().await?;
                let sampled = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat4'";
                if sqlx::query_scalar::<_, i64>(sampled).fetch_one(&mut *turn).await? > 0 {
                    // The planner's samples have what stood in the tables.
                    sqlx::query("DELETE FROM sqlite_stat4").execute(&mut *turn).await?;
                }
                drop(turn);
                // A reader that looks at an older state holds it up: nobody who writes waits for that meanwhile.
                for _ in 0..TRUNCATED {
                    let mut turn = pools.writer.turn().await?;
                    sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *turn).await?;
                    let truncated = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *turn).await;
                    sqlx::query("PRAGMA busy_timeout = 10000").execute(&mut *turn).await?;
                    drop(turn);
                    if truncated?.try_get::<i64, _>(0)? == 0 {
                        return Ok(());
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                tracing::info!("SQLite's WAL could not be emptied yet, because others read");
                Ok(())
            }
            Self::Postgres(pool) => {
                for table in tables {
                    sqlx::raw_sql(&format!("VACUUM FULL {table}")).execute(pool).await?;
                }
                Ok(())
            }
        }
    }

    /// Whether others wait for the one connection that writes to a SQLite file.
    pub(crate) fn is_wanted(&self) -> bool {
        match self {
            Self::Sqlite(pools) => pools.writer.is_wanted(),
            Self::Postgres(_) => false,
        }
    }

    /// Whether it is more than a standby, or a primary that was set aside, which answer reads alone. Connections to such a
    /// server are not used again.
    pub(crate) async fn is_primary(&self) -> Result<bool, sqlx::Error> {
        let Self::Postgres(_) = self else { return Ok(true) };
        // One engine: a file of SQLite is its owner's.
        let reads_alone: bool =
            sql("SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()").scalar(self).await?;
        if reads_alone {
            away::give_up();
        }
        Ok(!reads_alone)
    }

    /// Closes all connections, after those in use are given back.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.read.close().await;
                // The last one folds the WAL into the file.
                pools.writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction on either engine.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite.
    Sqlite(Turn),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// What differs in its engine's SQL.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Commits it.
    ///
    /// # Errors
    /// When the database refuses, or the connection breaks: then the outcome is unknown.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await.inspect_err(away::note),
        }
    }
}

/// The URL as it may be shown: without user, password and options.
pub fn url_without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "an unreadable URL".to_owned() };
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_secrets() {
        assert_eq!(url_without_secrets("postgres://me:p@ss@db:5432/bank?password=x"), "postgres://db:5432/bank");
        assert_eq!(url_without_secrets("sqlite:///var/bank.db"), "sqlite:///var/bank.db");
    }
}
