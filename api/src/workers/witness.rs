//! Clock monitoring: logs when the program's time becomes trusted or untrusted, and asks other clocks for the time.

use std::{
    mem::discriminant,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use commands::clock::{Standing, Witness};
use engine::sql;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often the database server is asked what time it is, and in doubt Meta: at least.
const EVERY: Duration = Duration::from_mins(1);
/// An answer that took longer says too little.
const PROMPT: TimeDelta = TimeDelta::seconds(30);

/// Works until the token is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    let mut told = Standing::Trusted;
    let (mut asked, mut pause) = (None::<Instant>, LOOK);
    loop {
        let standing = app.commands.clock.standing();
        if discriminant(&told) != discriminant(&standing) {
            tell(standing);
            pause = LOOK;
        }
        told = standing;
        let is_doubted = matches!(standing, Standing::Doubted(_));
        if asked.is_none_or(|asked| asked.elapsed() >= pause) {
            asked = Some(Instant::now());
            pause = (pause * 2).min(EVERY);
            ask_the_database(&app).await;
            if is_doubted {
                app.commands.ask_the_time().await;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn tell(standing: Standing) {
    match standing {
        Standing::Doubted(_) => tracing::error!(event = "clock.doubted", "{standing}"),
        Standing::ApartFromTheMachine(_) => tracing::error!(event = "clock.apart", "{standing}"),
        Standing::Trusted => tracing::info!(event = "clock.trusted", "{standing}: work by the clock goes on"),
    }
}

async fn ask_the_database(app: &App) {
    if !app.database().is_shared() {
        // A file lives by this machine's clock.
        return;
    }
    let clock = &app.commands.clock;
    let begun = clock.running();
    // One engine: a server has a clock.
    match sql("SELECT clock_timestamp()").scalar(app.database()).await {
        Ok(time) if clock.running() - begun < PROMPT => clock.hear(Witness::Database, time),
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "the database did not say what time it is"),
    }
}
