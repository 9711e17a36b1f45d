//! The limit of all appending: the same rows, in the same table, 256 a commit, by one connection that does nothing else.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::DateTime;
use engine::{Bulk, Database, Options, testing::Engine};
use uuid::Uuid;

use super::{PER_AGGREGATE, stores::metadata};
use crate::figure::median;

const ROWS: u32 = 256;
const PAYLOAD: &str = r#"{"WidgetAdded":{"widget":"01a20f1c-b02f-7330-9487-e2c072c6a6f2","plan":"free"}}"#;

/// How many rows a second that is, the median over the rounds.
pub(super) async fn rows_a_second(engine: Engine, rounds: u32, lasts: Duration) -> Result<f64> {
    let file = store::testing::TestDatabase::new(engine).await;
    let database = Database::open(file.url(), Options::default()).await?;
    database.migrate(&store::MIGRATIONS).await?;
    let metadata = serde_json::to_string(&metadata().facts())?;
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let mut rows = 0;
        while begun.elapsed() < lasts {
            insert(&database, &metadata).await?;
            rows += ROWS;
        }
        rates.push(f64::from(rows) / begun.elapsed().as_secs_f64());
    }
    database.close().await;
    Ok(median(rates))
}

async fn insert(database: &Database, metadata: &str) -> Result<()> {
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
    let ids: Vec<_> = (0..ROWS.div_ceil(PER_AGGREGATE)).map(|_| Uuid::now_v7().to_string()).collect();
    let all = || (0..ROWS).map(|row| (row / PER_AGGREGATE, row % PER_AGGREGATE));
    let bulk = Bulk::new()
        .text("aggregate_type", all().map(|_| "account"))
        .text("aggregate_id", all().map(|(aggregate, _)| ids[aggregate as usize].as_str()))
        .int("sequence", all().map(|(_, number)| i64::from(number) + 1))
        .text("event_type", all().map(|_| "WidgetAdded"))
        .text("event_version", all().map(|_| "1"))
        .json("payload", all().map(|_| PAYLOAD))
        .json("metadata", all().map(|_| metadata))
        .time("at", all().map(|_| at));
    let columns = bulk.names();
    let mut tx = database.begin().await?;
    bulk.execute(&mut tx, |rows| format!("INSERT INTO events ({columns}) {rows}")).await?;
    Ok(tx.commit().await?)
}
