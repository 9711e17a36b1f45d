//! A fixed number of operations, and what they cost: what `compare` runs two builds with.
//!
//! Builds are compared that are not of the same commit, so names and the form of the answer stay as they are.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use domain::AccountId;
use engine::{Database, Options, testing::Engine};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use store::testing::TestDatabase;
use uuid::Uuid;

use crate::{
    append::{CLIENTS, Measured, Ours, PER_AGGREGATE},
    bench::Bench,
    cpu::Counted,
    follow, lives, queue,
};

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// A command, 64 clients at once.
    Append,
    /// A command, one client.
    AppendAlone,
    /// An event that `account_status` catches up with.
    CatchUp,
    /// A no-op job, claimed and due again later, as an account's pull.
    Job,
    /// A no-op job, claimed and removed, as one that is asked for once.
    JobOnce,
}

/// What so many of them cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) operations: u32,
    pub(crate) seconds: f64,
    /// Of the program and PostgreSQL together.
    pub(crate) cpu_seconds: f64,
}

/// Carries them out and prints the cost as JSON.
pub(crate) async fn run(bench: &Bench, operation: Operation, engine: Engine) -> Result<()> {
    let cost = match operation {
        Operation::Append => append(engine, CLIENTS, bench.size(40_960)).await?,
        Operation::AppendAlone => append(engine, 1, bench.size(4_000)).await?,
        Operation::CatchUp => catching_up(engine, bench.size(400_000)).await?,
        Operation::Job => jobs(engine, "pull", bench.size(200_000)).await?,
        Operation::JobOnce => jobs(engine, "check", bench.size(200_000)).await?,
    };
    println!("{}", serde_json::to_string(&cost)?);
    Ok(())
}

/// Measures what something costs, which answers how many operations it was.
async fn cost(database: &Database, work: impl Future<Output = Result<u32>>) -> Result<Cost> {
    let counted = Counted::of(database).await?;
    let (before, begun) = (counted.seconds()?, Instant::now());
    let operations = work.await?;
    let (seconds, cpu_seconds) = (begun.elapsed().as_secs_f64(), counted.seconds()? - before);
    ensure!(operations > 0, "nothing was measured");
    Ok(Cost { operations, seconds, cpu_seconds })
}

async fn append(engine: Engine, clients: usize, commands: u32) -> Result<Cost> {
    let ours = Ours::open(engine).await;
    let database = ours.database().clone();
    let ours: Measured = Arc::new(ours);
    let aggregates = commands.div_ceil(u32::try_from(clients)? * PER_AGGREGATE);
    let client = |ours: Measured| async move {
        for _ in 0..aggregates {
            let id = AccountId::new(Uuid::now_v7());
            for number in 0..PER_AGGREGATE {
                ours.command(id, number).await?;
            }
        }
        anyhow::Ok(aggregates * PER_AGGREGATE)
    };
    let all = async {
        let all = try_join_all((0..clients).map(|_| tokio::spawn(client(ours.clone())))).await?;
        all.into_iter().sum::<Result<u32>>()
    };
    cost(&database, all).await
}

async fn catching_up(engine: Engine, events: u32) -> Result<Cost> {
    let file = TestDatabase::new(engine).await;
    let store = file.store().await;
    lives::write(&store, events).await?;
    follow::forget(store.database()).await?;
    let caught_up = async {
        projections::registry(domain::schedule::Schedule::default()).catch_up(&store, "account_status").await?;
        Ok(u32::try_from(store.head().await?)?)
    };
    cost(store.database(), caught_up).await
}

async fn jobs(engine: Engine, kind: &str, jobs: u32) -> Result<Cost> {
    let file = TestDatabase::new(engine).await;
    let database = Database::open(file.url(), Options::default()).await?;
    database.migrate(&store::MIGRATIONS).await?;
    queue::fill(&database, kind, jobs, queue::now()).await?;
    cost(&database, async { Ok(queue::jobs::work(&database, queue::now()).await?.jobs) }).await
}
