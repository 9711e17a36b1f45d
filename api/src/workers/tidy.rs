//! Tidying: what has run out is forgotten.

use std::time::Duration;

use chrono::TimeDelta;
use commands::{allowance, attempt, clock::Standing, link};
use projections::{feeds, jobs, pictures};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    json::idempotency,
    sign_in::{invitations::Invitations, sessions::Sessions},
    webhooks::deliver,
};

const EVERY: Duration = Duration::from_mins(1);
/// How long a request with an `Idempotency-Key` may be repeated.
const ANSWERS: TimeDelta = TimeDelta::days(2);

/// Tidies until the token is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    let (sessions, kept) = (Sessions::new(app.database().clone()), app.config.retention.clone());
    let days = |days: u32| TimeDelta::days(days.into());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if app.commands.clock.doubt().is_some() {
            continue;
        }
        // Sessions go by the machine's clock.
        if app.commands.clock.standing() == Standing::Trusted
            && let Err(error) = sessions.tidy().await
        {
            tracing::warn!(%error, "old sessions could not be deleted");
        }
        let invitations = Invitations::new(app.database().clone());
        if let Err(error) = invitations.tidy(app.commands.clock.now()).await {
            tracing::warn!(%error, "old invitations could not be deleted");
        }
        if let Err(error) = app.commands.forget_told(app.commands.clock.now() - days(kept.mails_days)).await {
            tracing::warn!(%error, "old mails could not be forgotten");
        }
        if let Err(error) = attempt::forget_unchosen(app.database(), app.commands.clock.now()).await {
            tracing::warn!(%error, "grants that nobody chose from could not be destroyed");
        }
        if let Err(error) = allowance::forget_before(app.database(), app.commands.clock.now()).await {
            tracing::warn!(%error, "counts of days that are over could not be deleted");
        }
        if let Err(error) = idempotency::forget_before(app.database(), app.commands.clock.now() - ANSWERS).await {
            tracing::warn!(%error, "old answers could not be deleted");
        }
        if let Err(error) = app.commands.go_on_erasing().await {
            tracing::error!(%error, "an erasure is not finished; it goes on");
        }
        if let Err(error) = app.commands.forget_erasures(app.commands.clock.now() - days(kept.mails_days)).await {
            tracing::warn!(%error, "old erasures could not be forgotten");
        }
        if let Err(error) =
            feeds::forget_of_gone(app.database(), app.commands.clock.now() - days(kept.posts_days)).await
        {
            tracing::warn!(%error, "posts of accounts that are gone could not be deleted");
        }
        if let Err(error) = pictures::forget_ended(app.database(), app.commands.clock.now()).await {
            tracing::warn!(%error, "ended pictures could not be taken out of feeds");
        }
        if let Err(error) = link::forget_before(app.database(), app.commands.clock.now()).await {
            tracing::warn!(%error, "reconnect links that ended could not be forgotten");
        }
        if let Err(error) = app.commands.forget_refusals().await {
            tracing::warn!(%error, "old refusals could not be deleted");
        }
        if let Err(error) = jobs::forget_tries(app.database(), app.commands.clock.now() - days(kept.tries_days)).await {
            tracing::warn!(%error, "old tries could not be deleted");
        }
        if let Err(error) = deliver::forget_before(&app, app.commands.clock.now() - days(kept.deliveries_days)).await {
            tracing::warn!(%error, "old deliveries could not be deleted");
        }
        if let Err(error) =
            attempt::forget_before(app.database(), app.commands.clock.now() - days(kept.logins_days)).await
        {
            tracing::warn!(%error, "old attempts could not be deleted");
        }
    }
}
