//! Commands a second, durable, on both engines: ours beside cqrs-es' own stores with the same aggregate, beside bare
//! statements, and beside event stores from npm. Ten commands an aggregate, each loaded, decided and appended.

mod limit;
mod stores;

use std::time::Duration;

use anyhow::{Context as _, Result};
use domain::AccountId;
use engine::testing::Engine;
use serde::Deserialize;
use store::testing::TestDatabase;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    bench::Bench,
    figure::{Figure, median},
    peers::Peers,
};
use stores::Stores;
pub(crate) use stores::{Measured, Ours, metadata};

pub(crate) const CLIENTS: usize = 64;
pub(crate) const PER_AGGREGATE: u32 = 10;
const LASTS: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 3;

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let stores = Stores::open(engine).await?;
    let Stores { ours, stock, stock_best, bare, .. } = &stores;
    let (rounds, lasts) = (bench.fewer(ROUNDS), bench.lasts(LASTS));
    in_turns(CLIENTS, 1, lasts / 3, &[ours, stock, stock_best, bare]).await?;
    stores.analyse().await?;
    let many = in_turns(CLIENTS, rounds, lasts, &[ours, stock, stock_best, bare]).await?;
    let name = "commands a second, 64 clients";
    let rate = |beside: &str, goal| Figure::alone(format!("{name}, beside {beside}"), many[0].rate, "/s", goal);
    bench.figure(rate("stock cqrs-es", "ratio ≥ 5").beside(many[1].rate));
    bench.figure(rate("stock cqrs-es at its best", "").beside(many[2].rate).in_table());
    if engine == Engine::Postgres {
        bench.figure(rate("a bare SELECT and INSERT", "ratio ≥ 2.5").beside(many[3].rate));
    }
    let limit = limit::rows_a_second(engine, rounds, lasts).await?;
    bench.figure(rate("the rows of a raw batch insert, 256 a commit: the limit", "").beside(limit).in_table());
    let p99 = Figure::alone("p99 latency, 64 clients, beside stock cqrs-es at its best", many[0].p99, "ms", "");
    bench.figure(p99.beside(many[2].p99));
    let one = in_turns(1, rounds, lasts, &[ours, stock, stock_best, bare]).await?;
    let name = "median latency, 1 client";
    let latency = |beside: &str, goal| Figure::alone(format!("{name}, beside {beside}"), one[0].median, "ms", goal);
    bench.figure(latency("stock cqrs-es", "ratio ≤ 0.6").beside(one[1].median));
    bench.figure(latency("stock cqrs-es at its best", "").beside(one[2].median));
    let bare = "a bare SELECT and INSERT";
    match engine {
        Engine::Postgres => bench.figure(latency(bare, "").beside(one[3].median)),
        Engine::Sqlite => {
            let name = "one INSERT, which loads and decides nothing: median latency, 1 client, beside stock cqrs-es";
            bench.figure(Figure::alone(name, one[3].median, "ms", "").beside(one[1].median).in_table());
        }
    }
    drop(stores);
    match bench.peers().await? {
        Some(peers) if engine == Engine::Postgres => beside_event_stores(bench, peers, &many[0], &one[0]).await,
        _ => Ok(()),
    }
}

/// Event stores of others, which append at an expected version too. They neither load nor decide; ours did.
async fn beside_event_stores(bench: &Bench, peers: &Peers, many: &Reached, one: &Reached) -> Result<()> {
    #[derive(Deserialize)]
    struct Append {
        rate: f64,
        median_ms: f64,
    }
    let seconds = bench.lasts(LASTS).as_secs_f64().to_string();
    for store in ["message-db", "emmett"] {
        let append = async |settings, processes, clients| {
            let database = TestDatabase::empty(Engine::Postgres).await;
            if store == "message-db" {
                peers.install_message_db(&database).await?;
            }
            peers.run::<Append>("append.mjs", &[store, settings, database.url(), processes, clients, &seconds]).await
        };
        for (settings, processes) in [("default", "1"), ("best", "1"), ("best", "2")] {
            let beside = append(settings, processes, "64").await?.rate;
            let name = format!("commands a second, 64 clients, beside appends of {store} ({settings}, {processes} ×)");
            bench.figure(Figure::alone(name, many.rate, "/s", "ratio ≥ 1").beside(beside));
        }
        let beside = append("best", "1", "1").await?.median_ms;
        let name = format!("median latency, 1 client, beside an append of {store}");
        bench.figure(Figure::alone(name, one.median, "ms", "").beside(beside).in_table());
    }
    Ok(())
}

/// What a store reached.
#[derive(Default, Clone)]
struct Reached {
    rate: f64,
    median: f64,
    p99: f64,
}

/// Measures all in turns; the medians over the rounds.
async fn in_turns(clients: usize, rounds: u32, lasts: Duration, stores: &[&Measured]) -> Result<Vec<Reached>> {
    let mut reached = vec![Vec::new(); stores.len()];
    for _ in 0..rounds {
        for (store, reached) in stores.iter().zip(&mut reached) {
            reached.push(run(clients, lasts, store).await?);
        }
    }
    let middle = |reached: Vec<Reached>, of: fn(&Reached) -> f64| median(reached.iter().map(of).collect());
    Ok(reached
        .into_iter()
        .map(|reached| Reached {
            rate: middle(reached.clone(), |reached| reached.rate),
            median: middle(reached.clone(), |reached| reached.median),
            p99: middle(reached, |reached| reached.p99),
        })
        .collect())
}

async fn run(clients: usize, lasts: Duration, store: &Measured) -> Result<Reached> {
    let begun = Instant::now();
    let client = |store: Measured| async move {
        let mut latencies = Vec::new();
        while begun.elapsed() < lasts {
            let id = AccountId::new(Uuid::now_v7());
            for number in 0..PER_AGGREGATE {
                let asked = Instant::now();
                store.command(id, number).await?;
                latencies.push(asked.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        anyhow::Ok(latencies)
    };
    let all: Vec<_> = (0..clients).map(|_| tokio::spawn(client(store.clone()))).collect();
    let mut latencies = Vec::new();
    for client in all {
        latencies.extend(client.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().context("none");
    let commands = f64::from(u32::try_from(latencies.len())?);
    Ok(Reached { rate: commands / seconds, median: at(50)?, p99: at(99)? })
}
