//! The read side: how fast a projection catches up with a long journal, how soon a commit is in the view, how long an
//! account's history takes; each beside what the bare statements take on the same rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use domain::{Account, AccountCommand, AccountEvent, AccountId, Connection, TokenEvent, UserId};
use engine::{
    Database, Filter, Options, Store, sql,
    sqlx::{self, PgPool},
    testing::Engine,
};
use futures::TryStreamExt;
use projections::story;
use serde_json::Value;
use store::testing::{TestDatabase, metadata};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bench::Bench,
    figure::{Figure, median, number, p99},
    lives,
};

const EVENTS: u32 = 1_000_000;
const ROUNDS: u32 = 3;
const COMMANDS: u32 = 5_000;
const HISTORY: u32 = 1_000;
const HISTORIES: u32 = 50;

type Scanned = (i64, String, String, String, String, String, DateTime<Utc>);
type Selected = (i64, String, String, i64, String, String, String, Value, DateTime<Utc>, DateTime<Utc>);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let file = TestDatabase::new(engine).await;
    let opened = Database::open(file.url(), Options::default()).await?;
    opened.migrate(&store::MIGRATIONS).await?;
    let store = store::of(opened);
    lives::write(&store, bench.size(EVENTS)).await?;
    analyse(store.database()).await?;
    bench.figure(caught_up(bench, &store).await?);
    bench.figure(visible(&store, bench.fewer(COMMANDS)).await?);
    bench.figure(history(&store, bench.fewer(HISTORIES)).await?);
    store.database().close().await;
    Ok(())
}

async fn analyse(database: &Database) -> Result<()> {
    sql(match database {
        Database::Postgres(_) => "VACUUM ANALYZE events",
        Database::Sqlite(_) => "ANALYZE events",
    })
    .execute(database)
    .await?;
    Ok(())
}

async fn caught_up(bench: &Bench, store: &Store) -> Result<Figure> {
    let events = f64::from(u32::try_from(store.head().await?)?);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.fewer(ROUNDS) {
        if let Database::Postgres(pool) = store.database() {
            let begun = Instant::now();
            scan(pool).await?;
            bare.push(events / begun.elapsed().as_secs_f64());
        }
        forget(store.database()).await?;
        let begun = Instant::now();
        projections::registry(domain::schedule::Schedule::default()).catch_up(store, "account_status").await?;
        ours.push(events / begun.elapsed().as_secs_f64());
    }
    projections::registry(domain::schedule::Schedule::default()).catch_up(store, "work").await?;
    let name = format!("catch-up of account_status, {} events, events a second, beside a typed scan", number(events));
    // On SQLite sqlx hands rows over one by one, so that a scan by it is no limit.
    Ok(if bare.is_empty() {
        Figure::alone(name, median(ours), "/s", "").in_table()
    } else {
        Figure::alone(name, median(ours), "/s", "ratio ≥ 0.25").beside(median(bare))
    })
}

/// Empties the view, so that it has everything to catch up with.
pub(crate) async fn forget(database: &Database) -> Result<()> {
    for table in ["account_status_v1", "account_rights_v1", "widgets_v1", "account_counts_v1", "checkpoints"] {
        sql(match database {
            Database::Postgres(_) => format!("TRUNCATE {table}"),
            Database::Sqlite(_) => format!("DELETE FROM {table}"),
        })
        .execute(database)
        .await?;
    }
    Ok(())
}

/// The same rows, each column as what it is, and nothing done with them.
async fn scan(pool: &PgPool) -> Result<()> {
    let sql = "SELECT position, aggregate_type, aggregate_id, event_type, event_version, payload::text, at FROM events \
               ORDER BY position";
    let mut rows = sqlx::query_as::<_, Scanned>(sql).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        std::hint::black_box(row);
    }
    Ok(())
}

/// From the answer of a commit to the view that shows it, at 1,000 commands a second.
async fn visible(store: &Store, count: u32) -> Result<Figure> {
    let stop = CancellationToken::new();
    let followers = projections::registry(domain::schedule::Schedule::default()).run(store, &stop);
    let mut every = tokio::time::interval(Duration::from_millis(1));
    let store = Arc::new(store.clone());
    let mut commands = Vec::new();
    for _ in 0..count {
        every.tick().await;
        let (store, mut shown) = (store.clone(), followers.position(projections::ACCOUNT_STATUS).expect("it runs"));
        commands.push(tokio::spawn(async move {
            let id = AccountId::new(Uuid::now_v7());
            let mut unit = store.unit(metadata(DateTime::default()));
            let user = UserId::new(Uuid::now_v7());
            unit.execute::<Account>(id, AccountCommand::Connect { connection: Connection::Consumer, user }).await?;
            let position = unit.commit().await?.position.unwrap_or_default();
            let committed = Instant::now();
            shown.wait_for(|shown| *shown >= position).await?;
            anyhow::Ok(committed.elapsed().as_secs_f64() * 1_000.0)
        }));
    }
    let mut delays = Vec::new();
    for command in commands {
        delays.push(command.await??);
    }
    stop.cancel();
    followers.stopped().await;
    Ok(Figure::alone(
        "from a commit to the view that shows it, 1,000 commands a second, p99",
        p99(delays),
        "ms",
        "≤ 25",
    ))
}

/// An account with 1,000 events: its history as the API gives it, beside the bare select and decode.
async fn history(store: &Store, count: u32) -> Result<Figure> {
    let id = lives::write_one(store, HISTORY).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let begun = Instant::now();
        let filter = Filter { aggregate_id: Some(id.to_string()), ..Filter::default() };
        std::hint::black_box(story::tell(store.events(&filter, 2_000).await?));
        ours.push(1.0 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        decoded(store.database(), id).await?;
        bare.push(1.0 / begun.elapsed().as_secs_f64());
    }
    let name = "histories of 1,000 events a second, put into words, beside select and decode";
    Ok(Figure::alone(name, median(ours), "/s", "ratio ≥ 0.8").beside(median(bare)))
}

async fn decoded(database: &Database, id: AccountId) -> Result<()> {
    let rows: Vec<Selected> =
        sql("SELECT position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
             CAST(payload AS TEXT), metadata, at, recorded_at FROM events WHERE aggregate_id = $1 ORDER BY position")
        .bind(id.to_string())
        .fetch_all(database)
        .await?;
    for row in &rows {
        match row.1.as_str() {
            "account" => drop(std::hint::black_box(serde_json::from_str::<AccountEvent>(&row.6)?)),
            _ => drop(std::hint::black_box(serde_json::from_str::<TokenEvent>(&row.6)?)),
        }
    }
    std::hint::black_box(rows);
    Ok(())
}
