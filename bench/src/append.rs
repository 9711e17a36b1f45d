//! Commands a second, durable, on both engines: ours beside cqrs-es' own stores with the same aggregate, and beside bare
//! statements. Ten commands an aggregate, each loaded, decided and appended.

use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use chrono::DateTime;
use cqrs_es::{
    CqrsFramework,
    persist::{PersistedEventRepository, PersistedEventStore},
};
use domain::{
    Account, AccountCommand, AccountId, Actor, Authority, Connection, Metadata, UserId, WidgetId, account::Plan,
};
use postgres_es::PostgresEventRepository;
use serde::Deserialize;
use sqlite_es::SqliteEventRepository;
use store::{
    Database, Decision, ExecuteError, Options, Store, StoreError, Unit,
    sqlx::{
        self, PgPool, SqlitePool,
        postgres::PgPoolOptions,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
    testing::{Engine, TestDatabase},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    figure::{Figure, median},
    peers::Peers,
};

const CLIENTS: usize = 64;
const PER_AGGREGATE: u32 = 10;
const LASTS: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

pub(crate) async fn measure(peers: Option<&Peers>) -> Result<Vec<Figure>> {
    let mut figures = postgres(peers).await?;
    figures.extend(sqlite().await?);
    Ok(figures)
}

async fn postgres(peers: Option<&Peers>) -> Result<Vec<Figure>> {
    let ours: Measured = Arc::new(Ours::open(Engine::Postgres).await);
    let theirs = TestDatabase::empty(Engine::Postgres).await;
    // Its documented default pool has 10 connections and asks each before use; the best that we found has more and doesn't.
    let usual = postgres_es::default_postgress_pool(theirs.url()).await;
    let best = PgPoolOptions::new().max_connections(32).test_before_acquire(false).connect(theirs.url()).await?;
    sqlx::raw_sql(
        "CREATE TABLE events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, \
         sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, event_version text NOT NULL, \
         payload json NOT NULL, metadata json NOT NULL, timestamp timestamptz DEFAULT CURRENT_TIMESTAMP, \
         PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
    )
    .execute(&best)
    .await?;
    let stock = |pool: &PgPool| -> Measured { Arc::new(Stock::new(PostgresEventRepository::new(pool.clone()))) };
    let (usual, stock, bare): (_, _, Measured) = (stock(&usual), stock(&best), Arc::new(Bare(best)));
    let many = rounds(CLIENTS, &[&ours, &usual, &stock, &bare]).await?;
    let one = rounds(1, &[&ours, &usual, &stock]).await?;
    let name = "PostgreSQL, 64 clients: commands";
    let mut figures = vec![
        Figure::alone(format!("{name}, beside stock"), many[0].rate, "1/s", "ratio ≥ 5").beside(many[1].rate),
        Figure::alone(format!("{name}, beside stock at its best"), many[0].rate, "1/s", "").beside(many[2].rate),
        Figure::alone(format!("{name}, beside SELECT + INSERT"), many[0].rate, "1/s", "ratio ≥ 2.5")
            .beside(many[3].rate),
        Figure::alone("PostgreSQL, 64 clients: p99 latency, beside stock at its best", many[0].p99, "ms", "")
            .beside(many[2].p99),
        Figure::alone("PostgreSQL, 1 client: median latency, beside stock", one[0].median, "ms", "ratio ≤ 0.6")
            .beside(one[1].median),
        Figure::alone("PostgreSQL, 1 client: the same, beside stock at its best", one[0].median, "ms", "")
            .beside(one[2].median),
    ];
    if let Some(peers) = peers {
        figures.extend(beside_event_stores(peers, &many[0], &one[0]).await?);
    }
    Ok(figures)
}

/// Event stores of others, which append at an expected version too. They neither load nor decide; ours did.
async fn beside_event_stores(peers: &Peers, many: &Reached, one: &Reached) -> Result<Vec<Figure>> {
    #[derive(Deserialize)]
    struct Append {
        rate: f64,
        median_ms: f64,
    }
    let message_db = peers.message_db().await?;
    let emmett = TestDatabase::empty(Engine::Postgres).await;
    let mut figures = Vec::new();
    for (store, url) in [("message-db", message_db.as_str()), ("emmett", emmett.url())] {
        for settings in ["default", "best"] {
            let beside: Append = peers.run("append.mjs", &[url, "3", "64", store, settings]).await?;
            let name = format!("PostgreSQL, 64 clients: appends, beside {store} ({settings})");
            figures.push(Figure::alone(name, many.rate, "1/s", "ahead").beside(beside.rate));
        }
        let beside: Append = peers.run("append.mjs", &[url, "3", "1", store, "best"]).await?;
        let name = format!("PostgreSQL, 1 client: median latency, beside {store}");
        figures.push(Figure::alone(name, one.median, "ms", "").beside(beside.median_ms));
    }
    Ok(figures)
}

pub(crate) async fn sqlite() -> Result<Vec<Figure>> {
    let ours: Measured = Arc::new(Ours::open(Engine::Sqlite).await);
    let theirs = TestDatabase::empty(Engine::Sqlite).await;
    // As its documented default, but as durable as ours; and with one connection, which spares it rivals for the lock.
    let connect = SqliteConnectOptions::from_str(theirs.url())?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30))
        .foreign_keys(true);
    let usual = SqlitePoolOptions::new().max_connections(10).connect_with(connect.clone()).await?;
    let best = SqlitePoolOptions::new().max_connections(1).connect_with(connect).await?;
    sqlx::raw_sql(
        "CREATE TABLE events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, \
         sequence integer CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, event_version text NOT NULL, \
         payload text NOT NULL, metadata text NOT NULL, PRIMARY KEY (aggregate_type, aggregate_id, sequence)) STRICT",
    )
    .execute(&best)
    .await?;
    let stock = |pool: &SqlitePool| -> Measured { Arc::new(Stock::new(SqliteEventRepository::new(pool.clone()))) };
    let insert: Measured = Arc::new(OneInsert(best.clone()));
    let (usual, best) = (stock(&usual), stock(&best));
    let many = rounds(CLIENTS, &[&ours, &usual, &best]).await?;
    let one = rounds(1, &[&ours, &usual, &insert]).await?;
    let name = "SQLite FULL, 64 clients: commands";
    Ok(vec![
        Figure::alone(format!("{name}, beside stock"), many[0].rate, "1/s", "ratio ≥ 5").beside(many[1].rate),
        Figure::alone(format!("{name}, beside stock at its best"), many[0].rate, "1/s", "").beside(many[2].rate),
        Figure::alone("SQLite FULL, 1 client: median latency, beside stock", one[0].median, "ms", "ratio ≤ 0.6")
            .beside(one[1].median),
        Figure::alone("SQLite FULL, 1 client: one INSERT and no more, beside stock", one[2].median, "ms", "the least")
            .beside(one[1].median),
    ])
}

