//! The queue on PostgreSQL: how long a claim takes while many rows wait, and after many were done; how many no-op jobs a
//! second go through.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use projections::queue::{claim, complete};
use store::{
    Database, Options, sqlx,
    testing::{Engine, TestDatabase},
};

use crate::figure::{Figure, median};

/// As many as a thousand rows are enough for.
const CLAIMS: usize = 100;
const WORKERS: u32 = 8;
const LASTS: Duration = Duration::from_secs(8);

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let database = TestDatabase::new(Engine::Postgres).await;
    let opened = Database::open(database.url(), Options::default()).await?;
    opened.migrate().await?;
    let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
    let mut figures = Vec::new();
    let mut one_thousand = None;
    for waiting in [1_000, 100_000, 1_000_000] {
        fill(&opened, waiting, now).await?;
        let claims = claims(&opened, now).await?;
        let beside = *one_thousand.get_or_insert(claims);
        let name = format!("PostgreSQL: claim of 8 of {waiting} waiting, beside 1000 waiting");
        figures.push(Figure::alone(name, claims, "ms", "flat").beside(beside));
    }
    let (rate, done) = work(&opened, now).await?;
    let name = format!("PostgreSQL: no-op jobs, {WORKERS} workers, 1000000 waiting ({done} done)");
    figures.push(Figure::alone(name, rate, "1/s", ""));
    let name = format!("PostgreSQL: claim of 8 after {done} were done, beside 1000 waiting");
    let figure = Figure::alone(name, claims(&opened, now).await?, "ms", "flat");
    figures.push(figure.beside(one_thousand.unwrap_or(f64::NAN)));
    Ok(figures)
}

/// So many accounts' pulls, all of them due.
async fn fill(database: &Database, waiting: i64, now: DateTime<Utc>) -> Result<()> {
    let Database::Postgres(pool) = database else { unreachable!("PostgreSQL was asked for") };
    sqlx::raw_sql("TRUNCATE work_v1").execute(pool).await?;
    let sql = "INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
               SELECT 'pull', id, id, 1, 0, 1, $2::timestamptz - n * interval '1 ms', n \
               FROM (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, $1) AS n) AS new";
    sqlx::query(sql).bind(waiting).bind(now).execute(pool).await?;
    sqlx::raw_sql("VACUUM ANALYZE work_v1").execute(pool).await?;
    Ok(())
}

async fn claims(database: &Database, now: DateTime<Utc>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..CLAIMS {
        let begun = Instant::now();
        let claimed = claim(database, "bench", now, 8).await?;
        let claim_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        anyhow::ensure!(!claimed.is_empty(), "nothing was left to claim");
        let mut tx = database.begin().await?;
        for claimed in &claimed {
            complete(&mut tx, claimed, Some(now + TimeDelta::hours(6))).await?;
        }
        tx.commit().await?;
        times.push(claim_ms);
    }
    Ok(median(times))
}

/// Workers that claim eight at a time and end each in a transaction of its own, as with a result to store.
async fn work(database: &Database, now: DateTime<Utc>) -> Result<(f64, u32)> {
    let begun = Instant::now();
    let worker = |number: u32| {
        let database = database.clone();
        async move {
            let (lease, mut done) = (format!("worker {number}"), 0);
            while begun.elapsed() < LASTS {
                for claimed in claim(&database, &lease, now, 8).await? {
                    let mut tx = database.begin().await?;
                    if complete(&mut tx, &claimed, Some(now + TimeDelta::hours(6))).await? {
                        tx.commit().await?;
                        done += 1;
                    }
                }
            }
            anyhow::Ok(done)
        }
    };
    let workers: Vec<_> = (0..WORKERS).map(|number| tokio::spawn(worker(number))).collect();
    let mut done = 0;
    for worker in workers {
        done += worker.await??;
    }
    Ok((f64::from(done) / begun.elapsed().as_secs_f64(), done))
}
