//! What every handler shares.

use std::{ops::Deref, sync::Arc};

use commands::Commands;
use engine::{Database, Registry, Store, jobs::Completer};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    config::Config,
    error::Error,
    limits::{Limits, address::UnlistedProxies},
    mail::Mailer,
    pages::widget::FeedCache,
    server::Streams,
    sign_in::passwords::Passwords,
    vault::Proof,
};

/// What every handler shares. Clones are the same, and cost one count: each request takes some.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// The parts of an [`App`].
#[derive(Debug)]
pub struct Shared {
    /// The write side.
    pub commands: Commands,
    /// The configuration.
    pub config: Config,
    /// The way to the mail server, if there is one.
    pub mailer: Option<Mailer>,
    /// How often who may do what.
    pub limits: Limits,
    /// Proxies that seem to be in front of the service and aren't listed.
    pub proxies: UnlistedProxies,
    /// How passwords of requests are hashed: few at once, with a short queue.
    pub passwords: Passwords,
    /// The streams that are open.
    pub streams: Streams,
    /// Feeds as they were served last.
    pub feeds: FeedCache,
    /// Whether the vault's keys open what is sealed, as it was found last.
    pub proof: Proof,
    /// The position that the status view has reached.
    pub status_position: watch::Receiver<i64>,
    /// All that follows the journal.
    pub registry: Registry,
    /// Ends jobs that left nothing to store.
    pub completer: Completer,
    /// What must be finished although whoever asked for it went away.
    pub tasks: TaskTracker,
    /// Tells live pages of this node that something was pulled or checked.
    pub changed: watch::Sender<u64>,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl From<Shared> for App {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Shared {
    /// The event store.
    pub fn store(&self) -> &Store {
        &self.commands.store
    }

    /// Runs work in a task of its own: a browser that goes away does not stop it half-way.
    ///
    /// # Errors
    /// The work's own, or that it panicked.
    pub async fn to_the_end<T: Send + 'static, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, Error>
    where
        E: Into<Error> + Send + 'static,
    {
        let ended = self.tasks.spawn(work.in_current_span()).await;
        ended.map_err(|error| Error::Internal(error.into()))?.map_err(Into::into)
    }

    /// The database.
    pub fn database(&self) -> &Database {
        self.store().database()
    }

    /// Waits, for a second at most, until the status view shows what was committed.
    pub async fn until_shown(&self, committed: engine::Committed) {
        if let Some(position) = committed.position {
            self.until_position(position).await;
        }
    }

    /// Waits, for a second at most, until the status view has reached a position.
    pub async fn until_position(&self, position: i64) {
        let mut reached = self.status_position.clone();
        let shown = reached.wait_for(|reached| *reached >= position);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), shown).await;
    }
}
