//! The queue on PostgreSQL: how long a claim takes while many rows wait, and after many were done; how many no-op jobs a
//! second go through, and how soon an idle worker starts what is due now, beside graphile-worker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use domain::AccountId;
use projections::queue::{Room, Worker, ask_check, complete};
use serde::Deserialize;
use store::{
    Database, Options, sqlx,
    testing::{Engine, TestDatabase},
};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use crate::{
    figure::{Figure, median},
    peers::Peers,
};

/// As many as a thousand rows are enough for.
const CLAIMS: usize = 100;
const WORKERS: u32 = 4;
/// How many a worker claims, and completes, at once where jobs take no time.
const AT_ONCE: u32 = 500;
const MANY: u32 = 1_000_000;
/// How many jobs there are beside graphile-worker.
const JOBS: u32 = 100_000;
const STARTS: usize = 300;

pub(crate) async fn measure(peers: Option<&Peers>) -> Result<Vec<Figure>> {
    let database = TestDatabase::new(Engine::Postgres).await;
    let opened = Database::open(database.url(), Options::default()).await?;
    opened.migrate().await?;
    let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
    let mut figures = flat(&opened, now).await?;
    fill(&opened, "check", 0, now).await?;
    let start = start(&opened, now).await?;
    fill(&opened, "check", JOBS, now).await?;
    let rate = work(&opened, now).await?;
    figures.extend(beside(peers, rate, start).await?);
    Ok(figures)
}

/// How long a claim takes, beside one while a thousand rows wait.
async fn flat(database: &Database, now: DateTime<Utc>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut one_thousand = None;
    for waiting in [1_000, 100_000, MANY] {
        fill(database, "pull", waiting, now).await?;
        let claims = claims(database, now).await?;
        let beside = *one_thousand.get_or_insert(claims);
        let name = format!("PostgreSQL: claim of 8 of {waiting} waiting, beside 1000 waiting");
        figures.push(Figure::alone(name, claims, "ms", "flat").beside(beside));
    }
    let rate = work(database, now).await?;
    figures.push(Figure::alone(format!("PostgreSQL: {MANY} pulls done, each due again"), rate, "1/s", ""));
    for (after, goal) in [("at once", ""), ("when autovacuum has passed", "flat")] {
        if !goal.is_empty() {
            vacuumed(database).await?;
        }
        let claims = claims(database, now + TimeDelta::hours(7)).await?;
        let name = format!("PostgreSQL: claim of 8 after {MANY} were done, {after}");
        figures.push(Figure::alone(name, claims, "ms", goal).beside(one_thousand.unwrap_or(f64::NAN)));
    }
    Ok(figures)
}

