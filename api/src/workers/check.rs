//! A check: once a day, and when somebody looks at an account, Meta is asked whether its token works.

use chrono::{DateTime, TimeDelta, Utc};
use commands::{check::Checked, overdue::ASK_AGAIN, report_failure::Failed, restore::Rechecked};
use domain::{
    AccountId, TokenId, Verdict,
    schedule::{next_check, next_recheck},
};
use engine::jobs::End;
use meta::{Budget, Presence};
use projections::{
    accounts::{self, Viewer},
    feeds,
    jobs::{self, Job},
};

use super::{
    context, done,
    failed::{failed, refused},
    next,
};
use crate::app::App;

/// A call that worked counts as asking, as long as the account's name was told within this time.
const NAMED_WITHIN: TimeDelta = TimeDelta::hours(20);

pub(super) async fn check(app: &App, job: &Job) -> Result<(), commands::Error> {
    // What Meta says is as of when it was asked.
    let now = app.commands.clock.now();
    if app.commands.may_return(job.account).await?.is_some() {
        return recheck(app, job, now).await;
    }
    if !job.is_urgent
        && job.attempts == 0
        && let Some(heard) = feeds::heard_at(app.database(), job.account).await?
        && next_check(job.account, heard) > now
        && app.commands.named_at(job.account).await?.is_some_and(|at| now - at < NAMED_WITHIN)
        && !app.commands.is_overdue(job.account).await?
    {
        // A call that worked counts as asking.
        return done(app, job, next(job, Some(next_check(job.account, heard)))).await;
    }
    match app.commands.check(job.account, &context()).await? {
        Checked::Works { token, is_overdue } => {
            let end = next(job, Some(next_check(job.account, now)));
            let mut tx = app.database().begin().await?;
            if is_overdue {
                jobs::lock(&mut tx, job.account).await?;
            }
            let Some(held) = job.held.end(&mut tx, end).await? else { return Ok(()) };
            feeds::heard(&mut tx, &held, job.account, token, now).await?;
            if is_overdue {
                jobs::put_off(&mut tx, job.account, now + ASK_AGAIN).await?;
            }
            Ok(tx.commit().await?)
        }
        Checked::Failed(token, Failed { verdict: Verdict::Expired(_), words, .. }) => {
            refused(app, job.account, true, &words).await?;
            // A newer token may have taken its place meanwhile; that one is asked about tomorrow.
            let newer = app.commands.usable(job.account).await?.is_some();
            end(app, job, Some((token, now)), newer).await
        }
        Checked::Failed(_, met) => {
            failed(app, job, met).await?;
            decide_if_away(app, job.account).await
        }
        Checked::Nothing => end(app, job, None, false).await,
    }
}

/// An expired token that may work again: Meta is asked, ever more seldom. Nobody waits for that, unless somebody asked.
async fn recheck(app: &App, job: &Job, now: DateTime<Utc>) -> Result<(), commands::Error> {
    let Some(shown) = accounts::account_for(app.database(), job.account, Viewer::Staff).await? else {
        return done(app, job, End::Done).await;
    };
    let is_short = app.commands.budget(shown.connection).is_some_and(Budget::is_short);
    // An estimate is no reason to stop asking.
    let data_access_ends = shown.data_access_expires_at.filter(|_| !shown.data_access_estimated);
    let next_at = next_recheck(job.account, shown.since, data_access_ends, now);
    if is_short && !job.is_urgent {
        let at = now + TimeDelta::hours(1);
        return done(app, job, End::Postpone { at, why: "Meta's limit of calls is near".to_owned() }).await;
    }
    let (answered, words) = match app.commands.recheck(job.account, &context()).await? {
        // The event schedules what is next.
        Rechecked::Restored => return done(app, job, End::Done).await,
        Rechecked::Nothing => return done(app, job, next(job, next_at)).await,
        Rechecked::Refused(words) => (true, words),
        Rechecked::Unknown(words) => (false, words),
    };
    let token = app.commands.may_return(job.account).await?.map(|(_, current)| current.id);
    let mut tx = app.database().begin().await?;
    let Some(held) = job.held.end(&mut tx, next(job, next_at)).await? else { return Ok(()) };
    if let (true, Some(token)) = (answered, token) {
        feeds::heard(&mut tx, &held, job.account, token, now).await?;
    }
    jobs::note_try(&mut tx, job, now, &format!("the expired token is still refused: {words}")).await?;
    Ok(tx.commit().await?)
}

/// With Meta away time decides about a token that has run out.
async fn decide_if_away(app: &App, account: AccountId) -> Result<(), commands::Error> {
    let Some(connection) = app.commands.usable(account).await? else { return Ok(()) };
    if app.commands.presence(connection) != Presence::Away || !app.commands.is_overdue(account).await? {
        return Ok(());
    }
    let mut tx = app.database().begin().await?;
    jobs::decide_now(&mut tx, &[account], app.commands.clock.now()).await?;
    Ok(tx.commit().await?)
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
