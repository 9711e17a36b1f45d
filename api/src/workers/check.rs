//! A check: once a day, and when somebody looks at an account, Meta is asked whether its token works.

use chrono::{DateTime, Utc};
use commands::{check::Checked, report_failure::Failed};
use domain::{TokenId, Verdict, schedule::next_check};
use projections::{
    feeds,
    queue::{self, Claimed},
};

use super::{
    context, done,
    failed::{failed, refused},
};
use crate::app::App;

pub(super) async fn check(app: &App, claimed: &Claimed) -> Result<(), commands::Error> {
    // What Meta says is as of when it was asked.
    let now = app.commands.clock.now();
    if !claimed.first
        && claimed.attempts == 0
        && let Some(heard) = feeds::heard_at(app.database(), claimed.account).await?
        && next_check(claimed.account, heard) > now
    {
        // A call that worked counts as asking.
        return done(app, claimed, Some(next_check(claimed.account, heard))).await;
    }
    match app.commands.check(claimed.account, &context()).await? {
        Checked::Works(token) => end(app, claimed, Some((token, now)), true).await,
        Checked::Failed(token, Failed { verdict: Verdict::Expired(_), .. }) => {
            refused(app, claimed.account, true).await?;
            // A newer token may have taken its place meanwhile; that one is asked about tomorrow.
            let newer = app.commands.usable(claimed.account).await?.is_some();
            end(app, claimed, Some((token, now)), newer).await
        }
        Checked::Failed(_, met) => failed(app, claimed, met).await,
        Checked::Nothing => end(app, claimed, None, false).await,
    }
}

/// Ends the job, and notes when Meta was heard; `again`: tomorrow, unless something happens.
async fn end(
    app: &App,
    claimed: &Claimed,
    heard: Option<(TokenId, DateTime<Utc>)>,
    again: bool,
) -> Result<(), commands::Error> {
    let next = heard.filter(|_| again).map(|(_, at)| next_check(claimed.account, at));
    let mut tx = app.database().begin().await?;
    if queue::complete(&mut tx, &[(claimed, next)]).await? != [true] {
        return Ok(());
    }
    if let Some((token, at)) = heard {
        feeds::heard(&mut tx, claimed.account, token, at).await?;
    }
    Ok(tx.commit().await?)
}
