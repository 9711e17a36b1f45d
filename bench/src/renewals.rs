//! Very many tokens, all connected at one moment, are renewed over the schedule: by calls, through the whole program, while
//! the clock goes on minute by minute. The pretend Meta is a process of its own, so that what it remembers isn't ours.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use engine::{sql, testing::Engine};
use sandbox::{Config, Login, Sandbox, Token, World};
use tests::relight::Relight;
use url::Url;

use crate::{
    bench::Bench,
    beside::Beside,
    figure::{Figure, number},
    serve::memory_mib,
};

const ACCOUNTS: u32 = 100_000;
/// A token that the pretend Meta knows: everybody's.
const TOKEN: &str = "IGAAeverybodys";
/// When the first of them are due, and for how long they come. Source: `domain::schedule`, for sessions of 60 days.
const FIRST: TimeDelta = TimeDelta::days(40);
const LAST: TimeDelta = TimeDelta::hours(36);
/// A step of the clock takes at most this long.
const WITHIN: Duration = Duration::from_mins(20);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let accounts = bench.size(ACCOUNTS);
    let meta = Beside::start("sandbox", None)?;
    let graph = Url::parse(&format!("{}/instagram", meta.address))?;
    let relight = Relight::start_with(engine, |config| {
        config.instagram.graph_url = graph;
        config.pull.workers = 32;
        config.database.connections = 16;
    })
    .await;
    let since = relight.clock.now();
    relight.connect_crowd(accounts, TOKEN).await;
    // Each token has to be asked about, for that wasn't done in all the days before. It takes a while, in which time goes on:
    // all of that is over before the first renewal is due.
    relight.clock.forward(FIRST - TimeDelta::hours(2));
    done(&relight).await?;
    relight.clock.forward(since + FIRST - TimeDelta::minutes(1) - relight.clock.now());
    let begun = Instant::now();
    let mut memory = vec![memory_mib(std::process::id())?];
    while relight.clock.now() < since + FIRST + LAST + TimeDelta::minutes(2) {
        relight.clock.forward(TimeDelta::minutes(1));
        done(&relight).await?;
        memory.push(memory_mib(std::process::id())?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let renewed = renewed(&relight).await?;
    ensure!(renewed.len() == accounts as usize, "{} of {accounts} were renewed", renewed.len());
    ensure!(relight.counts().await == [i64::from(accounts), 0, 0], "all are active");
    let mut minutes = BTreeMap::<i64, u32>::new();
    for at in &renewed {
        *minutes.entry((*at - since).num_minutes()).or_default() += 1;
    }
    let busiest = f64::from(minutes.values().max().copied().unwrap_or_default());
    let average = f64::from(accounts) / LAST.as_seconds_f64() * 60.0;
    let name = format!("{} tokens renewed over the schedule by calls", number(f64::from(accounts)));
    let third = memory.get(memory.len() / 3).copied().context("steps")?;
    let grown = memory.last().copied().context("steps")? - third;
    let minute = Figure::alone(format!("{name}, the busiest minute, beside the average"), busiest, "", "ratio ≤ 2");
    bench.figure(minute.beside(average));
    let memory = format!("{name}, how much memory (VmRSS) grew in the last two thirds");
    bench.figure(Figure::alone(memory, grown, "MiB", "flat"));
    bench.figure(Figure::alone(format!("{name}, the whole schedule"), seconds, "s", ""));
    Ok(())
}

/// Waits until nothing is due.
async fn done(relight: &Relight) -> Result<()> {
    let begun = Instant::now();
    loop {
        let now = relight.clock.now();
        let due: bool =
            sql("SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = 'meta' AND priority = 0 AND due_at <= $1) \
                             OR EXISTS (SELECT 1 FROM jobs WHERE queue = 'meta' AND priority = 1 AND due_at <= $1)")
            .bind(now)
            .scalar(relight.store().database())
            .await?;
        if !due {
            return Ok(());
        }
        ensure!(begun.elapsed() < WITHIN, "what is due isn't done in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// When tokens were renewed.
async fn renewed(relight: &Relight) -> Result<Vec<DateTime<Utc>>> {
    Ok(sql("SELECT at FROM events WHERE event_type = 'Renewed'").scalars(relight.store().database()).await?)
}

/// Serves until its standard input ends, with the process that started it; prints where. Its clock stands still, and everybody's token never ends.
pub(crate) async fn sandbox() -> Result<()> {
    let mut world = World::with_cast();
    let now = world.clock.now();
    let token = Token {
        login: Login::Instagram,
        holder: world.account_id("luma.ceramics").context("in the cast")?,
        granted_at: now - TimeDelta::days(2),
        issued_at: now - TimeDelta::days(2),
        expires_at: now + TimeDelta::days(3_650),
        data_access_expires_at: now + TimeDelta::days(3_650),
        permissions: ["instagram_business_basic".to_owned()].into(),
        pages: [].into(),
        short: false,
    };
    world.tokens.insert(TOKEN.to_owned(), token);
    let sandbox = Sandbox::start_with(Config::default(), world).await?;
    println!("{}", sandbox.url());
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}
