//! Very many tokens run out at one moment: how long until all of them are shown so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::TimeDelta;
use store::testing::Engine;
use tests::relight::Relight;

use crate::{figure::Figure, serve::memory_mib};

const WITHIN: Duration = Duration::from_mins(5);

pub(crate) async fn measure(accounts: u32, sqlite: bool) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let engines: &[Engine] = if sqlite { &[Engine::Sqlite] } else { &[Engine::Postgres, Engine::Sqlite] };
    for &engine in engines {
        figures.extend(on(engine, accounts).await?);
    }
    Ok(figures)
}

async fn on(engine: Engine, accounts: u32) -> Result<Vec<Figure>> {
    // Nothing is called: it is about time alone.
    let relight = Relight::start_with(engine, |config| {
        config.pull.workers = 0;
        config.database.connections = 16;
    })
    .await;
    relight.connect_crowd(accounts, "never used").await;
    let before = memory_mib(std::process::id())?;
    relight.clock.forward(TimeDelta::days(61));
    let begun = Instant::now();
    while relight.counts().await[1] < i64::from(accounts) {
        ensure!(begun.elapsed() < WITHIN, "the view doesn't come there in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    let grown = memory_mib(std::process::id())? - before;
    let name = format!("{engine:?}: {accounts} tokens run out at one moment");
    Ok(vec![
        Figure::alone(format!("{name}, all shown expired"), took, "s", "≤ 30"),
        Figure::alone(format!("{name}, memory (VmRSS) grew by"), grown, "MiB", "flat"),
    ])
}
