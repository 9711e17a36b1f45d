//! The queue: how long a claim takes while many rows wait, how many no-op jobs a second go through, and how soon an idle
//! worker starts what is due now; the last two beside job queues from npm.

mod claims;
pub(crate) mod jobs;
pub(crate) mod start;

use anyhow::Result;
use chrono::{DateTime, Utc};
use engine::{Database, Options, testing::Engine};
use serde::Deserialize;
use store::testing::TestDatabase;

pub(crate) use claims::fill;

use crate::{bench::Bench, figure::Figure, peers::Peers};

/// How many no-op jobs there are, as in graphile-worker's own performance test.
const JOBS: u32 = 200_000;
/// How often something is made due.
const STARTS: u32 = 300;

/// Job queues from npm with their settings, described in `bench/peers/{library}.mjs`; how many jobs and starts to measure
/// with. pg-boss without settings isn't measured: it takes one job each two seconds.
const PEERS: [(&str, &str, u32, u32); 3] = [
    ("graphile-worker", "default", 2_000, STARTS),
    ("graphile-worker", "best", JOBS, STARTS),
    ("pg-boss", "best", JOBS, STARTS),
];

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let file = TestDatabase::new(engine).await;
    let database = Database::open(file.url(), Options::default()).await?;
    database.migrate(&store::MIGRATIONS).await?;
    let now = now();
    claims::measure(bench, &database, now).await?;
    let starts = start::median_ms(engine, bench.fewer(STARTS)).await?;
    bench.figure(start::figure(starts, "", "").in_table());
    let mut rates = Vec::new();
    for processes in 1..=if database.is_shared() { 2 } else { 1 } {
        fill(&database, "check", bench.size(JOBS), now).await?;
        let rate = jobs::in_processes(file.url(), now, processes).await?.rate();
        bench.figure(Figure::alone(format!("no-op jobs a second ({processes} ×)"), rate, "/s", "").in_table());
        rates.push(rate);
    }
    database.close().await;
    match bench.peers().await? {
        Some(peers) if engine == Engine::Postgres => beside(bench, peers, &rates, starts).await,
        _ => Ok(()),
    }
}

/// Not the machine's: what is due is so by these rows' own time.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default()
}

async fn beside(bench: &Bench, peers: &Peers, rates: &[f64], ours_ms: f64) -> Result<()> {
    #[derive(Deserialize)]
    struct Rate {
        rate: f64,
    }
    #[derive(Deserialize)]
    struct Start {
        start_ms: f64,
    }
    for (library, settings, jobs, starts) in PEERS {
        for (ours, processes) in rates.iter().zip(1..) {
            if processes > 1 && settings == "default" {
                continue;
            }
            let database = TestDatabase::empty(Engine::Postgres).await;
            let (processes, jobs) = (processes.to_string(), bench.fewer(jobs).to_string());
            let arguments = ["rate", library, settings, database.url(), &processes, &jobs];
            let Rate { rate } = peers.run("queue.mjs", &arguments).await?;
            let name = format!("no-op jobs a second, beside {library} ({settings}, {processes} ×)");
            bench.figure(Figure::alone(name, *ours, "/s", "ratio ≥ 1").beside(rate));
        }
        let database = TestDatabase::empty(Engine::Postgres).await;
        let arguments = ["start", library, settings, database.url(), &bench.fewer(starts).to_string()];
        let Start { start_ms } = peers.run("queue.mjs", &arguments).await?;
        bench.figure(start::figure(ours_ms, &format!(", beside {library} ({settings})"), "ratio ≤ 1").beside(start_ms));
    }
    Ok(())
}
