//! Very many tokens run out at one moment: how long until all of them are shown so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::TimeDelta;
use engine::testing::Engine;
use tests::relight::Relight;

use crate::{
    bench::Bench,
    figure::{Figure, number},
    serve::memory_mib,
};

const ACCOUNTS: u32 = 100_000;
const WITHIN: Duration = Duration::from_mins(5);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let accounts = bench.size(ACCOUNTS);
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
    let name = format!("{} tokens run out at one moment", number(f64::from(accounts)));
    bench.figure(Figure::alone(format!("{name}, until all are shown so"), took, "s", "≤ 30"));
    bench.figure(Figure::alone(format!("{name}, how much memory (VmRSS) grew"), grown, "MiB", "flat"));
    Ok(())
}
