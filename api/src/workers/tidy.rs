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
    // Erasures that a stop interrupted go on at once.
    go_on_erasing(&app).await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => once(&app).await,
        }
    }
}

/// Forgets what has run out by now. What fails is logged, and tried again the next time.
async fn once(app: &App) {
    let (commands, database, kept) = (&app.commands, app.database(), &app.config.retention);
    if commands.clock.doubt().is_some() {
        return;
    }
    // Sessions go by the machine's clock.
    if commands.clock.standing() == Standing::Trusted {
        say("old sessions", Sessions::new(database.clone()).tidy().await);
    }
    let now = commands.clock.now();
    let before = |days: u32| now - TimeDelta::days(days.into());
    say("old invitations", Invitations::new(database.clone()).tidy(now).await);
    say("old mails", commands.forget_told(before(kept.mails_days)).await);
    say("grants that no person chose from", attempt::forget_unchosen(database, now).await);
    say("counts of days that are over", allowance::forget_before(database, now).await);
    say("old answers", idempotency::forget_before(database, now - ANSWERS).await);
    go_on_erasing(app).await;
    say("old erasures", commands.forget_erasures(before(kept.mails_days)).await);
    say("posts of accounts that are gone", feeds::forget_of_gone(database, before(kept.posts_days)).await);
    say("pictures that have ended", pictures::forget_ended(database, now).await);
    say("reconnect links that ended", link::forget_before(database, now).await);
    say("old refusals", commands.forget_refusals().await);
    say("old tries", jobs::forget_tries(database, before(kept.tries_days)).await);
    say("old deliveries", deliver::forget_before(app, before(kept.deliveries_days)).await);
    say("old attempts", attempt::forget_before(database, before(kept.logins_days)).await);
}

async fn go_on_erasing(app: &App) {
    if let Err(error) = app.commands.go_on_erasing().await {
        tracing::error!(%error, "an erasure is not finished; it goes on");
    }
}

fn say<T, E: std::fmt::Display>(what: &str, forgotten: Result<T, E>) {
    if let Err(error) = forgotten {
        tracing::warn!(%error, "{what} could not be forgotten; it is tried again");
    }
}
