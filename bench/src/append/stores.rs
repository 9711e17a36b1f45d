//! What carries out commands: Relight's store, cqrs-es' own stores with the same aggregate, and bare statements.

use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};

use anyhow::Result;
use chrono::DateTime;
use cqrs_es::{
    CqrsFramework,
    persist::{PersistedEventRepository, PersistedEventStore},
};
use domain::{Account, AccountCommand, AccountId, Actor, Authority, Connection, UserId, WidgetId, account::Plan};
use engine::{
    Database, Decision, ExecuteError, Options, Store, StoreError, Unit,
    sqlx::{
        self, PgPool, SqlitePool,
        postgres::PgPoolOptions,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
    testing::Engine,
};
use futures::future::BoxFuture;
use postgres_es::PostgresEventRepository;
use sqlite_es::SqliteEventRepository;
use store::{Metadata, testing::TestDatabase};
use uuid::Uuid;

/// What is measured on an engine.
pub(super) struct Stores {
    pub(super) ours: Measured,
    /// cqrs-es' store as its documentation opens it.
    pub(super) stock: Measured,
    /// The same with the settings that were fastest.
    pub(super) stock_best: Measured,
    /// Bare statements: on PostgreSQL a read and an insert, on SQLite one insert.
    pub(super) bare: Measured,
    /// Where the tables are, on PostgreSQL.
    pools: Vec<PgPool>,
}

impl Stores {
    pub(super) async fn open(engine: Engine) -> Result<Self> {
        let ours = Ours::open(engine).await;
        let theirs = TestDatabase::empty(engine).await;
        match ours.database().clone() {
            Database::Postgres(pool) => Self::postgres(Arc::new(ours), pool, theirs.url()).await,
            Database::Sqlite(_) => Self::sqlite(Arc::new(ours), theirs).await,
        }
    }

    /// Lets PostgreSQL know what is in the tables; SQLite's plans here don't depend on it.
    pub(super) async fn analyse(&self) -> Result<()> {
        for pool in &self.pools {
            sqlx::raw_sql("VACUUM ANALYZE events").execute(pool).await?;
        }
        Ok(())
    }

    async fn postgres(ours: Measured, pool: PgPool, url: &str) -> Result<Self> {
        // Its documented default pool has 10 connections and asks each before use; the best that we found has more and
        // doesn't.
        let usual = postgres_es::default_postgress_pool(url).await;
        let best = PgPoolOptions::new().max_connections(32).test_before_acquire(false).connect(url).await?;
        sqlx::raw_sql(
            "CREATE TABLE events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, \
             sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, event_version text NOT NULL, \
             payload json NOT NULL, metadata json NOT NULL, timestamp timestamptz DEFAULT CURRENT_TIMESTAMP, \
             PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
        )
        .execute(&best)
        .await?;
        let stock = |pool: &PgPool| -> Measured { Arc::new(Stock::new(PostgresEventRepository::new(pool.clone()))) };
        let (stock, stock_best, pools) = (stock(&usual), stock(&best), vec![pool, best.clone()]);
        Ok(Self { ours, stock, stock_best, bare: Arc::new(Bare(best)), pools })
    }

    async fn sqlite(ours: Measured, theirs: TestDatabase) -> Result<Self> {
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
        let bare = Arc::new(OneInsert { pool: best.clone(), _database: theirs });
        Ok(Self { ours, stock: stock(&usual), stock_best: stock(&best), bare, pools: Vec::new() })
    }
}

/// A store that is measured.
pub(crate) type Measured = Arc<dyn Commands>;

/// Something that carries out commands.
pub(crate) trait Commands: Send + Sync {
    fn command(&self, id: AccountId, number: u32) -> BoxFuture<'_, Result<()>>;
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

pub(crate) fn metadata() -> Metadata {
    Metadata {
        at: DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default(),
        actor: Actor::Visitor,
        correlation: "01a20f1c-b02f-7330-9487-e2c072c6a6f2".to_owned(),
        causation: None,
        request: None,
        program: "bench",
    }
}

/// Relight's own.
pub(crate) struct Ours {
    store: Store,
    _database: TestDatabase,
}

impl Ours {
    pub(crate) async fn open(engine: Engine) -> Self {
        let database = TestDatabase::new(engine).await;
        let opened = Database::open(database.url(), Options::default()).await.expect("opens");
        opened.migrate(&store::MIGRATIONS).await.expect("migrates");
        Self { store: store::of(opened), _database: database }
    }

    /// The database that it appends to.
    pub(crate) fn database(&self) -> &Database {
        self.store.database()
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
    fn command(&self, id: AccountId, number: u32) -> BoxFuture<'_, Result<()>> {
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
    fn command(&self, id: AccountId, number: u32) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let metadata: HashMap<_, _> =
                metadata().facts().into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
            Ok(self.0.execute_with_metadata(&id.to_string(), command(number), metadata).await?)
        })
    }
}

/// What a command can't do without: read the stream, append to it.
struct Bare(PgPool);

impl Commands for Bare {
    fn command(&self, id: AccountId, number: u32) -> BoxFuture<'_, Result<()>> {
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
                .bind(serde_json::to_string(&metadata().facts())?)
                .execute(&self.0)
                .await?;
            Ok(())
        })
    }
}

/// What a durable append can't do without on SQLite: one row, one fsync. Nothing is loaded, nothing decided.
struct OneInsert {
    pool: SqlitePool,
    _database: TestDatabase,
}

impl Commands for OneInsert {
    fn command(&self, id: AccountId, number: u32) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let sql = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                       metadata) VALUES ('account', $1, $2, 'WidgetAdded', '1', $3, $4)";
            let payload = r#"{"WidgetAdded":{"widget":"01a20f1c-b02f-7330-9487-e2c072c6a6f2","plan":"free"}}"#;
            let metadata = serde_json::to_string(&metadata().facts())?;
            let query = sqlx::query(sql).bind(format!("insert-{id}")).bind(i64::from(number) + 1);
            query.bind(payload).bind(metadata).execute(&self.pool).await?;
            Ok(())
        })
    }
}
