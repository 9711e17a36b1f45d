//! A check: somebody looks at an account, so Meta is asked whether its token works.

use commands::check::Checked;
use domain::{TokenId, Verdict};
use projections::{
    feeds,
    queue::{self, Claimed},
};

use super::{context, failed};
use crate::app::App;

/// Who looks doesn't wait longer than a few tries; the next look asks again.
const TRIES: u32 = 3;

pub(super) async fn check(app: &App, claimed: &Claimed) -> Result<(), commands::Error> {
    match app.commands.check(claimed.account, &context()).await? {
        Checked::Works(token) | Checked::Failed(token, Verdict::Expired(_)) => end(app, claimed, Some(token)).await,
        Checked::Failed(_, verdict) if claimed.attempts + 1 < TRIES => failed(app, claimed, verdict).await,
        Checked::Failed(..) | Checked::Nothing => end(app, claimed, None).await,
    }
}

/// Ends the job, and notes when Meta was heard.
async fn end(app: &App, claimed: &Claimed, heard: Option<TokenId>) -> Result<(), commands::Error> {
    let mut tx = app.database().begin().await?;
    if queue::complete(&mut tx, &[(claimed, None)]).await? != [true] {
        return Ok(());
    }
    if let Some(token) = heard {
        feeds::heard(&mut tx, claimed.account, token, app.commands.clock.now()).await?;
    }
    Ok(tx.commit().await?)
}
