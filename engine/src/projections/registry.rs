//! The registry: all that follows the journal in a program. Start, status, rebuild and shutdown walk it; adding one is one
//! line.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::{self, Kind, State},
    projection::{Projection, Target},
    reaction::{Reacting, Reaction},
    rebuild::{self, Progress},
    runner::Runner,
};
use crate::{Store, StoreError};

/// All that follows the journal in a program: `Registry::new().view(Balances).reaction(Letters).run(&store, &stop)`.
#[derive(Clone, Default)]
pub struct Registry {
    all: Vec<Arc<dyn Follower>>,
}

/// A view or a reaction, whatever its types.
trait Follower: Send + Sync {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// Starts its runner, and rebuilds a view beside if an older program made its rows; where it is, as the runner knows.
    fn start(&self, tasks: &mut JoinSet<()>, store: &Store, stop: &CancellationToken) -> watch::Receiver<i64>;
    fn catch_up<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, Result<(), StoreError>>;
    fn rebuild<'a>(&'a self, store: &'a Store, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
}

fn spawn<P: Projection>(tasks: &mut JoinSet<()>, runner: Runner<P>, stop: &CancellationToken) -> watch::Receiver<i64> {
    let (reached, stop) = (runner.reached.subscribe(), stop.clone());
    tasks.spawn(async move {
        stop.run_until_cancelled(runner.run()).await;
    });
    reached
}

/// A view's value, as the registry has it.
struct View<P>(Arc<P>);

impl<P: Projection> Follower for View<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn kind(&self) -> Kind {
        Kind::View
    }

    fn start(&self, tasks: &mut JoinSet<()>, store: &Store, stop: &CancellationToken) -> watch::Receiver<i64> {
        let reached = spawn(tasks, Runner::of_view(store, &self.0, Target::Serving), stop);
        let (store, projection, stopped) = (store.clone(), self.0.clone(), stop.clone());
        tasks.spawn(async move {
            stopped.run_until_cancelled(rebuild::up_to_date(&store, &projection)).await;
        });
        reached
    }

    fn catch_up<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { Runner::of_view(store, &self.0, Target::Serving).catch_up().await })
    }

    fn rebuild<'a>(&'a self, store: &'a Store, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(rebuild::rebuild(store, &self.0, progress))
    }
}

/// A reaction's value, as the registry has it.
struct Reactor<R>(Arc<Reacting<R>>);

impl<R: Reaction> Follower for Reactor<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn kind(&self) -> Kind {
        Kind::Reaction
    }

    fn start(&self, tasks: &mut JoinSet<()>, store: &Store, stop: &CancellationToken) -> watch::Receiver<i64> {
        spawn(tasks, Runner::of_reaction(store, &self.0), stop)
    }

    fn catch_up<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { Runner::of_reaction(store, &self.0).catch_up().await })
    }

    fn rebuild<'a>(&'a self, _: &'a Store, _: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        let why = format!("{} is a reaction: what it has done can't be done anew", R::NAME);
        Box::pin(async { Err(StoreError::Unreadable(why)) })
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
        self.all.push(Arc::new(View(Arc::new(projection))));
        self
    }

    /// Adds what answers events by work.
    #[must_use]
    pub fn reaction<R: Reaction>(mut self, reaction: R) -> Self {
        self.all.push(Arc::new(Reactor(Arc::new(Reacting(reaction)))));
        self
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|follower| follower.name())
    }

    /// How far each is that has begun, in the order in which they were added; then whatever else has a checkpoint.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn states(&self, store: &Store) -> Result<Vec<State>, StoreError> {
        let known: Vec<_> = self.all.iter().map(|follower| (follower.name(), follower.kind())).collect();
        checkpoint::states(store, &known).await
    }

    /// Keeps all of them up to date until `stop` is cancelled.
    pub fn run(&self, store: &Store, stop: &CancellationToken) -> Running {
        let mut tasks = JoinSet::new();
        let positions = self.all.iter().map(|one| (one.name(), one.start(&mut tasks, store, stop))).collect::<Vec<_>>();
        Running { tasks, positions }
    }

    /// Brings one up to date and returns: nothing else runs meanwhile.
    ///
    /// # Errors
    /// When there is no such projection, the database fails, or an event can't be applied.
    pub async fn catch_up(&self, store: &Store, name: &str) -> Result<(), StoreError> {
        self.of(name)?.catch_up(store).await
    }

    /// Rebuilds a view.
    ///
    /// # Errors
    /// When there is no such view, the database fails, or an event can't be applied.
    pub async fn rebuild(&self, store: &Store, name: &str, progress: Progress<'_>) -> Result<(), StoreError> {
        self.of(name)?.rebuild(store, progress).await
    }

    fn of(&self, name: &str) -> Result<&Arc<dyn Follower>, StoreError> {
        let found = self.all.iter().find(|follower| follower.name() == name);
        found.ok_or_else(|| StoreError::Unreadable(format!("there is no projection {name}")))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What follows the journal on a node, while it runs.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
    positions: Vec<(&'static str, watch::Receiver<i64>)>,
}

impl Running {
    /// The position that one has reached, as this node knows it: to wait for, and to wake others. `None`: the
    /// registry has none of this name.
    pub fn position(&self, name: &str) -> Option<watch::Receiver<i64>> {
        self.positions.iter().find(|(known, _)| *known == name).map(|(_, position)| position.clone())
    }

    /// Waits until all have stopped, after `stop` was cancelled.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
