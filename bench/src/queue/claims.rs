//! How long a claim takes while many rows wait, and after many were done: it should not depend on either.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use engine::{
    Database,
    jobs::{End, Room, Worker, end},
    sql, sqlx,
};
use projections::jobs::META;

use super::jobs;
use crate::{
    bench::Bench,
    figure::{Figure, median, number},
};

const CLAIMS: u32 = 100;
const MANY: u32 = 1_000_000;

pub(super) async fn measure(bench: &Bench, database: &Database, now: DateTime<Utc>) -> Result<()> {
    let many = bench.size(MANY);
    let mut one_thousand = None;
    for waiting in [1_000, many / 10, many] {
        fill(database, "pull", waiting, now).await?;
        let claim = claims(bench, database, now).await?;
        let beside = *one_thousand.get_or_insert(claim);
        let name = format!("a claim of 8 of {} waiting, beside 1,000 waiting", number(f64::from(waiting)));
        bench.figure(Figure::alone(name, claim, "ms", if waiting == many { "ratio ≤ 2" } else { "" }).beside(beside));
    }
    let worked = jobs::work(database, now).await?;
    bench.figure(Figure::alone(
        format!("{} pulls done, each due again", number(f64::from(worked.jobs))),
        worked.rate(),
        "/s",
        "",
    ));
    let later = now + TimeDelta::hours(7);
    let after = |claim: f64, when: &str| {
        let name = format!("a claim of 8 after {} were done{when}, beside 1,000 waiting", number(f64::from(many)));
        Figure::alone(name, claim, "ms", "ratio ≤ 2").beside(one_thousand.unwrap_or(f64::NAN))
    };
    bench.figure(after(claims(bench, database, later).await?, ""));
    // By hand on a small one: it would not be worth a pass to autovacuum.
    if many == MANY && vacuumed(database).await? {
        bench.figure(after(claims(bench, database, later).await?, " and autovacuum has passed"));
    }
    Ok(())
}

/// Waits until autovacuum has passed: by PostgreSQL's defaults it looks once a minute. SQLite has none.
async fn vacuumed(database: &Database) -> Result<bool> {
    let Database::Postgres(pool) = database else { return Ok(false) };
    let sql = "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'jobs'";
    let before: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
    let begun = Instant::now();
    while sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await? == before {
        ensure!(begun.elapsed() < Duration::from_mins(3), "autovacuum does not come");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(true)
}

/// So many accounts' rows of a kind, all of them due.
pub(crate) async fn fill(database: &Database, kind: &str, waiting: u32, now: DateTime<Utc>) -> Result<()> {
    let columns = "queue, kind, key, priority, due_at, cause";
    match database {
        Database::Postgres(pool) => {
            sqlx::raw_sql("TRUNCATE jobs").execute(pool).await?;
            let sql = format!(
                "INSERT INTO jobs ({columns}) SELECT 'meta', $3, id, 1, $2::timestamptz - n * interval '1 ms', n \
                 FROM (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, $1) AS n) AS new"
            );
            sqlx::query(&sql).bind(i64::from(waiting)).bind(now).bind(kind).execute(pool).await?;
            sqlx::raw_sql("VACUUM ANALYZE jobs").execute(pool).await?;
        }
        Database::Sqlite(_) => {
            sql("DELETE FROM jobs").execute(database).await?;
            let random = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) \
                          || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";
            sql(format!(
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1), \
                 new AS MATERIALIZED (SELECT n, {random} AS id FROM numbers) \
                 INSERT INTO jobs ({columns}) SELECT 'meta', $3, id, 1, \
                 strftime('%Y-%m-%dT%H:%M:%f+00:00', $2, '-' || (n / 1000.0) || ' seconds'), n FROM new"
            ))
            .bind(i64::from(waiting))
            .bind(now)
            .bind(kind)
            .execute(database)
            .await?;
            sql("ANALYZE jobs").execute(database).await?;
        }
    }
    Ok(())
}

async fn claims(bench: &Bench, database: &Database, now: DateTime<Utc>) -> Result<f64> {
    let (mut times, worker) = (Vec::new(), Worker::new(database, "bench"));
    for _ in 0..bench.fewer(CLAIMS) {
        let begun = Instant::now();
        let claimed = worker.claim(META, now, Room::of(8)).await?;
        let claim_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        ensure!(!claimed.is_empty(), "nothing was left to claim");
        let next = End::Next(Some(now + TimeDelta::hours(6)));
        let done: Vec<_> = claimed.iter().map(|job| (&job.held, next.clone())).collect();
        let mut tx = database.begin().await?;
        let _ = end(&mut tx, &done).await?;
        tx.commit().await?;
        times.push(claim_ms);
    }
    Ok(median(times))
}
