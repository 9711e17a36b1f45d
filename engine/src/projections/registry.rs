//! The registry: all that follows the journal in a program. Start, status, rebuild and shutdown walk it; adding one is one
//! line.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::{self, Kind, State},
    projection::{Projection, Target},
    reaction::{Reacting, Reaction},
    rebuild::{self, Progress},
    retry::Retried,
    runner::{Program, Runner},
};
use crate::{Store, StoreError};

/// All that follows the journal in a program: `Registry::new().view(Balances).reaction(Letters).run(&store, &stop)`.
#[derive(Clone)]
pub struct Registry {
    all: Vec<Arc<dyn Follower>>,
    program: Arc<Program>,
}

/// How long an event of a newer program is left to other nodes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What following needs besides: where the events are, and on whose behalf.
#[derive(Clone, Copy)]
struct Context<'a> {
    store: &'a Store,
    program: &'a Arc<Program>,
}

/// A view or a reaction, whatever its types.
trait Follower: Send + Sync {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// Starts its runner, and rebuilds a view beside if an older program made its rows; where it is, as the runner knows.
    fn start(&self, tasks: &mut JoinSet<()>, on: Context<'_>, stop: &CancellationToken) -> watch::Receiver<i64>;
    fn catch_up<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
    fn rebuild<'a>(&'a self, on: Context<'a>, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
    fn retry<'a>(&'a self, on: Context<'a>, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Retried>, StoreError>>;
}

/// Runs a runner until `stop`, and tries again beside it what another program has set aside.
fn start<P: Projection>(
    tasks: &mut JoinSet<()>,
    (runner, again): (Runner<P>, Runner<P>),
    stop: &CancellationToken,
) -> watch::Receiver<i64> {
    let (reached, stopped) = (runner.reached.subscribe(), stop.clone());
    tasks.spawn(async move {
        stopped.run_until_cancelled(runner.run()).await;
    });
    let stopped = stop.clone();
    tasks.spawn(async move {
        stopped.run_until_cancelled(again.retry_of_others()).await;
    });
    reached
}

/// A view's value, as the registry has it.
struct View<P>(Arc<P>);

impl<P: Projection> View<P> {
    fn runner(&self, Context { store, program }: Context<'_>) -> Runner<P> {
        Runner::of_view(store, &self.0, Target::Serving, program)
    }
}

impl<P: Projection> Follower for View<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn kind(&self) -> Kind {
        Kind::View
    }

    fn start(&self, tasks: &mut JoinSet<()>, on: Context<'_>, stop: &CancellationToken) -> watch::Receiver<i64> {
        let reached = start(tasks, (self.runner(on), self.runner(on)), stop);
        let (store, program, projection, stopped) =
            (on.store.clone(), on.program.clone(), self.0.clone(), stop.clone());
        tasks.spawn(async move {
            stopped.run_until_cancelled(rebuild::up_to_date(&store, &projection, &program)).await;
        });
        reached
    }

    fn catch_up<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.runner(on).catch_up().await })
    }

    fn rebuild<'a>(&'a self, on: Context<'a>, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(rebuild::rebuild(on.store, &self.0, on.program, progress))
    }

    fn retry<'a>(&'a self, on: Context<'a>, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Retried>, StoreError>> {
        Box::pin(async move { self.runner(on).retry(id).await })
    }
}

/// A reaction's value, as the registry has it.
struct Reactor<R>(Arc<Reacting<R>>);

impl<R: Reaction> Reactor<R> {
    fn runner(&self, Context { store, program }: Context<'_>) -> Runner<Reacting<R>> {
        Runner::of_reaction(store, &self.0, program)
    }
}

impl<R: Reaction> Follower for Reactor<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn kind(&self) -> Kind {
        Kind::Reaction
    }

    fn start(&self, tasks: &mut JoinSet<()>, on: Context<'_>, stop: &CancellationToken) -> watch::Receiver<i64> {
        start(tasks, (self.runner(on), self.runner(on)), stop)
    }

    fn catch_up<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.runner(on).catch_up().await })
    }

    fn rebuild<'a>(&'a self, _: Context<'a>, _: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        let why = format!("{} is a reaction: what it has done can't be done anew", R::NAME);
        Box::pin(async { Err(StoreError::Projection(why)) })
    }

    fn retry<'a>(&'a self, on: Context<'a>, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Retried>, StoreError>> {
        Box::pin(async move { self.runner(on).retry(id).await })
    }
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self { all: Vec::new(), program: Arc::new(Program { name: String::new(), patience: PATIENCE }) }
    }

    /// The program's name and version. What one program had to set aside is tried again when another one starts.
    #[must_use]
    pub fn program(self, name: impl Into<String>) -> Self {
        let patience = self.program.patience;
        Self { program: Arc::new(Program { name: name.into(), patience }), ..self }
    }

    /// How long an event of a newer program is left to other nodes, which may be of that program already: 30 seconds unless
    /// this says otherwise. Then its aggregate is set aside.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        let name = self.program.name.clone();
        Self { program: Arc::new(Program { name, patience }), ..self }
    }

    /// Adds a projection whose rows can be made anew from the journal.
    ///
    /// # Panics
    /// When another one has its name.
    #[must_use]
    pub fn view<P: Projection>(self, projection: P) -> Self {
        self.add(View(Arc::new(projection)))
    }

    /// Adds what answers events by work.
    ///
    /// # Panics
    /// When another one has its name.
    #[must_use]
    pub fn reaction<R: Reaction>(self, reaction: R) -> Self {
        self.add(Reactor(Arc::new(Reacting(reaction))))
    }

    fn add(mut self, follower: impl Follower + 'static) -> Self {
        let name = follower.name();
        assert!(self.names().all(|known| known != name), "two have the name {name}, and would share a checkpoint");
        self.all.push(Arc::new(follower));
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
        let positions =
            self.all.iter().map(|one| (one.name(), one.start(&mut tasks, self.on(store), stop))).collect::<Vec<_>>();
        Running { tasks, positions }
    }

    /// Brings one up to date and returns: nothing else runs meanwhile.
    ///
    /// # Errors
    /// When there is no such projection, the database fails, or an event can't be applied.
    pub async fn catch_up(&self, store: &Store, name: &str) -> Result<(), StoreError> {
        self.of(name)?.catch_up(self.on(store)).await
    }

    /// Rebuilds a view.
    ///
    /// # Errors
    /// When there is no such view, the database fails, or an event can't be applied.
    pub async fn rebuild(&self, store: &Store, name: &str, progress: Progress<'_>) -> Result<(), StoreError> {
        self.of(name)?.rebuild(self.on(store), progress).await
    }

    /// Tries again what was set aside, in one view or reaction or all, of one aggregate or all; and lets go on what has
    /// stopped.
    ///
    /// # Errors
    /// When there is none of this name, or the database fails.
    pub async fn retry(&self, store: &Store, name: Option<&str>, id: Option<&str>) -> Result<Vec<Retried>, StoreError> {
        let mut retried = Vec::new();
        for follower in &self.all {
            if name.is_none_or(|name| name == follower.name()) {
                retried.extend(follower.retry(self.on(store), id).await?);
            }
        }
        match name {
            Some(name) => self.of(name).map(|_| retried),
            None => Ok(retried),
        }
    }

    const fn on<'a>(&'a self, store: &'a Store) -> Context<'a> {
        Context { store, program: &self.program }
    }

    fn of(&self, name: &str) -> Result<&Arc<dyn Follower>, StoreError> {
        let found = self.all.iter().find(|follower| follower.name() == name);
        found.ok_or_else(|| StoreError::Projection(format!("there is no projection {name}")))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
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
