//! The appending task's own connection to PostgreSQL. Giving one back to a pool costs a round trip, and a pool that is
//! exhausted would hold up everybody's commits.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};

/// A connection of its own, or none yet.
#[derive(Debug, Default)]
pub(crate) struct Connection(Option<(PgConnection, Instant)>);

impl Connection {
    /// Takes the connection; after a rest it is asked first whether the server is still there.
    pub(crate) async fn take(&mut self, pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
        if let Some((mut kept, used)) = self.0.take()
            && (used.elapsed() < Duration::from_secs(1) || kept.ping().await.is_ok())
        {
            return Ok(kept);
        }
        let (options, within) = (pool.connect_options(), pool.options().get_acquire_timeout());
        let connected = tokio::time::timeout(within, PgConnection::connect_with(&options)).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Keeps it for the next append, unless it broke.
    pub(crate) fn keep(&mut self, connection: PgConnection, error: Option<&sqlx::Error>) {
        self.0 = matches!(error, None | Some(sqlx::Error::Database(_))).then(|| (connection, Instant::now()));
    }
}
