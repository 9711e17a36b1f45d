//! Opening a database: how its connections are.

use std::{
    num::NonZero,
    str::FromStr,
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Semaphore;

use crate::{Database, Options, Pools, StoreError, Writer, away, files, session};

pub(crate) async fn sqlite(url: &str, options: Options) -> Result<Database, StoreError> {
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
        // What is deleted is overwritten.
        .pragma("secure_delete", "on")
        .busy_timeout(Duration::from_secs(10))
        .optimize_on_close(true, None)
        .disable_statement_logging();
    let pool = || SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout).test_before_acquire(false);
    // The writer first: it creates the file and sets the journal's mode.
    let writer = Writer::open(connect.clone(), options.acquire_timeout).await?;
    let readers = options.connections.min(readers());
    let read = pool().max_connections(readers).connect_with(connect.pragma("query_only", "on")).await?;
    let folding = Arc::new(Semaphore::new((readers as usize / 2).max(1)));
    Ok(Database::Sqlite(Pools { read, writer, folding }))
}

/// How many connections read a SQLite file at most. Each is a thread that computes: more than the machine runs at once would
/// cost memory, and a start that opens them all its time.
fn readers() -> u32 {
    let at_once = available_parallelism().map_or(1, NonZero::get);
    u32::try_from(2 * at_once).unwrap_or(u32::MAX).max(4)
}

pub(crate) async fn postgres(url: &str, options: Options) -> Result<Database, StoreError> {
    let connect = PgConnectOptions::from_str(url)?
        .application_name(options.name)
        // Poolers know no such parameter, and no number here has a fraction.
        .extra_float_digits(None)
        .disable_statement_logging();
    session::try_out(&connect).await?;
    let pool = PgPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .max_lifetime(away::MAX_AGE)
        .after_connect(|connection, _| {
            away::connected();
            session::settle(connection, &[])
        })
        // A ping before each use costs a round trip; one after a rest finds what a restart of the server broke.
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                let made = Instant::now().checked_sub(meta.age).unwrap_or_else(Instant::now);
                if !away::is_usable(made) {
                    return Ok(false);
                }
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
