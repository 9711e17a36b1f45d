//! A task's own connection to PostgreSQL. Giving one back to a pool costs a round trip, and a pool that is exhausted would
//! hold up everybody's commits.

use std::{
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, PgPool};

use crate::{away, session};

/// A connection of its own, or none yet.
#[derive(Debug, Default)]
pub struct Connection {
    settings: &'static [(&'static str, &'static str)],
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    made: Instant,
    used: Instant,
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
    pub async fn take(&mut self, pool: &PgPool) -> Result<Taken, sqlx::Error> {
        if let Some(Kept { mut connection, made, used }) = self.kept.take()
            && away::is_usable(made)
            && (used.elapsed() < Duration::from_secs(1) || connection.ping().await.is_ok())
        {
            return Ok(Taken { connection, made });
        }
        let (within, made) = (pool.options().get_acquire_timeout(), Instant::now());
        away::connected();
        let connect = async {
            let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
            session::settle(&mut connection, self.settings).await?;
            Ok(connection)
        };
        let connected = tokio::time::timeout(within, connect).await;
        Ok(Taken { connection: connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?, made })
    }

    /// Keeps it for the next time, unless an error says that it can't be used again.
    pub fn keep(&mut self, taken: Taken, error: Option<&sqlx::Error>) {
        let Taken { connection, made } = taken;
        self.kept = error.is_none_or(away::leaves_usable).then(|| Kept { connection, made, used: Instant::now() });
    }
}

/// The connection while it is used.
#[derive(Debug)]
pub struct Taken {
    connection: PgConnection,
    made: Instant,
}

impl Deref for Taken {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
