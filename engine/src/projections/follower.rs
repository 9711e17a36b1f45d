//! What the registry walks: a view or a reaction, whatever its types.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::Kind,
    projection::{Projection, Target},
    reaction::{Reacting, Reaction},
    rebuild::{self, Progress},
    retry::Retried,
    runner::{Program, Runner},
};
use crate::{Store, StoreError};

/// What following needs besides: where the events are, and on whose behalf.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) program: &'a Arc<Program>,
}

/// A view or a reaction, whatever its types.
pub(super) trait Follower: Send + Sync {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// Starts its runner; where it is, as the runner knows.
    fn start(&self, tasks: &mut JoinSet<()>, on: Context<'_>, stop: &CancellationToken) -> watch::Receiver<i64>;
    fn catch_up<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
    fn rebuild<'a>(&'a self, on: Context<'a>, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Rebuilds a view beside if an older program made its rows.
    fn rebuild_if_older<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
    fn retry<'a>(&'a self, on: Context<'a>, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Retried>, StoreError>>;
    /// Tries again what another program has set aside, and lets go on what it has stopped.
    fn retry_of_others<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Runs a runner until `stop`.
fn start<P: Projection>(tasks: &mut JoinSet<()>, runner: Runner<P>, stop: &CancellationToken) -> watch::Receiver<i64> {
    let (reached, stop) = (runner.reached.subscribe(), stop.clone());
    tasks.spawn(async move {
        stop.run_until_cancelled(runner.run()).await;
    });
    reached
}

/// A view's value, as the registry has it.
pub(super) struct View<P>(pub(super) Arc<P>);

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
        start(tasks, self.runner(on), stop)
    }

    fn catch_up<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.runner(on).catch_up().await })
    }

    fn rebuild<'a>(&'a self, on: Context<'a>, progress: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(rebuild::rebuild(on.store, &self.0, on.program, progress))
    }

    fn rebuild_if_older<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(rebuild::if_older(on.store, &self.0, on.program))
    }

    fn retry<'a>(&'a self, on: Context<'a>, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Retried>, StoreError>> {
        Box::pin(async move { self.runner(on).retry(id).await })
    }

    fn retry_of_others<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.runner(on).retry_of_others().await })
    }
}

/// A reaction's value, as the registry has it.
pub(super) struct Reactor<R>(pub(super) Arc<Reacting<R>>);

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
        start(tasks, self.runner(on), stop)
    }

    fn catch_up<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.runner(on).catch_up().await })
    }

    fn rebuild<'a>(&'a self, _: Context<'a>, _: Progress<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        let why = format!("{} is a reaction: what it has done can't be done anew", R::NAME);
        Box::pin(async { Err(StoreError::Projection(why)) })
    }

    fn rebuild_if_older<'a>(&'a self, _: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn retry<'a>(&'a self, on: Context<'a>, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Retried>, StoreError>> {
        Box::pin(async move { self.runner(on).retry(id).await })
    }

    fn retry_of_others<'a>(&'a self, on: Context<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.runner(on).retry_of_others().await })
    }
}
