//! What is due by the clock alone: tokens whose time has run out are marked so at their moment, many at once if need be.

use std::sync::Arc;

use engine::jobs::{self, Worker};
use futures::{StreamExt, stream};
use projections::jobs::{CLOCK, Job};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Pauses, context, next, readable};
use crate::app::App;

/// How many are claimed at once, and share commits.
const AT_ONCE: u32 = 1024;
/// Works until the token is cancelled.
pub async fn run(app: App, worker: Arc<Worker>, queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let mut pauses = Pauses::new(&app, queue_position, stop);
    while pauses.after(expire(&app, &worker).await.map(|found| found > 0)).await {}
}

async fn expire(app: &App, worker: &Worker) -> Result<usize, commands::Error> {
    let claimed = worker.claim_in_order(CLOCK, app.commands.clock.now(), AT_ONCE).await?;
    let found = claimed.len();
    if found == 0 {
        return Ok(0);
    }
    let claimed = readable(app, claimed).await?;
    let ended: Vec<_> = stream::iter(claimed)
        .map(|job: Job| async move {
            let due = app.commands.expire(job.account, &context()).await;
            (job, due)
        })
        .buffer_unordered(AT_ONCE as usize)
        .collect()
        .await;
    let mut done = Vec::new();
    for (job, due) in &ended {
        match due {
            Ok(due) => done.push((&job.held, next(job, *due))),
            Err(error) => super::failed::fault(app, job, error).await?,
        }
    }
    let mut tx = app.database().begin().await?;
    jobs::end(&mut tx, &done).await?;
    tx.commit().await?;
    Ok(found)
}
