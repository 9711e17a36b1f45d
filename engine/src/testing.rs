//! Databases for tests: one of its own for each, on either engine, gone when the test is over.
//!
//! PostgreSQL comes from `ENGINE_TEST_POSTGRES_URL`, which `./check` sets; without it the first test that asks starts
//! a private server from the installed binaries, and it ends with the process.

mod wait;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{Database, Migrations, Options};

pub use wait::{fault_after, found, until};

/// An engine to test on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, in a file of its own.
    Sqlite,
    /// PostgreSQL, in a database of its own.
    Postgres,
}

/// Makes of each function, which takes an [`Engine`], two tests: one on each engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($engine:ident: Engine) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn run($engine: $crate::testing::Engine) $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::testing::Engine::Sqlite).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::testing::Engine::Postgres).await;
            }
        }
    )*};
}

/// A migrated database that exists for one test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    migrations: &'static Migrations,
    _folder: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// Makes one.
    ///
    /// # Panics
    /// When the machine can't: without it no test makes sense.
    pub async fn new(engine: Engine, migrations: &'static Migrations) -> Self {
        match engine {
            Engine::Sqlite => {
                let empty = Self::empty(engine, migrations).await;
                empty.open().await.close().await;
                empty
            }
            Engine::Postgres => Self { url: from_template(migrations).await, migrations, _folder: None },
        }
    }

    /// Makes one without a schema, for others to be measured on.
    ///
    /// # Panics
    /// When the machine can't.
    pub async fn empty(engine: Engine, migrations: &'static Migrations) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let url = format!("sqlite://{}", folder.path().join("test.db").display());
                Self { url, migrations, _folder: Some(folder) }
            }
            Engine::Postgres => {
                let server = postgres_url();
                let name = format!("test_{}", Uuid::now_v7().simple());
                let mut admin = PgConnection::connect(server).await.expect("PostgreSQL answers");
                run(&mut admin, &format!("CREATE DATABASE {name}")).await;
                Self { url: database_url(server, &name), migrations, _folder: None }
            }
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens it once more, as another node would, and migrates it.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn open(&self) -> Database {
        // Patient: the machine may be busy with other tests.
        let connections = connections(4);
        let options = Options { connections, acquire_timeout: Duration::from_mins(1), ..Options::default() };
        let database = Database::open(&self.url, options).await.expect("the database opens");
        database.migrate(self.migrations).await.expect("the migrations run");
        database
    }
}

/// How many connections a test's database has: `usual`, or what `ENGINE_TEST_CONNECTIONS` says. With one, whatever waits for a
/// second while it holds the first waits for ever.
///
/// # Panics
/// When the variable isn't a number.
pub fn connections(usual: u32) -> u32 {
    std::env::var("ENGINE_TEST_CONNECTIONS").map_or(usual, |set| set.parse().expect("a number of connections"))
}

/// A table's rows as texts, in an order.
///
/// # Panics
/// When the database fails.
pub async fn rows(database: &Database, table: &str, order: &str) -> Vec<String> {
    match database {
        Database::Postgres(pool) => {
            let sql = format!("SELECT t::text FROM {table} t ORDER BY {order}");
            sqlx::query_scalar(&sql).fetch_all(pool).await.expect("rows")
        }
        Database::Sqlite(pools) => {
            let sql = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns: Vec<String> = sqlx::query_scalar(&sql).fetch_all(&pools.read).await.expect("columns");
            let row = columns.iter().map(|name| format!("coalesce(CAST({name} AS TEXT), '-')")).collect::<Vec<_>>();
            let sql = format!("SELECT {} FROM {table} ORDER BY {order}", row.join(" || ' ' || "));
            sqlx::query_scalar(&sql).fetch_all(&pools.read).await.expect("rows")
        }
    }
}

/// A new database, copied from one that is already migrated.
async fn from_template(migrations: &Migrations) -> String {
    let server = postgres_url();
    let template = format!("template_{}", migrations.fingerprint());
    let name = format!("test_{}", Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(server).await.expect("PostgreSQL answers");
    // One at a time over all test programs: a template can't be copied while somebody is connected to it.
    run(&mut admin, "SELECT pg_advisory_lock(1)").await;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&template)
        .fetch_one(&mut admin)
        .await
        .expect("the list of databases");
    if !exists {
        let unfinished = format!("{template}_unfinished");
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {unfinished}")).await;
        run(&mut admin, &format!("CREATE DATABASE {unfinished}")).await;
        let database = Database::open(&database_url(server, &unfinished), Options::default()).await.expect("opens");
        database.migrate(migrations).await.expect("the migrations run");
        database.close().await;
        // A connection that was closed here may still be ending there.
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{unfinished}'");
        run(&mut admin, &end).await;
        run(&mut admin, &format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await;
    }
    run(&mut admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    admin.close().await.expect("closed");
    database_url(server, &name)
}

async fn run(admin: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sql).execute(admin).await.expect("the server does as told");
}

fn database_url(server: &str, name: &str) -> String {
    let (start, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{start}/{name}")
}

static POSTGRES_URL: OnceLock<String> = OnceLock::new();

fn postgres_url() -> &'static str {
    let start = || start_postgres(&["-c", "fsync=off"]);
    POSTGRES_URL.get_or_init(|| std::env::var("ENGINE_TEST_POSTGRES_URL").unwrap_or_else(|_| start()))
}

/// Starts a private server and takes all later databases from it. For benches: tests don't ask the disk.
///
/// # Panics
/// When it can't be started, or a database was taken already.
pub fn use_durable_postgres() {
    POSTGRES_URL.set(start_postgres(&[])).expect("no database was taken yet");
}

/// Starts a private server, which is passed these arguments; its URL. It ends when this process does: the pipe to it is left
/// open until then.
///
/// # Panics
/// When it can't be started.
pub fn start_postgres(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/private-postgres");
    let mut child = Command::new(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("private-postgres starts");
    let mut url = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut url).expect("its URL");
    assert!(url.starts_with("postgres://"), "PostgreSQL did not start");
    std::mem::forget(child);
    url.trim().to_owned()
}
