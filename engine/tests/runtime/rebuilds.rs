//! Rebuilds of what is large, while others write and read.

use std::{collections::HashMap, sync::Mutex};

use chrono::{DateTime, Utc};
use engine::{
    Bulk, Decoded, Entry, EventSet, Head, MIGRATIONS, Projection, Registry, Store, StoreError, Target, Tx,
    jobs::{self, Priority, Scheduled},
    on_both_engines, sql,
    testing::{TestDatabase, until},
};
use tokio_util::sync::CancellationToken;

/// More than a rebuild takes over at once, twice.
const KEYS: usize = 12_000;

/// Whether a thing is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Due(bool);

impl EventSet for Due {
    fn decode(_: &Head<'_>, json: &str) -> Decoded<Self> {
        serde_json::from_str(json)
            .map_or_else(|error| Decoded::Broken(error.to_string()), |due| Decoded::Event(Self(due)))
    }
}

/// A job for each aggregate that is due, and a row that says so.
struct Todo;

#[derive(Default)]
struct Fold {
    /// With the position of the last event.
    due: HashMap<String, (bool, i64)>,
}

impl Projection for Todo {
    const NAME: &'static str = "todo";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["todo"];
    const JOBS: &'static [&'static str] = &["do"];
    type Event = Due;
    type Fold = Fold;

    fn forget(&self, _: &mut Fold, _: &str) {}

    fn apply(&self, fold: &mut Fold, entry: &Entry<Due>) {
        fold.due.insert(entry.aggregate_id.clone(), (entry.event.0, entry.position));
    }

    async fn save(&self, fold: Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        let table = target.table("todo");
        let rows = Bulk::new()
            .text("id", fold.due.keys().map(String::as_str))
            .bool("due", fold.due.values().map(|(due, _)| *due));
        let set = "ON CONFLICT (id) DO UPDATE SET due = excluded.due";
        rows.execute(&mut *tx, |rows| format!("INSERT INTO {table} (id, due) {rows} {set}")).await?;
        let over = fold.due.iter().filter(|(_, (due, _))| !due).map(|(key, _)| key.as_str());
        jobs::cancel(tx, target, Self::JOBS, over).await?;
        let job = |key, cause| Scheduled {
            queue: "all",
            kind: "do",
            key,
            priority: Priority::Normal,
            due_at: Some(at()),
            cause,
        };
        let due = fold.due.iter().filter(|(_, (due, _))| *due);
        let due: Vec<_> = due.map(|(key, (_, cause))| job(key.as_str(), *cause)).collect();
        Ok(jobs::set(tx, target, &due).await?)
    }
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

fn key(number: usize) -> String {
    format!("key-{number:05}")
}

async fn store(database: &TestDatabase) -> Store {
    let store = Store::new(database.open().await, Vec::new);
    for table in ["todo", "todo_rebuild"] {
        let columns = "id TEXT PRIMARY KEY, due BOOLEAN NOT NULL";
        sql(format!("CREATE TABLE IF NOT EXISTS {table} ({columns})")).execute(store.database()).await.expect("made");
    }
    store
}

/// Appends an event to each of these streams.
async fn append(store: &Store, keys: &[String], sequence: i64, due: impl Fn(usize) -> bool) {
    let payloads: Vec<_> = (0..keys.len()).map(|number| due(number).to_string()).collect();
    let rows = Bulk::new()
        .text("aggregate_type", keys.iter().map(|_| "thing"))
        .text("aggregate_id", keys.iter().map(String::as_str))
        .int("sequence", keys.iter().map(|_| sequence))
        .text("event_type", keys.iter().map(|_| "Due"))
        .text("event_version", keys.iter().map(|_| "1"))
        .json("payload", payloads.iter().map(String::as_str))
        .json("metadata", keys.iter().map(|_| "{}"))
        .time("at", keys.iter().map(|_| at()));
    let names = rows.names();
    let mut tx = store.database().begin().await.expect("begins");
    rows.execute(&mut tx, |rows| format!("INSERT INTO events ({names}) {rows}")).await.expect("appended");
    tx.commit().await.expect("commits");
}

/// The keys of all jobs with their causes.
async fn scheduled(store: &Store) -> Vec<(String, i64)> {
    sql("SELECT key, cause FROM jobs WHERE kind = 'do' ORDER BY key").fetch_all(store.database()).await.expect("read")
}

/// How many rows and jobs stand beside.
async fn beside(store: &Store) -> i64 {
    let count = "SELECT (SELECT count(*) FROM todo_rebuild) + (SELECT count(*) FROM jobs_rebuild)";
    sql(count).scalar(store.database()).await.expect("counted")
}

