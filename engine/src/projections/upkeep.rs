//! What is done beside the runners, for one after another: what an older program made is rebuilt, and what another program
//! has set aside is tried again.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::follower::{Context, Follower};
use crate::StoreError;

/// How long work that the database interrupted waits before it goes on.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked for what another program has set aside: nodes of an older program may still run.
const EVERY: Duration = Duration::from_mins(5);

/// Runs until it is dropped.
pub(super) async fn run(all: &[Arc<dyn Follower>], on: Context<'_>) {
    tokio::join!(rebuild(all, on), retry(all, on));
}

/// Rebuilds what an older program made. One that the database interrupts lets the others go first.
async fn rebuild(all: &[Arc<dyn Follower>], on: Context<'_>) {
    let mut older: Vec<_> = all.iter().collect();
    loop {
        let mut interrupted = Vec::new();
        for follower in older {
            let projection = follower.name();
            match follower.rebuild_if_older(on).await {
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
        sleep(AGAIN).await;
    }
}

/// Tries again what another program has set aside: at the start, and from time to time.
async fn retry(all: &[Arc<dyn Follower>], on: Context<'_>) {
    loop {
        let mut pause = EVERY;
        for follower in all {
            if let Err(error) = follower.retry_of_others(on).await {
                let projection = follower.name();
                tracing::warn!(projection, %error, "what was set aside could not be tried again yet");
                pause = AGAIN;
            }
        }
        sleep(pause).await;
    }
}
