//! The one connection that writes to a SQLite file.
//!
//! SQLite has one writer at a time anyway; with a single connection, writers wait their turn in a fair queue instead of
//! SQLite's busy handler, which sleeps and tries again. It is no pool of sqlx: that asks a connection whether it is well
//! each time it is given back, which a single client pays with a third more time a command.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, Sqlite, SqliteConnection, TransactionManager as _,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteTransactionManager as Transactions},
};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, OwnedSemaphorePermit};

/// The connection, and the queue before it.
#[derive(Debug, Clone)]
pub struct Writer {
    options: Arc<SqliteConnectOptions>,
    within: Duration,
    /// None once it is closed.
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    /// How many wait for a turn.
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    pub(crate) async fn open(options: SqliteConnectOptions, within: Duration) -> Result<Self, Error> {
        let connection = options.connect().await?;
        let connection = Arc::new(Mutex::new(Some(connection)));
        Ok(Self { options: Arc::new(options), within, connection, waiting: Arc::default() })
    }

    /// Waits for a turn. What is executed in it is each a transaction of its own.
    ///
    /// # Errors
    /// When the others take too long, or the database was closed.
    pub async fn turn(&self) -> Result<Turn, Error> {
        let waiting = Waiting::new(&self.waiting);
        let turn = tokio::time::timeout(self.within, self.connection.clone().lock_owned()).await;
        drop(waiting);
        let turn = turn.map_err(|_| Error::PoolTimedOut)?;
        let on = OwnedMutexGuard::try_map(turn, Option::as_mut).map_err(|_| Error::PoolClosed)?;
        Ok(Turn { on: Holding::Writer(on), open: false })
    }

    /// Whether somebody waits for a turn.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits for a turn and begins a transaction, which ends with the turn.
    pub(crate) async fn begin(&self) -> Result<Turn, Error> {
        let mut turn = self.turn().await?;
        match turn.begin().await {
            Err(error) if !matches!(error, Error::Database(_)) => {
                // SQLite ends a transaction by itself when the disk is full, and sqlx goes on counting it; or the
                // connection's thread has died. A fresh one knows nothing of that.
                tracing::warn!(%error, "the connection that writes is opened anew");
                *turn = self.options.connect().await?;
                turn.begin().await?;
            }
            begun => begun?,
        }
        Ok(turn)
    }

    pub(crate) async fn close(&self) {
        let Some(mut connection) = self.connection.lock().await.take() else { return };
        // The last connection folds the WAL into the file by itself; here it is done even if another's thread still ends.
        let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
        if let Err(error) = folded.map(drop).and(connection.close().await) {
            tracing::warn!(%error, "the connection that writes was not closed well");
        }
    }
}

/// One who waits for a turn, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection while nobody else has it. A transaction that was not committed is rolled back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    on: Holding,
    open: bool,
}

#[derive(Debug)]
enum Holding {
    /// The one that writes.
    Writer(OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>),
    /// One of those that read.
    Reader(PoolConnection<Sqlite>, #[expect(dead_code, reason = "gives its place back")] OwnedSemaphorePermit),
}

impl Turn {
    /// A transaction on a connection that reads, which sees the database as it is now.
    pub(crate) async fn reading(on: PoolConnection<Sqlite>, place: OwnedSemaphorePermit) -> Result<Self, Error> {
        let mut turn = Self { on: Holding::Reader(on, place), open: true };
        let begun = Transactions::begin(&mut turn, None).await;
        turn.open = begun.is_ok();
        begun.map(|()| turn)
    }

    /// A deferred transaction that first reads and then writes would fail at once when another one wrote between.
    async fn begin(&mut self) -> Result<(), Error> {
        self.open = true;
        let begun = Transactions::begin(self, Some("BEGIN IMMEDIATE".into())).await;
        self.open = begun.is_ok();
        begun
    }

    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        Transactions::commit(&mut self).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.open {
            // Commands to a connection are carried out in their order: the next turn begins after this.
            Transactions::start_rollback(self);
        }
    }
}

impl Deref for Turn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match &self.on {
            Holding::Writer(on) => on,
            Holding::Reader(on, _) => on,
        }
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match &mut self.on {
            Holding::Writer(on) => on,
            Holding::Reader(on, _) => on,
        }
    }
}