type Measured = Arc<dyn Commands>;

/// Something that carries out commands.
trait Commands: Send + Sync {
    fn command(&self, id: AccountId, number: u32) -> futures::future::BoxFuture<'_, Result<()>>;
}

/// The first command connects an account, the others add widgets.
fn command(number: u32) -> AccountCommand {
    match number {
        0 => AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(Uuid::now_v7()) },
        _ => {
            AccountCommand::AddWidget { widget: WidgetId::new(Uuid::now_v7()), plan: Plan::Free, by: Authority::Staff }
        }
    }
}

fn metadata() -> Metadata {
    Metadata {
        at: DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default(),
        actor: Actor::Visitor,
        correlation: "01a20f1c-b02f-7330-9487-e2c072c6a6f2".to_owned(),
        causation: None,
        request: None,
        program: "bench",
    }
}

struct Ours {
    store: Store,
    _database: TestDatabase,
}

impl Ours {
    async fn open(engine: Engine) -> Self {
        let database = TestDatabase::new(engine).await;
        let opened = Database::open(database.url(), Options::default()).await.expect("opens");
        opened.migrate().await.expect("migrates");
        Self { store: Store::new(opened), _database: database }
    }
}

struct Give(AccountId, AccountCommand);

impl Decision for Give {
    type Output = ();
    type Error = StoreError;

