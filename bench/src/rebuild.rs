//! A rebuild of the jobs of a million accounts, and how long others wait meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use domain::{
    Account, AccountCommand, AccountEvent, AccountId, Authority, Connection, TokenEvent, WidgetId, account::Plan,
    schedule::Schedule,
};
use engine::{
    Bulk, Database, Options, Store,
    jobs::{Room, Worker},
    sql,
    testing::Engine,
};
use projections::jobs::META;
use serde::Serialize;
use store::testing::TestDatabase;
use uuid::Uuid;

use crate::{
    append::metadata,
    bench::Bench,
    figure::{Figure, number},
    lives::grant,
};

const ACCOUNTS: u32 = 1_000_000;
/// So many accounts' events are appended at once.
const AT_ONCE: u32 = 10_000;
/// How far commands and claims are apart that others make.
const APART: Duration = Duration::from_millis(20);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let database = TestDatabase::new(engine).await;
    let store = store::of(Database::open(database.url(), Options::default()).await?);
    let accounts = bench.size(ACCOUNTS);
    let mut some = Vec::new();
    for _ in 0..accounts / AT_ONCE {
        some = append(&store, AT_ONCE).await?;
    }
    sql("ANALYZE").execute(store.database()).await?;
    let registry = projections::registry(Schedule::default());
    let events = number(f64::from(3 * accounts));
    let catch_up = registry.catch_up(&store, projections::ACCOUNT_STATUS);
    let (_, waited) = beside(&store, &some, async { catch_up.await.map_err(Into::into) }).await?;
    let name =
        format!("a catch-up of account_status, {events} events: how long a command or a claim took meanwhile, p99");
    bench.figure(Figure::alone(name, ms(percentile(&waited, 99)), "ms", "≤ 100"));
    registry.catch_up(&store, projections::WORK).await?;
    let rebuild = registry.rebuild(&store, projections::WORK, &|_, _| ());
    let (took, waited) = beside(&store, &some, async { rebuild.await.map_err(Into::into) }).await?;
    let name = format!("a rebuild of the jobs of {} accounts", number(f64::from(accounts)));
    bench.figure(Figure::alone(name.clone(), took.as_secs_f64(), "s", "≤ 60"));
    let name = format!("{name}: the longest that a command or a claim took meanwhile");
    bench.figure(Figure::alone(name, percentile(&waited, 100).as_secs_f64(), "s", "≤ 1"));
    Ok(())
}

/// Work, and what others do meanwhile: how long it took, and how long each command and claim of theirs, the shortest first.
async fn beside(
    store: &Store,
    accounts: &[AccountId],
    work: impl Future<Output = Result<()>>,
) -> Result<(Duration, Vec<Duration>)> {
    let (begun, is_over) = (Instant::now(), AtomicBool::new(false));
    let work = async {
        let done = work.await;
        is_over.store(true, Ordering::Relaxed);
        done.map(|()| begun.elapsed())
    };
    let (took, waited) = tokio::join!(work, others(store, accounts, &is_over));
    let mut waited = waited?;
    waited.sort_unstable();
    Ok((took?, waited))
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Commands and claims of others, for one of these accounts after another: how long each took.
async fn others(store: &Store, accounts: &[AccountId], is_over: &AtomicBool) -> Result<Vec<Duration>> {
    let worker = Worker::new(store.database(), "bench".to_owned());
    let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default();
    let mut all = Vec::new();
    for account in accounts.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        let widget = WidgetId::new(Uuid::now_v7());
        let mut unit = store.unit(metadata());
        let add = AccountCommand::AddWidget { widget, plan: Plan::Free, by: Authority::Staff };
        unit.execute::<Account>(*account, add).await?;
        unit.commit().await?;
        all.push(begun.elapsed());
        let begun = Instant::now();
        worker.claim(META, now, Room { all: 1, normal: 1 }).await?;
        all.push(begun.elapsed());
        tokio::time::sleep(APART).await;
    }
    Ok(all)
}

/// Appends the first events of so many accounts; their ids.
async fn append(store: &Store, accounts: u32) -> Result<Vec<AccountId>> {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default();
    let ids: Vec<_> = (0..accounts).map(|_| AccountId::new(Uuid::now_v7())).collect();
    let mut rows = Rows::default();
    for id in &ids {
        rows.push("account", *id, 1, &AccountEvent::Connected { connection: Connection::Consumer })?;
        rows.push("token", *id, 1, &TokenEvent::Issued { generation: 1, grant: grant(at) })?;
        let widget = WidgetId::new(Uuid::now_v7());
        rows.push("account", *id, 2, &AccountEvent::WidgetAdded { widget, plan: Plan::Upgraded })?;
    }
    rows.append(store, at).await?;
    Ok(ids)
}

#[derive(Default)]
struct Rows {
    streams: Vec<(&'static str, String, i64)>,
    types: Vec<String>,
    payloads: Vec<String>,
}

impl Rows {
    fn push<E: DomainEvent + Serialize>(
        &mut self,
        aggregate: &'static str,
        id: AccountId,
        sequence: i64,
        event: &E,
    ) -> Result<()> {
        self.streams.push((aggregate, id.to_string(), sequence));
        self.types.push(event.event_type());
        self.payloads.push(serde_json::to_string(event)?);
        Ok(())
    }

    async fn append(&self, store: &Store, at: DateTime<Utc>) -> Result<()> {
        let rows = Bulk::new()
            .text("aggregate_type", self.streams.iter().map(|(aggregate, ..)| *aggregate))
            .text("aggregate_id", self.streams.iter().map(|(_, id, _)| id.as_str()))
            .int("sequence", self.streams.iter().map(|(.., sequence)| *sequence))
            .text("event_type", self.types.iter().map(String::as_str))
            .text("event_version", self.types.iter().map(|_| "1"))
            .json("payload", self.payloads.iter().map(String::as_str))
            .json("metadata", self.payloads.iter().map(|_| "{}"))
            .time("at", self.payloads.iter().map(|_| at));
        let names = rows.names();
        let mut tx = store.database().begin().await?;
        rows.execute(&mut tx, |rows| format!("INSERT INTO events ({names}) {rows}")).await?;
        Ok(tx.commit().await?)
    }
}