/// Waits until autovacuum has passed: by PostgreSQL's defaults it looks once a minute.
async fn vacuumed(database: &Database) -> Result<()> {
    let Database::Postgres(pool) = database else { unreachable!("PostgreSQL was asked for") };
    let sql = "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'work_v1'";
    let before: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
    let begun = Instant::now();
    while sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await? == before {
        anyhow::ensure!(begun.elapsed() < Duration::from_mins(3), "autovacuum does not come");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// So many accounts' rows of a kind, all of them due.
async fn fill(database: &Database, kind: &str, waiting: u32, now: DateTime<Utc>) -> Result<()> {
    let Database::Postgres(pool) = database else { unreachable!("PostgreSQL was asked for") };
    sqlx::raw_sql("TRUNCATE work_v1").execute(pool).await?;
    let sql = "INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
               SELECT $3, id, id, 1, 0, 1, $2::timestamptz - n * interval '1 ms', n \
               FROM (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, $1) AS n) AS new";
    sqlx::query(sql).bind(i64::from(waiting)).bind(now).bind(kind).execute(pool).await?;
    sqlx::raw_sql("VACUUM ANALYZE work_v1").execute(pool).await?;
    Ok(())
}

async fn claims(database: &Database, now: DateTime<Utc>) -> Result<f64> {
    let (mut times, bench) = (Vec::new(), Worker::new(database, "bench"));
    for _ in 0..CLAIMS {
        let begun = Instant::now();
        let claimed = bench.claim(now, Room::of(8)).await?;
        let claim_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        anyhow::ensure!(!claimed.is_empty(), "nothing was left to claim");
        let done: Vec<_> = claimed.iter().map(|claimed| (claimed, Some(now + TimeDelta::hours(6)))).collect();
        let mut tx = database.begin().await?;
        complete(&mut tx, &done).await?;
        tx.commit().await?;
        times.push(claim_ms);
    }
    Ok(median(times))
}

/// Workers that claim and complete until nothing is left; jobs a second.
async fn work(database: &Database, now: DateTime<Utc>) -> Result<f64> {
    let begun = Instant::now();
    let worker = |number: u32| {
        let database = database.clone();
        async move {
            let (worker, mut done) = (Worker::new(&database, format!("worker {number}")), 0);
            loop {
                let claimed = worker.claim(now, Room::of(AT_ONCE)).await?;
                if claimed.is_empty() {
                    return anyhow::Ok(done);
                }
                let all: Vec<_> = claimed.iter().map(|claimed| (claimed, Some(now + TimeDelta::hours(6)))).collect();
                let mut tx = database.begin().await?;
                let held = complete(&mut tx, &all).await?;
                tx.commit().await?;
                done += u32::try_from(held.iter().filter(|held| **held).count())?;
            }
        }
    };
    let workers: Vec<_> = (0..WORKERS).map(|number| tokio::spawn(worker(number))).collect();
    let mut done = 0;
    for worker in workers {
        done += worker.await??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

/// From asking for a check until an idle worker starts it; the median, in milliseconds.
async fn start(database: &Database, now: DateTime<Utc>) -> Result<f64> {
    let (due, (started, mut starts)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let worker = tokio::spawn({
        let (database, due) = (database.clone(), due.clone());
        async move {
            let idle = Worker::new(&database, "idle");
            loop {
                due.notified().await;
                for claimed in idle.claim(now, Room::of(8)).await? {
                    if started.send(Instant::now()).is_err() {
                        return anyhow::Ok(());
                    }
                    let mut tx = database.begin().await?;
                    complete(&mut tx, &[(&claimed, None)]).await?;
                    tx.commit().await?;
                }
            }
        }
    });
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let asked = Instant::now();
        ask_check(database, AccountId::new(Uuid::now_v7()), now).await?;
        due.notify_one();
        let Some(started) = starts.recv().await else { break };
        times.push((started - asked).as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.abort();
    Ok(median(times))
}

async fn beside(peers: Option<&Peers>, rate: f64, start: f64) -> Result<Vec<Figure>> {
    #[derive(Deserialize)]
    struct Worker {
        rate: f64,
        start_ms: f64,
    }
    let jobs = "PostgreSQL: no-op jobs, claim + complete";
    let starts = "PostgreSQL: due now → started by an idle worker, median";
    let Some(peers) = peers else {
        return Ok(vec![Figure::alone(jobs, rate, "1/s", ""), Figure::alone(starts, start, "ms", "")]);
    };
    let mut figures = Vec::new();
    for (settings, count) in [("default", JOBS / 10), ("batched", JOBS)] {
        let database = TestDatabase::empty(Engine::Postgres).await;
        let beside: Worker = peers.run("queue.mjs", &[database.url(), &count.to_string(), settings]).await?;
        let peer = format!("beside graphile-worker ({settings})");
        figures.push(Figure::alone(format!("{jobs}, {peer}"), rate, "1/s", "ahead").beside(beside.rate));
        figures.push(Figure::alone(format!("{starts}, {peer}"), start, "ms", "ratio ≤ 1").beside(beside.start_ms));
    }
    Ok(figures)
}
