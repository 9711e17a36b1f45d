//! A pull: one sequence of calls for an account, its feeds stored together with the end of the job.

use chrono::{DateTime, Utc};
use commands::pull::Pulled;
use domain::{TokenId, account::Plan};
use engine::jobs::End;
use meta::Post;
use projections::{
    feeds,
    jobs::{Job, best_plan},
};

use super::{context, done, failed::failed};
use crate::app::App;

pub(super) async fn pull(app: &App, job: &Job) -> Result<(), commands::Error> {
    // What Meta says is as of when it was asked.
    let (posts, asked_at) = (app.config.pull.posts as usize, app.commands.clock.now());
    match app.commands.pull(job.account, posts, &context()).await? {
        Pulled::Posts(token, posts) => store(app, job, (token, asked_at), &posts).await,
        Pulled::Failed(met) => failed(app, job, met).await,
        // Expired or disconnected meanwhile: it rests until the next login.
        Pulled::Nothing => done(app, job, End::Next(None)).await,
    }
}

async fn store(
    app: &App,
    job: &Job,
    (token, now): (TokenId, DateTime<Utc>),
    posts: &[Post],
) -> Result<(), commands::Error> {
    let best = best_plan(app.database(), job.account).await?;
    let next = app.config.schedule().pull.next_pull(job.account, best, now);
    let plans = plans(app, job, best, now).await?;
    let json = serde_json::to_string(posts).map_err(|error| engine::StoreError::Unreadable(error.to_string()))?;
    let mut tx = app.database().begin().await?;
    let Some(held) = job.held.end(&mut tx, End::Next(Some(next))).await? else {
        tracing::debug!(account = %job.account, "a pull came too late, and changes nothing");
        return Ok(());
    };
    feeds::store(&mut tx, &held, job.account, &plans, &json, now).await?;
    feeds::heard(&mut tx, &held, job.account, token, now).await?;
    Ok(tx.commit().await?)
}

/// Which plans' widgets advance: the best plan always; `Free` ones beside it after a refresh, or when their own time has
/// come.
async fn plans(app: &App, job: &Job, best: Plan, now: DateTime<Utc>) -> Result<Vec<Plan>, commands::Error> {
    if best == Plan::Free {
        return Ok(vec![Plan::Free]);
    }
    let fetched = feeds::fetched_at(app.database(), job.account).await?;
    let free = fetched.iter().find(|(plan, _)| *plan == Plan::Free).map(|(_, at)| *at);
    let intervals = app.config.schedule().pull;
    let due = free.is_none_or(|at| intervals.next_pull(job.account, Plan::Free, at) <= now);
    Ok(if job.is_urgent || due { vec![Plan::Upgraded, Plan::Free] } else { vec![Plan::Upgraded] })
}
