//! Workers: claim what is due, first priority first, and do it; each account on its own, so that none delays another.

mod check;
pub mod clock;
mod failed;
pub mod incidents;
pub mod notices;
mod pull;
mod renew;
pub mod tidy;
pub mod witness;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use commands::{Context, clock::Doubt, notices::outbox::MAIL};
use domain::{Actor, schedule::jitter};
use engine::{
    StoreError,
    jobs::{End, Room, Worker},
};
use futures::future::try_join_all;
use projections::jobs::{Job, Kind, META};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{app::App, webhooks::deliver::DELIVERY};
use failed::fault;

/// How often the queue is looked at when nothing wakes it: things come due by time alone.
const LOOK: Duration = Duration::from_millis(500);
/// How long a stopping node finishes what it has claimed before it lets go of the rest.
const FINISH: Duration = Duration::from_secs(20);

/// A worker that claims the jobs that this program can do. Others are of a newer one, and left to it.
pub fn worker(app: &App) -> Worker {
    let kinds = Kind::NAMES.iter().copied().chain([MAIL, DELIVERY]);
    Worker::new(app.database(), commands::new_id().to_string()).knowing(kinds)
}

/// Works until the token is cancelled; then finishes what is under way, and gives the rest back.
pub async fn run(app: App, mut queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let worker = worker(&app);
    let workers = Workers::new(app.config.pull.workers as usize);
    let mut changed = app.changed.subscribe();
    let mut jobs = JoinSet::new();
    let mut moved = app.commands.clock.moved();
    while !stop.is_cancelled() {
        let claimed = workers.claim(&app, &worker).await;
        let found = !claimed.is_empty();
        for (job, permit) in claimed {
            jobs.spawn(run_job(app.clone(), job, permit));
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
    async fn claim(&self, app: &App, worker: &Worker) -> Vec<(Job, Permit)> {
        let (mut all, mut normal) = (free(&self.all), free(&self.normal));
        // What would be due again at a wrong time is left as it is.
        if all.is_empty() || app.commands.clock.doubt().is_some_and(Doubt::is_about_now) {
            return Vec::new();
        }
        let count = |permits: &Vec<_>| u32::try_from(permits.len()).unwrap_or(u32::MAX);
        let room = Room { all: count(&all), normal: count(&normal) };
        let claimed = async {
            loop {
                let claimed = worker.claim(META, app.commands.clock.now(), room).await?;
                let (found, readable) = (claimed.len(), readable(app, claimed).await?);
                // Where none of them can be read, others may be behind them.
                if found == 0 || !readable.is_empty() {
                    return Ok::<_, StoreError>(readable);
                }
            }
        };
        let claimed = match claimed.await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "the queue can't be read; trying again");
                return Vec::new();
            }
        };
        let permit = |job: Job| {
            let of_normal = if job.is_urgent { None } else { normal.pop() };
            Some((job, Permit { _all: all.pop()?, _normal: of_normal }))
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

/// Claimed jobs as those of accounts. One whose row can't be read is set aside, and keeps up no other.
async fn readable(app: &App, claimed: Vec<engine::jobs::Job>) -> Result<Vec<Job>, StoreError> {
    let (mut jobs, mut aside) = (Vec::with_capacity(claimed.len()), Vec::new());
    for job in claimed {
        let held = job.held.clone();
        match Job::try_from(job) {
            Ok(job) => jobs.push(job),
            Err(error) => {
                tracing::error!(kind = held.kind(), key = held.key(), %error, "a job's row can't be read: it is set aside");
                aside.push(app.completer.end(held, End::SetAside("its row can't be read".to_owned())));
            }
        }
    }
    try_join_all(aside).await?;
    Ok(jobs)
}

async fn run_job(app: App, job: Job, permit: Permit) {
    if let Err(error) = work(&app, &job).await {
        let _ = fault(&app, &job, &error).await;
    }
    drop(permit);
    app.changed.send_modify(|count| *count = count.wrapping_add(1));
}

async fn work(app: &App, job: &Job) -> Result<(), commands::Error> {
    if let Some(wait) = app.commands.must_wait(job.account, job.is_urgent).await? {
        // Spread, so that they don't come all at once when it is over.
        let at = app.commands.clock.now() + wait + jitter(job.account, wait / 4);
        return done(app, job, End::Postpone { at, why: "Meta's limit of calls is near".to_owned() }).await;
    }
    match job.kind {
        Kind::Pull => pull::pull(app, job).await,
        Kind::Check => check::check(app, job).await,
        Kind::Renew => renew::renew(app, job).await,
        // In queues of their own: see `clock` and `notices`.
        Kind::Expire | Kind::Remind | Kind::Notify => Ok(()),
    }
}

/// Ends a job that left nothing to store.
async fn done(app: &App, job: &Job, end: End) -> Result<(), commands::Error> {
    app.completer.end(job.held.clone(), end).await?;
    Ok(())
}

/// What becomes of a job that is due again at a time, if at all before something happens.
fn next(job: &Job, at: Option<DateTime<Utc>>) -> End {
    // An account always has its pull, which rests while there is no token.
    if job.kind == Kind::Pull || at.is_some() { End::Next(at) } else { End::Done }
}

/// What a loop waits for between its turns on a queue.
struct Pauses {
    queue_position: watch::Receiver<i64>,
    moved: watch::Receiver<TimeDelta>,
    stop: CancellationToken,
}

impl Pauses {
    fn new(app: &App, queue_position: watch::Receiver<i64>, stop: CancellationToken) -> Self {
        Self { queue_position, moved: app.commands.clock.moved(), stop }
    }

    /// After a turn that found something or not: waits for what may be next. Whether to go on.
    async fn after(&mut self, found: Result<bool, commands::Error>) -> bool {
        match found {
            Ok(true) => {}
            Ok(false) => tokio::select! {
                () = self.stop.cancelled() => {}
                _ = self.queue_position.changed() => {}
                _ = self.moved.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            },
            Err(error) => {
                tracing::warn!(%error, "a queue could not be worked on; trying again");
                tokio::time::sleep(LOOK).await;
            }
        }
        !self.stop.is_cancelled()
    }
}

/// In whose name workers act.
fn context() -> Context {
    Context { actor: Actor::Relight, correlation: commands::new_id().to_string(), causation: None, request: None }
}
