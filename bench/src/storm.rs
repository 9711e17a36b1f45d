//! Very many tokens run out at one moment: how long until all of them are shown so while Meta is away, and how long until
//! Meta has said of all of them that they work.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use api::sign_in::Role;
use chrono::TimeDelta;
use engine::{sql, testing::Engine};
use tests::relight::Relight;
use url::Url;

use crate::{
    bench::Bench,
    figure::{Figure, number},
    serve::memory_mib,
};

const ACCOUNTS: u32 = 100_000;
/// So many are asked about, one call each.
const ASKED: u32 = 20_000;
const WITHIN: Duration = Duration::from_mins(5);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    away(bench, engine).await?;
    answering(bench, engine).await
}

async fn away(bench: &Bench, engine: Engine) -> Result<()> {
    let accounts = bench.size(ACCOUNTS);
    let relight = Relight::start_with(engine, |config| {
        config.database.connections = 16;
        // Nothing answers there.
        config.instagram.graph_url = Url::parse("http://127.0.0.1:9").expect("a URL");
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
    let name = format!("{} tokens run out at one moment, Meta away", number(f64::from(accounts)));
    bench.figure(Figure::alone(format!("{name}: until all are shown so"), took, "s", "≤ 30"));
    bench.figure(Figure::alone(format!("{name}: how much memory (VmRSS) grew"), grown, "MiB", "flat"));
    Ok(())
}

async fn answering(bench: &Bench, engine: Engine) -> Result<()> {
    let accounts = bench.size(ASKED);
    let relight = Relight::start_with(engine, |config| config.database.connections = 16).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    relight.connected(&owner, "luma.ceramics").await;
    let holder = relight.holder("luma.ceramics");
    let token = relight.sandbox.world().latest_token(&holder).map(|(token, _)| token.clone());
    relight.connect_crowd(accounts, &token.context("no token was made")?).await;
    let before = memory_mib(std::process::id())?;
    // Here alone: at Meta they last.
    relight.clock.forward(TimeDelta::days(61));
    let (begun, since) = (Instant::now(), relight.clock.now());
    let asked = || async {
        let asked = sql("SELECT count(*) FROM checks WHERE checked_at >= $1").bind(since);
        asked.scalar::<i64>(relight.store().database()).await
    };
    while asked().await? <= i64::from(accounts) {
        ensure!(begun.elapsed() < WITHIN, "not all were asked about in time: {}", asked().await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rate = f64::from(accounts) / begun.elapsed().as_secs_f64();
    let grown = memory_mib(std::process::id())? - before;
    let name = format!("{} tokens run out at one moment, Meta answers that they work", number(f64::from(accounts)));
    ensure!(relight.counts().await[1] == 0, "tokens expired that Meta says work");
    bench.figure(Figure::alone(format!("{name}: asked about a second"), rate, "/s", ""));
    bench.figure(Figure::alone(format!("{name}: how much memory (VmRSS) grew"), grown, "MiB", "flat"));
    Ok(())
}