/// What the journal says is due.
async fn due(store: &Store) -> Vec<(String, i64)> {
    let last = "SELECT e.aggregate_id, e.position FROM events e WHERE e.sequence = \
        (SELECT max(sequence) FROM events l WHERE l.aggregate_type = e.aggregate_type AND l.aggregate_id = e.aggregate_id)";
    let is_due = match store.database() {
        engine::Database::Sqlite(_) => "e.payload = 'true'",
        engine::Database::Postgres(_) => "e.payload::text = 'true'",
    };
    let select = format!("{last} AND {is_due} ORDER BY e.aggregate_id");
    sql(select).fetch_all(store.database()).await.expect("read")
}

on_both_engines! {
    async fn jobs_are_taken_over_range_by_range_while_events_come(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let keys: Vec<_> = (0..KEYS).map(key).collect();
        append(&store, &keys, 1, |number| number % 3 != 0).await;
        let registry = Registry::new().view(Todo);
        registry.catch_up(&store, "todo").await.expect("catches up");
        assert_eq!(scheduled(&store).await, due(&store).await);
        // What should not be there, and what should.
        sql("DELETE FROM jobs WHERE key < 'key-00100'").execute(store.database()).await.expect("deleted");
        sql("UPDATE jobs SET cause = 0, due_at = NULL WHERE key > 'key-11900'").execute(store.database()).await.expect("updated");
        let stray = jobs::add("all", "do", "key-06000", at());
        stray.execute(store.database()).await.expect("added");
        // Both before and behind where it is, others go on, more of them than it takes at once.
        let writing = async {
            for sequence in 2..6 {
                append(&store, &keys[..7_000], sequence, |number| (number + usize::try_from(sequence).expect("small")) % 2 == 0).await;
                registry.catch_up(&store, "todo").await.expect("follows");
            }
        };
        let seen = Mutex::new(0);
        let progress = |reached, _| *seen.lock().expect("not poisoned") = reached;
        let (rebuilt, ()) = tokio::join!(registry.rebuild(&store, "todo", &progress), writing);
        rebuilt.expect("rebuilt");
        registry.catch_up(&store, "todo").await.expect("follows");
        assert_eq!(scheduled(&store).await, due(&store).await);
        assert!(*seen.lock().expect("not poisoned") >= i64::try_from(KEYS).expect("small"));
    }

    async fn what_a_rebuild_leaves_beside_is_removed_also_by_the_next_start(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let keys: Vec<_> = (0..KEYS).map(key).collect();
        append(&store, &keys, 1, |_| true).await;
        let registry = Registry::new().view(Todo);
        registry.catch_up(&store, "todo").await.expect("catches up");
        registry.rebuild(&store, "todo", &|_, _| ()).await.expect("rebuilt");
        assert_eq!(beside(&store).await, 0);
        // As a program leaves it that is stopped right after the swap, while another projection is rebuilt.
        for sql in [
            "INSERT INTO checkpoints (name, version) VALUES ('other_rebuild', 1)",
            "INSERT INTO todo_rebuild SELECT * FROM todo",
            "INSERT INTO jobs_rebuild SELECT * FROM jobs",
            "UPDATE jobs_rebuild SET kind = 'other' WHERE key = 'key-00007'",
        ] {
            engine::sql(sql).execute(store.database()).await.expect("left");
        }
        let started = async |left: i64| {
            let stop = CancellationToken::new();
            let running = registry.run(&store, &stop);
            until("nothing left beside", async || beside(&store).await == left).await;
            stop.cancel();
            running.stopped().await;
        };
        started(1).await;
        sql("DELETE FROM checkpoints WHERE name = 'other_rebuild'").execute(store.database()).await.expect("deleted");
        sql("UPDATE jobs_rebuild SET kind = 'do'").execute(store.database()).await.expect("updated");
        started(0).await;
        assert_eq!(scheduled(&store).await, due(&store).await);
    }

    async fn whoever_reads_long_holds_up_nobody_but_the_rebuild(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let (store, other) = (store(&database).await, store(&database).await);
        append(&store, &[key(1)], 1, |_| true).await;
        let registry = Registry::new().view(Todo);
        registry.catch_up(&store, "todo").await.expect("catches up");
        // One engine: a reader of SQLite keeps nobody from renaming a table.
        let engine::Database::Postgres(pool) = other.database() else { return };
        let mut reader = pool.begin().await.expect("begins");
        engine::sqlx::query("SELECT * FROM todo").execute(&mut *reader).await.expect("reads");
        let others = async {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%'";
            for _ in 0..2 {
                until("the rebuild waits", async || {
                    let waiting: i64 = sql(waits).scalar(other.database()).await.expect("answers");
                    waiting > 0
                })
                .await;
                // Behind it in the line for the table.
                let read: i64 = sql("SELECT count(*) FROM todo").scalar(store.database()).await.expect("reads");
                assert_eq!(read, 1);
            }
            reader.commit().await.expect("ends");
        };
        let (rebuilt, ()) = tokio::join!(registry.rebuild(&store, "todo", &|_, _| ()), others);
        rebuilt.expect("rebuilt once the reader is gone");
        until("it follows", async || registry.catch_up(&store, "todo").await.is_ok()).await;
        assert_eq!(scheduled(&store).await, due(&store).await);
    }
}
