//! Workers: claim what is due, first priority first, and do it; each account on its own, so that none delays another.

mod check;
pub mod clock;
mod pull;
mod renew;
pub mod tidy;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use commands::{Context, hold};
use domain::{Actor, Verdict, schedule::backoff};
use projections::{
    accounts,
    queue::{self, Claimed, Kind, Worker},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often the queue is looked at when nothing wakes it: things come due by time alone.
const LOOK: Duration = Duration::from_millis(500);
/// How long a stopping node finishes what it has claimed before it lets go of the rest.
const FINISH: Duration = Duration::from_secs(20);

/// Works until the token is cancelled; then finishes what is under way, and gives the rest back.
pub async fn run(app: App, mut queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let worker = Worker::new(app.database(), commands::new_id().to_string());
    let free = Arc::new(Semaphore::new(app.config.pull.workers as usize));
    let mut changed = app.changed.subscribe();
    let mut jobs = JoinSet::new();
    while !stop.is_cancelled() {
        let claimed = claim(&app, &worker, &free).await;
        let found = !claimed.is_empty();
        for (claimed, permit) in claimed {
            jobs.spawn(job(app.clone(), claimed, permit));
        }
        while jobs.try_join_next().is_some() {}
        if found && free.available_permits() > 0 {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = queue_position.changed() => {}
            _ = changed.changed() => {}
            () = wait_for_one(&free), if found => {}
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

/// Claims as much as can be worked on at once, and no more: what waits here would be late elsewhere.
async fn claim(app: &App, worker: &Worker, free: &Arc<Semaphore>) -> Vec<(Claimed, OwnedSemaphorePermit)> {
    let mut permits = Vec::new();
    while let Ok(permit) = free.clone().try_acquire_owned() {
        permits.push(permit);
    }
    let limit = u32::try_from(permits.len()).unwrap_or(u32::MAX);
    if limit == 0 {
        return Vec::new();
    }
    match worker.claim(app.commands.clock.now(), limit).await {
        Ok(claimed) => claimed.into_iter().zip(permits).collect(),
        Err(error) => {
            tracing::warn!(%error, "the queue can't be read; trying again");
            Vec::new()
        }
    }
}

async fn wait_for_one(free: &Semaphore) {
    let _ = free.acquire().await;
}

async fn job(app: App, claimed: Claimed, permit: OwnedSemaphorePermit) {
    let done = match claimed.kind {
        Kind::Pull => pull::pull(&app, &claimed).await,
        Kind::Check => check::check(&app, &claimed).await,
        Kind::Renew => renew::renew(&app, &claimed).await,
        // Not claimed here: see `clock`.
        Kind::Expire => Ok(()),
    };
    if let Err(error) = done {
        tracing::warn!(account = %claimed.account, kind = claimed.kind.name(), %error, "a job failed; it is tried again");
        let _ = again(&app, &claimed, "our own fault: see the log").await;
    }
    drop(permit);
    app.changed.send_modify(|count| *count = count.wrapping_add(1));
}

/// In whose name workers act.
fn context() -> Context {
    Context { actor: Actor::Relight, correlation: commands::new_id().to_string(), causation: None, request: None }
}

/// Tries again later: the longer, the more often it failed.
async fn again(app: &App, claimed: &Claimed, error: &str) -> Result<(), commands::Error> {
    later(app, claimed, backoff(claimed.account, claimed.attempts.saturating_add(1)), error).await
}

async fn later(app: &App, claimed: &Claimed, wait: TimeDelta, error: &str) -> Result<(), commands::Error> {
    let due_at = app.commands.clock.now() + wait;
    Ok(queue::retry(app.database(), claimed, due_at, error).await?)
}

/// It may be the token, the app or Meta: asked again in a minute, then less and less often. Another account is asked about
/// meanwhile, to know whether the app works.
async fn unclear(app: &App, claimed: &Claimed) -> Result<(), commands::Error> {
    let other = accounts::another_active(app.database(), claimed.account).await?;
    if app.commands.decide_held(claimed.account, other.is_some(), &context()).await? {
        return Ok(());
    }
    if let Some(other) = other {
        queue::ask_check(app.database(), other, app.commands.clock.now()).await?;
    }
    let wait = (hold::APART * (1 << claimed.attempts.min(5))).min(TimeDelta::minutes(30));
    later(app, claimed, wait, "Meta refused, and may not mean the token").await
}

/// What a failed call leads to, besides what the domain decided: how long to wait, and what support reads.
async fn failed(app: &App, claimed: &Claimed, verdict: Verdict) -> Result<(), commands::Error> {
    let usual = backoff(claimed.account, claimed.attempts.saturating_add(1));
    match verdict {
        // The event that follows lets the account's work rest.
        Verdict::Expired(_) => Ok(()),
        Verdict::Unclear(_) => unclear(app, claimed).await,
        Verdict::Passing => later(app, claimed, usual, "Meta could not answer").await,
        Verdict::AppThrottled | Verdict::AccountThrottled | Verdict::UseCaseThrottled => {
            later(app, claimed, usual.max(TimeDelta::minutes(10)), "Meta limits our calls").await
        }
        Verdict::Blocked => {
            tracing::error!(account = %claimed.account, "Meta blocks calls for this account");
            later(app, claimed, usual.max(TimeDelta::hours(1)), "Meta blocks these calls").await
        }
        Verdict::Alarm => {
            tracing::error!(account = %claimed.account, "Meta calls our request wrong; the token's state is unchanged");
            later(app, claimed, usual.max(TimeDelta::minutes(5)), "Meta calls the request wrong").await
        }
        Verdict::NotTheToken => later(app, claimed, usual, "Meta could not give the posts").await,
    }
}
