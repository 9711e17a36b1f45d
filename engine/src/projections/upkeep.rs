//! What is done beside the runners, for one after another: what an older program made is rebuilt, and what another program
//! has set aside is tried again.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::time::sleep;

use super::{
    follower::{Context, Follower},
    runner::words,
};
use crate::StoreError;

/// How long work that the database interrupted waits before it goes on: at first, and twice as long after each time.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest of these pauses, and how often it is looked for what another program has set aside: nodes of an older program may still run.
const EVERY: Duration = Duration::from_mins(5);

/// Runs until it is dropped.
pub(super) async fn run(all: &[Arc<dyn Follower>], on: Context<'_>) {
    tokio::join!(rebuild(all, on), retry(all, on));
}

/// Rebuilds what an older program made. One that the database interrupts lets the others go first.
async fn rebuild(all: &[Arc<dyn Follower>], on: Context<'_>) {
    let (mut older, mut pause): (Vec<_>, _) = (all.iter().collect(), AGAIN);
    loop {
        let mut interrupted = Vec::new();
        for follower in older {
            let projection = follower.name();
            match unless_it_panics(follower.rebuild_if_older(on)).await {
                Ok(()) => {}
                Err(StoreError::Projection(why)) => {
                    tracing::error!(projection, why, "can't be rebuilt; the old version goes on serving");
                }
                Err(error) => {
                    tracing::warn!(projection, %error, "the rebuild was interrupted; it goes on");
                    interrupted.push(follower);
                }
            }
        }
        if interrupted.is_empty() {
            return;
        }
        older = interrupted;
        sleep(pause).await;
        pause = (2 * pause).min(EVERY);
    }
}

/// Tries again what another program has set aside: at the start, and from time to time.
async fn retry(all: &[Arc<dyn Follower>], on: Context<'_>) {
    let mut soon = AGAIN;
    loop {
        let mut failed = false;
        for follower in all {
            if let Err(error) = unless_it_panics(follower.retry_of_others(on)).await {
                let projection = follower.name();
                tracing::warn!(projection, %error, "what was set aside could not be tried again yet");
                failed = true;
            }
        }
        sleep(if failed { soon } else { EVERY }).await;
        soon = if failed { (2 * soon).min(EVERY) } else { AGAIN };
    }
}

/// What a projection's own code throws is its failure, and stops nothing else.
async fn unless_it_panics(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(StoreError::Projection(words(&*panic))))
}
