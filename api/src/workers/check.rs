//! A check: once a day, and when somebody looks at an account, Meta is asked whether its token works.

use chrono::{DateTime, Utc};
use commands::{check::Checked, report_failure::Failed};
use domain::{TokenId, Verdict, schedule::next_check};
use projections::{feeds, jobs::Job};

use super::{
    context, done,
    failed::{failed, refused},
    next,
};
use crate::app::App;

pub(super) async fn check(app: &App, job: &Job) -> Result<(), commands::Error> {
    // What Meta says is as of when it was asked.
    let now = app.commands.clock.now();
    if !job.is_urgent
        && job.attempts == 0
        && let Some(heard) = feeds::heard_at(app.database(), job.account).await?
        && next_check(job.account, heard) > now
    {
        // A call that worked counts as asking.
        return done(app, job, next(job, Some(next_check(job.account, heard)))).await;
    }
    match app.commands.check(job.account, &context()).await? {
        Checked::Works(token) => end(app, job, Some((token, now)), true).await,
        Checked::Failed(token, Failed { verdict: Verdict::Expired(_), .. }) => {
            refused(app, job.account, true).await?;
            // A newer token may have taken its place meanwhile; that one is asked about tomorrow.
            let newer = app.commands.usable(job.account).await?.is_some();
            end(app, job, Some((token, now)), newer).await
        }
        Checked::Failed(_, met) => failed(app, job, met).await,
        Checked::Nothing => end(app, job, None, false).await,
    }
}

/// Ends the job, and notes when Meta was heard; `again`: tomorrow, unless something happens.
async fn end(
    app: &App,
    job: &Job,
    heard: Option<(TokenId, DateTime<Utc>)>,
    again: bool,
) -> Result<(), commands::Error> {
    let end = next(job, heard.filter(|_| again).map(|(_, at)| next_check(job.account, at)));
    let Some((token, at)) = heard else { return done(app, job, end).await };
    let mut tx = app.database().begin().await?;
    let Some(held) = job.held.end(&mut tx, end).await? else { return Ok(()) };
    feeds::heard(&mut tx, &held, job.account, token, at).await?;
    Ok(tx.commit().await?)
}
