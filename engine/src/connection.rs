//! A task's own connection to PostgreSQL. Giving one back to a pool costs a round trip, and a pool that is exhausted would
//! hold up everybody's commits.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};

/// A connection of its own, or none yet.
#[derive(Debug, Default)]
pub struct Connection {
    settings: &'static [(&'static str, &'static str)],
    kept: Option<(PgConnection, Instant)>,
}

impl Connection {
    /// One with settings of its session.
    pub const fn with(settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { settings, kept: None }
    }

    /// Takes the connection; after a rest it is asked first whether the server is still there.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn take(&mut self, pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
        if let Some((mut kept, used)) = self.kept.take()
            && (used.elapsed() < Duration::from_secs(1) || kept.ping().await.is_ok())
        {
            return Ok(kept);
        }
        let options = pool.connect_options().as_ref().clone().options(self.settings.iter().copied());
        let within = pool.options().get_acquire_timeout();
        let connected = tokio::time::timeout(within, PgConnection::connect_with(&options)).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Keeps it for the next time, unless it broke.
    pub fn keep(&mut self, connection: PgConnection, error: Option<&sqlx::Error>) {
        self.kept = matches!(error, None | Some(sqlx::Error::Database(_))).then(|| (connection, Instant::now()));
    }
}
