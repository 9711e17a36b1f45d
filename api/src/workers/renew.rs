//! A renewal: a machine extends the session, well before it ends.

use commands::renew::Renewal;
use projections::queue::Claimed;

use super::{context, done, failed::failed};
use crate::app::App;

pub(super) async fn renew(app: &App, claimed: &Claimed) -> Result<(), commands::Error> {
    match app.commands.renew(claimed.account, &context()).await? {
        Renewal::Failed(met) => failed(app, claimed, met).await,
        // The event that follows says when the next one is due, if one is.
        Renewal::Done | Renewal::Nothing => done(app, claimed, None).await,
    }
}
