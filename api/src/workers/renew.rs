//! A renewal: a machine extends the session, well before it ends.

use commands::renew::Renewal;
use projections::queue::{self, Claimed};

use super::{context, failed::failed};
use crate::app::App;

pub(super) async fn renew(app: &App, claimed: &Claimed) -> Result<(), commands::Error> {
    match app.commands.renew(claimed.account, &context()).await? {
        // The event that follows says when the next one is due.
        Renewal::Done => Ok(()),
        Renewal::Failed(met) => failed(app, claimed, met).await,
        Renewal::Nothing => {
            let mut tx = app.database().begin().await?;
            if queue::complete(&mut tx, &[(claimed, None)]).await? == [true] {
                tx.commit().await?;
            }
            Ok(())
        }
    }
}