    async fn decide(&self, unit: &mut Unit) -> Result<(), StoreError> {
        match unit.execute::<Account>(self.0, self.1.clone()).await {
            Ok(()) => Ok(()),
            Err(ExecuteError::Store(error)) => Err(error),
            Err(ExecuteError::Rule(rule)) => Err(StoreError::Unreadable(rule.to_string())),
        }
    }
}

impl Commands for Ours {
    fn command(&self, id: AccountId, number: u32) -> futures::future::BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.store.run(&metadata(), &Give(id, command(number))).await?;
            Ok(())
        })
    }
}

/// cqrs-es' own way.
struct Stock<R: PersistedEventRepository>(CqrsFramework<Account, PersistedEventStore<R, Account>>);

impl<R: PersistedEventRepository> Stock<R> {
    fn new(repository: R) -> Self {
        Self(CqrsFramework::new(PersistedEventStore::new_event_store(repository), vec![], ()))
    }
}

impl<R: PersistedEventRepository + 'static> Commands for Stock<R> {
    fn command(&self, id: AccountId, number: u32) -> futures::future::BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let metadata: HashMap<_, _> = metadata().to_map();
            Ok(self.0.execute_with_metadata(&id.to_string(), command(number), metadata).await?)
        })
    }
}

/// What a command can't do without: read the stream, append to it.
struct Bare(PgPool);

impl Commands for Bare {
    fn command(&self, id: AccountId, number: u32) -> futures::future::BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let id = format!("bare-{id}");
            let sql = "SELECT sequence, payload::text, metadata::text FROM events \
                       WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence";
            let _: Vec<(i64, String, String)> =
                sqlx::query_as(sql).bind("account").bind(&id).fetch_all(&self.0).await?;
            let sql = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                       metadata) VALUES ($1, $2, $3, $4, $5, $6::text::json, $7::text::json)";
            let payload = r#"{"WidgetAdded":{"widget":"01a20f1c-b02f-7330-9487-e2c072c6a6f2","plan":"free"}}"#;
            sqlx::query(sql)
                .bind("account")
                .bind(&id)
                .bind(i64::from(number) + 1)
                .bind("WidgetAdded")
                .bind("1")
                .bind(payload)
                .bind(serde_json::to_string(&metadata().to_map())?)
                .execute(&self.0)
                .await?;
            Ok(())
        })
    }
}

/// What a durable append can't do without on SQLite: one row, one fsync. Nothing is loaded, nothing decided.
struct OneInsert(SqlitePool);

impl Commands for OneInsert {
    fn command(&self, id: AccountId, number: u32) -> futures::future::BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let sql = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                       metadata) VALUES ('account', $1, $2, 'WidgetAdded', '1', $3, $4)";
            let payload = r#"{"WidgetAdded":{"widget":"01a20f1c-b02f-7330-9487-e2c072c6a6f2","plan":"free"}}"#;
            let metadata = serde_json::to_string(&metadata().to_map())?;
            let query = sqlx::query(sql).bind(format!("insert-{id}")).bind(i64::from(number) + 1);
            query.bind(payload).bind(metadata).execute(&self.0).await?;
            Ok(())
        })
    }
}

/// What a store reached.
#[derive(Default, Clone)]
struct Reached {
    rate: f64,
    median: f64,
    p99: f64,
}

/// Measures all in turns; the medians over the rounds.
async fn rounds(clients: usize, stores: &[&Measured]) -> Result<Vec<Reached>> {
    let mut reached = vec![Vec::new(); stores.len()];
    for _ in 0..ROUNDS {
        for (store, reached) in stores.iter().zip(&mut reached) {
            reached.push(run(clients, store).await?);
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

async fn run(clients: usize, store: &Measured) -> Result<Reached> {
    let begun = Instant::now();
    let client = |store: Measured| async move {
        let mut latencies = Vec::new();
        while begun.elapsed() < LASTS {
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
