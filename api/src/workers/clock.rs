//! What is due by the clock alone: tokens whose time has run out are marked so at their moment, many at once if need be.

use std::time::Duration;

use futures::{StreamExt, stream};
use projections::queue::{self, Claimed, Worker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::context;
use crate::app::App;

/// How many are claimed at once, and share commits.
const AT_ONCE: u32 = 1024;
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);

/// Works until the token is cancelled.
pub async fn run(app: App, mut queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let worker = Worker::new(app.database(), commands::new_id().to_string());
    let mut moved = app.commands.clock.moved();
    while !stop.is_cancelled() {
        match expire(&app, &worker).await {
            Ok(0) => tokio::select! {
                () = stop.cancelled() => {}
                _ = queue_position.changed() => {}
                _ = moved.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            },
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "tokens whose time has run out could not be marked; trying again");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
    let _ = worker.release().await;
}

async fn expire(app: &App, worker: &Worker) -> Result<usize, commands::Error> {
    let claimed = worker.claim_clock(app.commands.clock.now(), AT_ONCE).await?;
    let found = claimed.len();
    if found == 0 {
        return Ok(0);
    }
    let ended: Vec<_> = stream::iter(claimed)
        .map(|claimed: Claimed| async move {
            let next = app.commands.expire(claimed.account, &context()).await;
            (claimed, next)
        })
        .buffer_unordered(AT_ONCE as usize)
        .collect()
        .await;
    let mut done = Vec::new();
    for (claimed, next) in &ended {
        match next {
            Ok(next) => done.push((claimed, *next)),
            Err(error) => {
                tracing::warn!(account = %claimed.account, %error, "it could not be marked expired; tried again");
                super::failed::again(app, claimed, "our own fault: see the log").await?;
            }
        }
    }
    let mut tx = app.database().begin().await?;
    queue::complete(&mut tx, &done).await?;
    tx.commit().await?;
    Ok(found)
}
