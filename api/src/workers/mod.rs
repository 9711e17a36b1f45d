//! Workers: claim what is due, first priority first, and do it; each account on its own, so that none delays another.

mod check;
pub mod clock;
mod failed;
pub mod incidents;
pub mod notices;
mod pull;
mod renew;
pub mod tidy;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use commands::Context;
use domain::{Actor, schedule::jitter};
use projections::queue::{self, Claimed, Kind, Room, Worker};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use failed::again;

/// How often the queue is looked at when nothing wakes it: things come due by time alone.
const LOOK: Duration = Duration::from_millis(500);
/// How long a stopping node finishes what it has claimed before it lets go of the rest.
const FINISH: Duration = Duration::from_secs(20);

/// Works until the token is cancelled; then finishes what is under way, and gives the rest back.
pub async fn run(app: App, mut queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let worker = Worker::new(app.database(), commands::new_id().to_string());
    let workers = Workers::new(app.config.pull.workers as usize);
    let mut changed = app.changed.subscribe();
    let mut jobs = JoinSet::new();
    let mut moved = app.commands.clock.moved();
    while !stop.is_cancelled() {
        let claimed = workers.claim(&app, &worker).await;
        let found = !claimed.is_empty();
        for (claimed, permit) in claimed {
            jobs.spawn(job(app.clone(), claimed, permit));
        }
        while jobs.try_join_next().is_some() {}
        if found && workers.all.available_permits() > 0 {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = queue_position.changed() => {}
            _ = moved.changed() => {}
            _ = changed.changed() => {}
            () = wait_for_one(&workers.all), if found => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let _ = tokio::time::timeout(FINISH, async { while jobs.join_next().await.is_some() {} }).await;
    jobs.shutdown().await;
    match worker.release().await {
        Ok(0) => {}
        Ok(released) => tracing::info!(released, "gave back what was not finished"),
        Err(error) => tracing::warn!(%error, "what was not finished waits until its lease ends"),
    }
}

/// Those who work: some of them only for what somebody waits for, so that a slow Meta doesn't keep everybody busy with
/// what nobody waits for.
struct Workers {
    all: Arc<Semaphore>,
    normal: Arc<Semaphore>,
}

/// The right to do a job, until it is dropped.
struct Permit {
    _all: OwnedSemaphorePermit,
    _normal: Option<OwnedSemaphorePermit>,
}

impl Workers {
    fn new(workers: usize) -> Self {
        let normal = (workers - workers / 4).max(1);
        Self { all: Arc::new(Semaphore::new(workers)), normal: Arc::new(Semaphore::new(normal)) }
    }

    /// Claims as much as can be worked on at once, and no more: what waits here would be late elsewhere.
    async fn claim(&self, app: &App, worker: &Worker) -> Vec<(Claimed, Permit)> {
        let (mut all, mut normal) = (free(&self.all), free(&self.normal));
        if all.is_empty() {
            return Vec::new();
        }
        let count = |permits: &Vec<_>| u32::try_from(permits.len()).unwrap_or(u32::MAX);
        let room = Room { all: count(&all), normal: count(&normal) };
        let claimed = match worker.claim(app.commands.clock.now(), room).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "the queue can't be read; trying again");
                return Vec::new();
            }
        };
        let permit = |claimed: Claimed| {
            let of_normal = if claimed.first { None } else { normal.pop() };
            Some((claimed, Permit { _all: all.pop()?, _normal: of_normal }))
        };
        claimed.into_iter().filter_map(permit).collect()
    }
}

fn free(semaphore: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    std::iter::from_fn(|| semaphore.clone().try_acquire_owned().ok()).collect()
}

async fn wait_for_one(free: &Semaphore) {
    let _ = free.acquire().await;
}

async fn job(app: App, claimed: Claimed, permit: Permit) {
    if let Err(error) = work(&app, &claimed).await {
        tracing::warn!(account = %claimed.account, kind = claimed.kind.name(), %error, "a job failed; it is tried again");
        let _ = again(&app, &claimed, "our own fault: see the log").await;
    }
    drop(permit);
    app.changed.send_modify(|count| *count = count.wrapping_add(1));
}

async fn work(app: &App, claimed: &Claimed) -> Result<(), commands::Error> {
    if let Some(wait) = app.commands.must_wait(claimed.account, claimed.first).await? {
        // Spread, so that they don't come all at once when it is over.
        let due_at = app.commands.clock.now() + wait + jitter(claimed.account, wait / 4);
        return Ok(queue::postpone(app.database(), claimed, due_at, "Meta's limit of calls is near").await?);
    }
    match claimed.kind {
        Kind::Pull => pull::pull(app, claimed).await,
        Kind::Check => check::check(app, claimed).await,
        Kind::Renew => renew::renew(app, claimed).await,
        // Not claimed here: see `clock` and `notices`.
        Kind::Expire | Kind::Remind | Kind::Notify => Ok(()),
    }
}

/// Ends a job that left nothing to store; `next`: when it is due again.
async fn done(app: &App, claimed: &Claimed, next: Option<DateTime<Utc>>) -> Result<(), commands::Error> {
    let mut tx = app.database().begin().await?;
    queue::complete(&mut tx, &[(claimed, next)]).await?;
    Ok(tx.commit().await?)
}

/// In whose name workers act.
fn context() -> Context {
    Context { actor: Actor::Relight, correlation: commands::new_id().to_string(), causation: None, request: None }
}
