//! A renewal: a machine extends the session, well before it ends.

use commands::renew::Renewal;
use engine::jobs::End;
use projections::jobs::Job;

use super::{context, done, failed::failed};
use crate::app::App;

pub(super) async fn renew(app: &App, job: &Job) -> Result<(), commands::Error> {
    match app.commands.renew(job.account, &context()).await? {
        Renewal::Failed(met) => failed(app, job, met).await,
        // The event that follows says when the next one is due, if one is.
        Renewal::Done | Renewal::Nothing => done(app, job, End::Done).await,
    }
}
