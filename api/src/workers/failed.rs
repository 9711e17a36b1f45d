//! What a failed call leads to, besides what the domain decided: how long to wait, and what support reads.

use chrono::TimeDelta;
use commands::{
    hold::{self, Decided},
    incident::Others,
    notices::outbox::REST,
    report_failure::Failed,
};
use domain::{AccountId, UserId, Verdict, failure::APP_TOKEN_REFUSED, schedule::backoff};
use engine::{StoreError, jobs::End};
use projections::{
    accounts::{self, Viewer},
    feeds,
    jobs::{self, Job, Kind, Retry},
};

use super::{context, done};
use crate::{app::App, sign_in::Users};

/// After how many tries another account is asked, whether the app works.
const ASK_OTHERS: u32 = 2;
/// How long refused posts rest.
const UNREAD_AGAIN: TimeDelta = TimeDelta::minutes(30);

/// Tries again later: the longer, the more often it failed.
pub(super) async fn again(app: &App, job: &Job, error: &str) -> Result<(), commands::Error> {
    later(app, job, backoff(job.account, job.attempts.saturating_add(1)), error).await
}

/// Our own fault: tried again. An account whose history can't be read rests, until another version of the program can.
pub(super) async fn fault(app: &App, job: &Job, error: &commands::Error) -> Result<(), commands::Error> {
    if let commands::Error::Store(StoreError::Undecodable(_)) = error {
        tracing::error!(account = %job.account, kind = job.kind.name(), %error, "an account rests: its history can't be read");
        let end = End::Postpone { at: app.commands.clock.now() + REST, why: "its history can't be read".to_owned() };
        return done(app, job, end).await;
    }
    tracing::warn!(account = %job.account, kind = job.kind.name(), %error, "a job failed; it is tried again");
    again(app, job, "our own fault: see the log").await
}

async fn later(app: &App, job: &Job, wait: TimeDelta, error: &str) -> Result<(), commands::Error> {
    let now = app.commands.clock.now();
    Ok(jobs::retry(app.database(), job, Retry { at: now, due_at: now + wait, error, in_line: false }).await?)
}

/// It may be the token, the app or Meta: asked again in a minute, then less and less often. Another account is asked about
/// meanwhile, to know whether the app works.
async fn unclear(app: &App, job: &Job, words: &str) -> Result<(), commands::Error> {
    let other = accounts::another_active(app.database(), job.account).await?;
    let decided = app.commands.decide_held(job.account, other.is_some(), &context()).await?;
    if decided == Decided::Expired {
        return Ok(());
    }
    if decided == Decided::ReadingRefused {
        let why = format!("Meta does not let us read the posts: {words}");
        return later(app, job, UNREAD_AGAIN, &why).await;
    }
    // In an incident the probes ask: else each refusal would lead to the next, over all accounts of the app.
    if let Some(other) = other.filter(|_| decided == Decided::Waits) {
        jobs::ask_check(app.database(), other.account, app.commands.clock.now()).await?;
    }
    let wait = (hold::APART * (1 << job.attempts.min(5))).min(TimeDelta::minutes(30));
    // Nobody waits for it any more: else everybody's second tries would go before what is left of the limit.
    let (now, error) = (app.commands.clock.now(), format!("Meta refused, and may not mean the token: {words}"));
    Ok(jobs::retry(app.database(), job, Retry { at: now, due_at: now + wait, error: &error, in_line: true }).await?)
}

/// Notes that a token was refused, which may be one of many.
pub(super) async fn refused(app: &App, account: AccountId, clearly: bool, words: &str) -> Result<(), commands::Error> {
    let Some(shown) = accounts::account_for(app.database(), account, Viewer::Staff).await? else { return Ok(()) };
    let other = accounts::another_active(app.database(), account).await?;
    // With nobody left to ask, what Meta says clearly is believed.
    if clearly && other.is_none() {
        return Ok(());
    }
    let since = app.commands.clock.now() - app.config.guard().within;
    let others = Others {
        worked: feeds::heard_since(app.database(), shown.connection, since).await?,
        all_held: other.is_some_and(|other| other.is_held),
    };
    let (said, admins) = ((clearly, words), admins(app).await?);
    let opened = app.commands.token_refused(account, shown.connection, said, others, &admins).await?;
    if let Some(other) = other.filter(|_| opened) {
        // The first probe.
        jobs::ask_check(app.database(), other.account, app.commands.clock.now()).await?;
    }
    Ok(())
}

