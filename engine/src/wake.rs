//! Wakes those who wait for the journal to grow: in this process at once, on other nodes through LISTEN/NOTIFY.
//!
//! A call can be lost (a broken connection, a crash after a commit); whoever listens also looks by itself from time to
//! time. Calls of one node are gathered: at most one NOTIFY is under way, because it takes a lock of the whole server
//! when it commits.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{Database, session};

const CHANNEL: &str = "journal_grew";

/// Says when the journal has grown. Clones are the same.
#[derive(Debug, Clone)]
pub struct Wake {
    seen: watch::Sender<i64>,
    others: Arc<Others>,
}

/// The way to and from other nodes; its tasks end with it.
#[derive(Debug, Default)]
struct Others {
    tell: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Wake {
    pub(crate) fn new(database: &Database) -> Self {
        let (seen, _) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let tell = Arc::new(Notify::new());
        if let Database::Postgres(pool) = database {
            tasks.spawn(tell_others(pool.clone(), tell.clone()));
            tasks.spawn(hear_others(pool.clone(), seen.clone()));
        }
        Self { seen, others: Arc::new(Others { tell, _tasks: tasks }) }
    }

    /// The journal reaches to this position now.
    pub(crate) fn tell(&self, position: i64) {
        self.seen.send_if_modified(|seen| {
            let grown = position > *seen;
            *seen = position.max(*seen);
            grown
        });
        self.others.tell.notify_one();
    }

    /// Somebody who waits for the journal to grow.
    pub fn listen(&self) -> watch::Receiver<i64> {
        self.seen.subscribe()
    }
}

/// Tells other nodes, at most once each few milliseconds.
async fn tell_others(pool: PgPool, tell: Arc<Notify>) {
    loop {
        tell.notified().await;
        // A lost call costs a moment, a flushed one would cost a write to disk: other commits should not wait for it.
        let sql = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, '')";
        if let Err(error) = sqlx::query(sql).bind(CHANNEL).execute(&pool).await {
            tracing::debug!(%error, "other nodes were not woken; they will look by themselves");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Hears other nodes. What they say carries no position: whoever wakes reads the journal anyway, and a counter that
/// changes is enough to wake.
async fn hear_others(pool: PgPool, seen: watch::Sender<i64>) {
    loop {
        if let Err(error) = hear(&pool, &seen).await {
            tracing::debug!(%error, "not listening to other nodes; trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn hear(pool: &PgPool, seen: &watch::Sender<i64>) -> Result<(), sqlx::Error> {
    // A pool of its own: it would keep one of the others' connections for good.
    let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let own = own.after_connect(|connection, _| session::settle(connection, &[]));
    let own = own.connect_lazy_with(pool.connect_options().as_ref().clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // `None` after a lost connection: calls may have been missed, so wake for that as well.
        let _ = listener.try_recv().await?;
        seen.send_modify(|_| ());
    }
}
