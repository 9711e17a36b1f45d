//! The registry: all that follows the journal in a program. Start, status, rebuild and shutdown walk it; adding one is one
//! line.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::{self, State},
    follower::{Context, Follower, Reactor, View},
    projection::Projection,
    reaction::{Reacting, Reaction},
    rebuild::Progress,
    retry::Retried,
    runner::Program,
    upkeep,
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
        let positions = self.all.iter().map(|one| (one.name(), one.start(&mut tasks, self.on(store), stop))).collect();
        let (all, store, program, stopped) = (self.all.clone(), store.clone(), self.program.clone(), stop.clone());
        tasks.spawn(async move {
            let on = Context { store: &store, program: &program };
            stopped.run_until_cancelled(upkeep::run(&all, on)).await;
        });
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
