//! The two engines behind one door: the URL's scheme chooses, and one SQL text serves both.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres, SqlitePool, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{StoreError, Turn, Writer, files};

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
}

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many connections there may be at once.
    pub connections: u32,
    /// How long a caller waits for one.
    pub acquire_timeout: Duration,
    /// Whether a SQLite file is made where there is none. Without it an opened database is left as it is.
    pub create: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 16, acquire_timeout: Duration::from_secs(5), create: true }
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
            Some(("sqlite", _)) => open_sqlite(url, options).await,
            Some(("postgres" | "postgresql", _)) => open_postgres(url, options).await,
            _ => Err(StoreError::UnknownEngine),
        }
    }

    /// Whether other nodes may share it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// What follows a `SELECT` of rows that this transaction alone shall work on; those of others are passed over.
    /// On SQLite the whole transaction is alone already.
    pub fn skip_locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// What follows a `SELECT` of rows that nobody else shall change before the transaction ends; it waits for those who do.
    pub fn locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE",
        }
    }

    /// The database's own clock, which all nodes share, as SQL: so many seconds from now.
    pub fn clock(&self, seconds: i64) -> String {
        match self {
            Self::Sqlite(_) => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '+{seconds} seconds')"),
            Self::Postgres(_) => format!("CURRENT_TIMESTAMP + interval '{seconds} seconds'"),
        }
    }

    /// A column that lets the transaction's commit not wait for the disk. For what can be made again from the journal: a
    /// crash loses the last of it together with its checkpoint. (SQLite can't say so for one transaction.)
    pub fn unhurried(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "''",
            Self::Postgres(_) => "set_config('synchronous_commit', 'off', true)",
        }
    }

    /// Begins a transaction that will write. Dropping it rolls it back.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.writer.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
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
    /// Commits it.
    ///
    /// # Errors
    /// When the database refuses, or the connection breaks: then the outcome is unknown.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

/// Runs one sqlx query on whichever pool it is: `read!(database, pool => sqlx::query_as(SQL).bind(id).fetch_all(pool))`.
#[macro_export]
macro_rules! read {
    ($database:expr, $pool:ident => $query:expr) => {
        match $database {
            $crate::Database::Sqlite(pools) => {
                let $pool = &pools.read;
                $query.await
            }
            $crate::Database::Postgres($pool) => $query.await,
        }
    };
}

/// Fetches in whichever transaction it is: `within!(tx, on => sqlx::query_as(SQL).bind(id).fetch_one(on))`.
#[macro_export]
macro_rules! within {
    ($tx:expr, $on:ident => $query:expr) => {
        match $tx {
            $crate::Tx::Sqlite(tx) => {
                let $on = &mut **tx;
                $query.await
            }
            $crate::Tx::Postgres(tx) => {
                let $on = &mut **tx;
                $query.await
            }
        }
    };
}

/// Executes in whichever transaction it is, and says how many rows it touched:
/// `execute!(tx, sqlx::query(SQL).bind(id))`.
#[macro_export]
macro_rules! execute {
    ($tx:expr, $query:expr) => {
        match $tx {
            $crate::Tx::Sqlite(tx) => $query.execute(&mut **tx).await.map(|done| done.rows_affected()),
            $crate::Tx::Postgres(tx) => $query.execute(&mut **tx).await.map(|done| done.rows_affected()),
        }
    };
}

/// Runs one sqlx query that writes and returns rows, as a transaction of its own: one round trip.
/// `returning!(database, on => sqlx::query_as(SQL).bind(id).fetch_all(on))`.
#[macro_export]
macro_rules! returning {
    ($database:expr, $on:ident => $query:expr) => {
        match $database {
            $crate::Database::Sqlite(pools) => match pools.writer.turn().await {
                Ok(mut turn) => {
                    let $on = &mut *turn;
                    $query.await
                }
                Err(error) => Err(error),
            },
            $crate::Database::Postgres($on) => $query.await,
        }
    };
}

/// The same for a query that returns none: says how many rows it touched.
/// `autocommit!(database, on => sqlx::query(SQL).bind(id).execute(on))`.
#[macro_export]
macro_rules! autocommit {
    ($database:expr, $on:ident => $query:expr) => {
        $crate::returning!($database, $on => async { $query.await.map(|done| done.rows_affected()) })
    };
}

async fn open_sqlite(url: &str, options: Options) -> Result<Database, StoreError> {
    let connect = SqliteConnectOptions::from_str(url)?;
    let connect = if options.create {
        files::make_private(connect.get_filename())?;
        connect.create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
    } else if files::is_there(connect.get_filename()) {
        connect.create_if_missing(false)
    } else {
        return Err(StoreError::NoFile);
    };
    let connect = connect
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("recursive_triggers", "on")
        .busy_timeout(Duration::from_secs(10))
        .optimize_on_close(true, None)
        .disable_statement_logging();
    let pool = || SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout).test_before_acquire(false);
    // The writer first: it creates the file and sets the journal's mode.
    let writer = Writer::open(connect.clone(), options.acquire_timeout).await?;
    let read = pool().max_connections(options.connections).connect_with(connect.pragma("query_only", "on")).await?;
    Ok(Database::Sqlite(Pools { read, writer }))
}

async fn open_postgres(url: &str, options: Options) -> Result<Database, StoreError> {
    let connect = PgConnectOptions::from_str(url)?
        .application_name("relight")
        // Whoever holds the journal's order or a checkpoint and stops talking, as a frozen machine does, must not stop
        // everybody else for long.
        .options([
            ("idle_in_transaction_session_timeout", "4s"),
            ("statement_timeout", "60s"),
            // Short queries of many: helpers would take longer to start than most of them last.
            ("max_parallel_workers_per_gather", "0"),
            ("timezone", "UTC"),
            // The server notices a node that is gone without a word (a cut cable, a dead machine) within 5 seconds, and
            // its locks with it: another node takes over.
            ("tcp_keepalives_idle", "2"),
            ("tcp_keepalives_interval", "1"),
            ("tcp_keepalives_count", "2"),
            ("tcp_user_timeout", "4s"),
        ])
        .disable_statement_logging();
    // The pool would try for as long as a caller may wait, and then say only that it waited: the first connection is made
    // without it, so that a wrong address or password is said at once and in words.
    connect.connect().await?.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        // A ping before each use costs a round trip; one after a rest finds what a restart of the server broke.
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > Duration::from_secs(1) {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(connect)
        .await?;
    Ok(Database::Postgres(pool))
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
        assert_eq!(url_without_secrets("postgres://me:p@ss@db:5432/relight?password=x"), "postgres://db:5432/relight");
        assert_eq!(url_without_secrets("sqlite:///var/relight.db"), "sqlite:///var/relight.db");
    }
}
