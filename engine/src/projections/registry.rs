//! The registry: all projections of a program. Start, status, rebuild and shutdown walk it; adding one is one line.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    projection::{Projection, Target},
    rebuild::{self, Progress},
    runner::Runner,
};
use crate::{Store, StoreError};

/// All projections of a program: `Registry::new().view(Balances).run(&store, &stop)`.
#[derive(Clone, Default)]
pub struct Registry {
    views: Vec<Arc<dyn View>>,
}

/// A projection that can be rebuilt, whatever its types.
trait View: Send + Sync {
    fn name(&self) -> &'static str;
    /// Starts its runner, and rebuilds it beside first if an older program made its rows; where it is, as the runner knows.
    fn start(&self, tasks: &mut JoinSet<()>, store: &Store, stop: &CancellationToken) -> watch::Receiver<i64>;
    fn catch_up<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, Result<(), StoreError>>;
    fn rebuild<'a>(&'a self, store: &'a Store, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// A projection's value, as the registry has it.
struct Registered<P>(Arc<P>);

impl<P: Projection> View for Registered<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn start(&self, tasks: &mut JoinSet<()>, store: &Store, stop: &CancellationToken) -> watch::Receiver<i64> {
        let runner = Runner::new(store, &self.0, Target::Serving);
        let reached = runner.reached.subscribe();
        let stopped = stop.clone();
        tasks.spawn(async move {
            stopped.run_until_cancelled(runner.run()).await;
        });
        let (store, projection, stopped) = (store.clone(), self.0.clone(), stop.clone());
        tasks.spawn(async move {
            stopped.run_until_cancelled(rebuild::up_to_date(&store, &projection)).await;
        });
        reached
    }

    fn catch_up<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { Runner::new(store, &self.0, Target::Serving).catch_up().await })
    }

    fn rebuild<'a>(&'a self, store: &'a Store, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(rebuild::rebuild(store, &self.0, progress))
    }
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a projection whose rows can be made anew from the journal.
    #[must_use]
    pub fn view<P: Projection>(mut self, projection: P) -> Self {
        self.views.push(Arc::new(Registered(Arc::new(projection))));
        self
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.views.iter().map(|view| view.name())
    }

    /// Keeps all of them up to date until `stop` is cancelled.
    pub fn run(&self, store: &Store, stop: &CancellationToken) -> Running {
        let mut tasks = JoinSet::new();
        let positions =
            self.views.iter().map(|view| (view.name(), view.start(&mut tasks, store, stop))).collect::<Vec<_>>();
        Running { tasks, positions }
    }

    /// Brings one projection up to date and returns: nothing else runs meanwhile.
    ///
    /// # Errors
    /// When there is no such projection, the database fails, or an event can't be applied.
    pub async fn catch_up(&self, store: &Store, name: &str) -> Result<(), StoreError> {
        self.of(name)?.catch_up(store).await
    }

    /// Rebuilds a projection.
    ///
    /// # Errors
    /// When there is no such projection, the database fails, or an event can't be applied.
    pub async fn rebuild(&self, store: &Store, name: &str, progress: Progress<'_>) -> Result<(), StoreError> {
        self.of(name)?.rebuild(store, progress).await
    }

    fn of(&self, name: &str) -> Result<&Arc<dyn View>, StoreError> {
        let view = self.views.iter().find(|view| view.name() == name);
        view.ok_or_else(|| StoreError::Unreadable(format!("there is no projection {name}")))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The projections of a node while they run.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
    positions: Vec<(&'static str, watch::Receiver<i64>)>,
}

impl Running {
    /// The position that a projection has reached, as this node knows it: to wait for, and to wake others. `None`: the
    /// registry has no projection of this name.
    pub fn position(&self, name: &str) -> Option<watch::Receiver<i64>> {
        self.positions.iter().find(|(known, _)| *known == name).map(|(_, position)| position.clone())
    }

    /// Waits until all have stopped, after `stop` was cancelled.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