/// What follows from what a call met.
pub(super) async fn failed(app: &App, job: &Job, failed: Failed) -> Result<(), commands::Error> {
    let usual = backoff(job.account, job.attempts.saturating_add(1));
    // Once: what goes on failing is in the account's tries.
    let is_first = job.attempts == 0;
    let Failed { words, row, .. } = &failed;
    match failed.verdict {
        // The event that follows lets the account's work rest.
        Verdict::Expired(_) => refused(app, job.account, true, words).await,
        Verdict::Unclear(_) => {
            refused(app, job.account, false, words).await?;
            unclear(app, job, words).await
        }
        Verdict::AppOrAccount(_) if shows_otherwise(app, job.account).await? => {
            refused(app, job.account, false, words).await?;
            unclear(app, job, words).await
        }
        // Others have just worked: it is a matter of this token, if it goes on.
        Verdict::AppRefused if *row != APP_TOKEN_REFUSED && others_work(app, job.account).await? => {
            held_for_a_day(app, job, usual, words).await
        }
        // Nobody else can show that the app works.
        Verdict::AppRefused | Verdict::AppOrAccount(_) => {
            app_refused(app, job, &failed).await?;
            if let Some(other) = accounts::another_active(app.database(), job.account).await? {
                jobs::ask_check(app.database(), other.account, app.commands.clock.now()).await?;
            }
            later(app, job, usual.max(TimeDelta::minutes(1)), &format!("Meta refuses our app: {words}")).await
        }
        Verdict::Passing | Verdict::TooMuch => later(app, job, usual, &format!("Meta could not answer: {words}")).await,
        Verdict::AppThrottled | Verdict::AccountThrottled | Verdict::UseCaseThrottled => {
            // As long as the header says; calling sooner lengthens it.
            let wait = failed.shut_out.unwrap_or(TimeDelta::minutes(10)).max(usual);
            later(app, job, wait, &format!("Meta limits our calls: {words}")).await
        }
        Verdict::Blocked => {
            if is_first {
                tracing::error!(account = %job.account, row, words, "Meta blocks calls for this account");
            }
            later(app, job, usual.max(TimeDelta::hours(1)), &format!("Meta blocks these calls: {words}")).await
        }
        Verdict::Alarm => {
            if is_first {
                tracing::error!(account = %job.account, row, words, "Meta answered what nobody documented, or can't read the token; its state is unchanged");
            }
            held_for_a_day(app, job, usual, words).await
        }
        Verdict::BadRequest => {
            if is_first {
                tracing::error!(account = %job.account, row, words, "Meta calls our request wrong; asking it about the token");
            }
            jobs::ask_check(app.database(), job.account, app.commands.clock.now()).await?;
            later(app, job, usual.max(TimeDelta::minutes(5)), &format!("Meta calls the request wrong: {words}")).await
        }
        Verdict::NotTheToken => {
            let (wait, what) = match job.kind {
                Kind::Renew => (usual.max(TimeDelta::hours(1)), "Meta does not extend the session"),
                _ => (usual, "Meta does not let us read the posts"),
            };
            later(app, job, wait, &format!("{what}: {words}")).await
        }
    }
}

/// What goes on for a day is as good as unclear.
async fn held_for_a_day(app: &App, job: &Job, usual: TimeDelta, words: &str) -> Result<(), commands::Error> {
    let other = accounts::another_active(app.database(), job.account).await?;
    match app.commands.decide_held(job.account, other.is_some(), &context()).await? {
        Decided::Expired => return Ok(()),
        Decided::ReadingRefused => {
            return later(app, job, UNREAD_AGAIN, &format!("Meta does not let us read the posts: {words}")).await;
        }
        Decided::Waits | Decided::Incident => {}
    }
    // Whether others work decides about it then.
    if let Some(other) = other.filter(|_| job.attempts.is_multiple_of(ASK_OTHERS)) {
        jobs::ask_check(app.database(), other.account, app.commands.clock.now()).await?;
    }
    let why = format!("Meta answered with an error that we don't know: {words}");
    later(app, job, usual.max(TimeDelta::minutes(5)), &why).await
}

/// Whether another account of the same app has just worked.
async fn others_work(app: &App, account: AccountId) -> Result<bool, commands::Error> {
    let Some(connection) = app.commands.usable(account).await? else { return Ok(false) };
    app.commands.other_worked_lately(account, connection).await
}

/// Whether another account of the app can be asked, or has just shown, that the app works; or an admin released this account
/// from the app's incident, and it still fails.
async fn shows_otherwise(app: &App, account: AccountId) -> Result<bool, commands::Error> {
    Ok(accounts::another_active(app.database(), account).await?.is_some()
        || others_work(app, account).await?
        || app.commands.is_released(account).await?)
}

/// The app itself is refused: an incident is open from then on.
async fn app_refused(app: &App, job: &Job, failed: &Failed) -> Result<(), commands::Error> {
    let Some(shown) = accounts::account_for(app.database(), job.account, Viewer::Staff).await? else { return Ok(()) };
    app.commands.app_refused(shown.connection, failed, &admins(app).await?).await
}

/// Who is told of incidents: nobody without a mail server.
async fn admins(app: &App) -> Result<Vec<UserId>, commands::Error> {
    Ok(if app.mailer.is_some() { Users::new(app.database().clone()).admins().await? } else { Vec::new() })
}
