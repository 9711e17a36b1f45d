//! The read side: how fast a projection catches up with a long journal, how soon a commit is in the view, how long an
//! account's history takes. On PostgreSQL, each beside what the bare statements take on the same rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountEvent, AccountId, AttemptId, Authority, Connection, Evidence, Reason, Token,
    TokenCommand, TokenEvent, TokenId, UserId, WidgetId,
    account::Plan,
    failure::Call,
    token::{Grant, Way},
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::{Followers, catch_up, story};
use serde_json::Value;
use store::{
    Database, Filter, Options, Store,
    sqlx::{self, PgPool},
    testing::{Engine, TestDatabase, metadata},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::figure::{Figure, median};

/// How many events an account has in its life.
const LIFE: u32 = 50;
const ROUNDS: usize = 3;
const COMMANDS: u32 = 5_000;

type Scanned = (i64, String, String, String, String, String, DateTime<Utc>);
type Selected = (i64, String, String, i64, String, String, String, Value, DateTime<Utc>, DateTime<Utc>);

pub(crate) async fn measure(events: u32) -> Result<Vec<Figure>> {
    let database = TestDatabase::new(Engine::Postgres).await;
    let opened = Database::open(database.url(), Options::default()).await?;
    opened.migrate().await?;
    let store = Store::new(opened);
    let Database::Postgres(pool) = store.database().clone() else { unreachable!("PostgreSQL was asked for") };
    let accounts: Vec<_> = (0..events / LIFE).map(|_| AccountId::new(Uuid::now_v7())).collect();
    live(&store, &accounts).await?;
    sqlx::query("VACUUM ANALYZE events").execute(&pool).await?;
    let mut figures = caught_up(&store, &pool).await?;
    figures.push(visible(&store).await?);
    figures.push(history(&store, &pool).await?);
    Ok(figures)
}

/// All accounts live side by side: in each round each of them has ten events.
async fn live(store: &Store, accounts: &[AccountId]) -> Result<()> {
    let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default();
    for round in 0..LIFE / 10 {
        let at = start + TimeDelta::days(60 * i64::from(round));
        let lives = stream::iter(accounts).map(|id| ten_events(store, *id, round == 0, at));
        lives.buffer_unordered(128).try_collect::<Vec<()>>().await?;
    }
    Ok(())
}

async fn ten_events(store: &Store, id: AccountId, first: bool, at: DateTime<Utc>) -> Result<()> {
    let mut unit = store.unit(metadata(at));
    let mut logins = 5;
    if first {
        let user = UserId::new(Uuid::now_v7());
        let command = AccountCommand::Connect { connection: Connection::Consumer, user };
        unit.execute::<Account>(id, command).await?;
        for plan in [Plan::Free, Plan::Upgraded] {
            let widget = WidgetId::new(Uuid::now_v7());
            let command = AccountCommand::AddWidget { widget, plan, by: Authority::Staff };
            unit.execute::<Account>(id, command).await?;
        }
        logins = 3;
    }
    let mut current = unit.load::<Token>(id).await?.current().map(|current| current.id);
    for _ in 0..logins {
        let token = TokenId::new(Uuid::now_v7());
        let grant = Grant {
            token,
            attempt: AttemptId::new(Uuid::now_v7()),
            connection: Connection::Consumer,
            way: Way::Account,
            granted_at: at,
            expires_at: Some(at + TimeDelta::days(60)),
            data_access: None,
            permissions: vec!["instagram_business_basic".to_owned()],
        };
        unit.execute::<Token>(id, TokenCommand::Accept { grant, instead_of: current.replace(token) }).await?;
        let evidence =
            Evidence { call: Call::Pull, at, code: Some(190), subcode: Some(460), trace: None, permission: None };
        let report = TokenCommand::ReportFailure { token, reason: Reason::PasswordChanged, evidence };
        unit.execute::<Token>(id, report).await?;
    }
    unit.commit().await?;
    Ok(())
}

async fn caught_up(store: &Store, pool: &PgPool) -> Result<Vec<Figure>> {
    let events = f64::from(u32::try_from(store.head().await?)?);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        scan(pool).await?;
        bare.push(events / begun.elapsed().as_secs_f64());
        sqlx::raw_sql("TRUNCATE account_status_v1, account_rights_v1, widgets_v1, account_counts_v1, checkpoints")
            .execute(pool)
            .await?;
        let begun = Instant::now();
        catch_up(store, &Arc::default(), "account_status").await?;
        ours.push(events / begun.elapsed().as_secs_f64());
    }
    catch_up(store, &Arc::default(), "work").await?;
    let name = format!("PostgreSQL: catch-up of account_status, {events} events, beside a typed scan");
    Ok(vec![Figure::alone(name, median(ours), "1/s", "ratio ≥ 0.25").beside(median(bare))])
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
async fn visible(store: &Store) -> Result<Figure> {
    let stop = CancellationToken::new();
    let followers = Followers::start(store, &Arc::default(), &stop);
    let mut every = tokio::time::interval(Duration::from_millis(1));
    let store = Arc::new(store.clone());
    let mut commands = Vec::new();
    for _ in 0..COMMANDS {
        every.tick().await;
        let (store, mut shown) = (store.clone(), followers.status_position());
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
    delays.sort_by(f64::total_cmp);
    let p99 = delays.get(delays.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    Ok(Figure::alone("PostgreSQL: commit → visible in the view at 1,000 commands/s, p99", p99, "ms", "≤ 25"))
}

/// An account with 1,000 events: its history as the API gives it, beside the bare select and decode.
async fn history(store: &Store, pool: &PgPool) -> Result<Figure> {
    let id = AccountId::new(Uuid::now_v7());
    for round in 0..100 {
        ten_events(store, id, round == 0, DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default()).await?;
    }
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let begun = Instant::now();
        let filter = Filter { account: Some(id), ..Filter::default() };
        std::hint::black_box(story::tell(store.events(&filter, 2_000).await?)?);
        ours.push(1.0 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let sql = "SELECT position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
                   payload::text, metadata, at, recorded_at FROM events WHERE aggregate_id = $1 ORDER BY position";
        let rows: Vec<Selected> = sqlx::query_as(sql).bind(id.to_string()).fetch_all(pool).await?;
        for row in &rows {
            match row.1.as_str() {
                "account" => drop(std::hint::black_box(serde_json::from_str::<AccountEvent>(&row.6)?)),
                _ => drop(std::hint::black_box(serde_json::from_str::<TokenEvent>(&row.6)?)),
            }
        }
        std::hint::black_box(rows);
        bare.push(1.0 / begun.elapsed().as_secs_f64());
    }
    let name = "PostgreSQL: history of 1,000 events, told, beside select and decode";
    Ok(Figure::alone(name, median(ours), "1/s", "ratio ≥ 0.8").beside(median(bare)))
}
