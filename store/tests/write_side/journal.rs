//! The journal: one order, no event skipped or read twice, whatever writers do; and it goes on after a dump or a copy.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chrono::DateTime;
use domain::{Account, AccountCommand, AccountId, Connection, UserId};
use engine::{Database, Options, Store, Tx, on_both_engines, sql, testing::Engine};
use store::testing::{self, TestDatabase};
use uuid::Uuid;

async fn connected(store: &Store) -> i64 {
    let mut unit = store.unit(testing::metadata(DateTime::from_timestamp(1_790_000_000, 0).expect("a time")));
    let user = UserId::new(Uuid::now_v7());
    let command = AccountCommand::Connect { connection: Connection::Consumer, user };
    unit.execute::<Account>(AccountId::new(Uuid::now_v7()), command).await.expect("decides");
    unit.commit().await.expect("commits").position.expect("a position")
}

/// Appends by hand, in a transaction that the test ends when it likes.
async fn append(tx: &mut Tx) {
    let at = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
    sql("INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
         at) VALUES ('account', $1, 1, 'Disconnected', '1', '\"Disconnected\"', '{}', $2)")
    .bind(Uuid::now_v7().to_string())
    .bind(at)
    .execute(&mut *tx)
    .await
    .expect("inserts");
}

async fn positions_after(store: &Store, position: i64) -> Vec<i64> {
    let events = store.events_after(position, 100_000).await.expect("reads");
    events.into_iter().map(|event| event.position).collect()
}

on_both_engines! {
    async fn sixteen_writers_on_two_nodes_and_a_reader_that_misses_nothing(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let nodes = [database.store().await, database.store().await];
        let writers: Vec<_> = (0..16)
            .map(|number: usize| {
                let store = nodes[number % 2].clone();
                tokio::spawn(async move {
                    for round in 0..20 {
                        connected(&store).await;
                        // Now and then somebody begins, writes, dawdles and gives up.
                        if (number + round).is_multiple_of(8) {
                            let mut tx = store.database().begin().await.expect("begins");
                            append(&mut tx).await;
                            tokio::task::yield_now().await;
                            drop(tx);
                        }
                    }
                })
            })
            .collect();
        let mut seen: Vec<i64> = Vec::new();
        let deadline = Instant::now() + Duration::from_mins(1);
        while seen.len() < 16 * 20 * 2 {
            seen.extend(positions_after(&nodes[1], seen.last().copied().unwrap_or(0)).await);
            assert!(Instant::now() < deadline, "{} events were seen", seen.len());
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.expect("no panic");
        }
        assert_eq!(seen, positions_after(&nodes[0], 0).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_transaction_holds_up_the_next_one_so_that_positions_appear_in_order() {
    for commits in [true, false] {
        let database = TestDatabase::new(Engine::Postgres).await;
        let store = database.store().await;
        let first = connected(&store).await;
        let mut slow = store.database().begin().await.expect("begins");
        append(&mut slow).await;
        let rival = tokio::spawn({
            let store = store.clone();
            async move { connected(&store).await }
        });
        // Until the rival waits for the order's lock.
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let Database::Postgres(pool) = store.database() else { unreachable!("asked for") };
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(pool).await.expect("locks") == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!rival.is_finished());
        assert_eq!(positions_after(&store, first).await, Vec::<i64>::new());
        if commits {
            slow.commit().await.expect("commits");
        } else {
            drop(slow);
        }
        let last = rival.await.expect("no panic");
        let seen = positions_after(&store, first).await;
        assert_eq!((seen.len(), seen.last()), (if commits { 3 } else { 2 }, Some(&last)));
        assert!(seen.is_sorted());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_on_is_a_plain_range_scan() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let store = database.store().await;
    futures::future::join_all((0..500).map(|_| connected(&store))).await;
    let Database::Postgres(pool) = store.database() else { unreachable!("asked for") };
    sqlx::query("ANALYZE events").execute(pool).await.expect("analyzed");
    let sql = "EXPLAIN SELECT position, payload FROM events WHERE position > 900 ORDER BY position LIMIT 100";
    let plan = sqlx::query_scalar::<_, String>(sql).fetch_all(pool).await.expect("a plan").join("\n");
    assert!(plan.contains("Index Scan using events_pkey") && !plan.contains("Sort"), "{plan}");
    let sql =
        "EXPLAIN SELECT position, payload FROM events WHERE position > 0 AND aggregate_id = 'x' ORDER BY position";
    let plan = sqlx::query_scalar::<_, String>(sql).fetch_all(pool).await.expect("a plan").join("\n");
    assert!(plan.contains("events_account") && !plan.contains("Sort"), "{plan}");
}

/// A client program of the newest PostgreSQL here.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_restored_elsewhere_goes_on_without_a_step_by_hand() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let store = database.store().await;
    for _ in 0..10 {
        connected(&store).await;
    }
    let before = store.events_after(0, 100).await.expect("reads");
    let dump = Command::new(program("pg_dump")).arg(database.url()).output().expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let elsewhere = TestDatabase::empty(Engine::Postgres).await;
    let mut psql = Command::new(program("psql"));
    psql.args(["-q", "-v", "ON_ERROR_STOP=1", elsewhere.url()]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut psql = psql.spawn().expect("psql runs");
    std::io::Write::write_all(&mut psql.stdin.take().expect("a pipe"), &dump.stdout).expect("written");
    assert!(psql.wait().expect("ends").success());
    goes_on(&elsewhere, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_file_goes_on_without_a_step_by_hand() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let store = database.store().await;
    for _ in 0..10 {
        connected(&store).await;
    }
    let before = store.events_after(0, 100).await.expect("reads");
    store.database().close().await;
    let elsewhere = TestDatabase::empty(Engine::Sqlite).await;
    let file = |database: &TestDatabase| database.url().trim_start_matches("sqlite://").to_owned();
    std::fs::copy(file(&database), file(&elsewhere)).expect("copied");
    goes_on(&elsewhere, &before).await;
}

/// The same journal is there, nobody can change it, and new events come after the old ones.
async fn goes_on(database: &TestDatabase, before: &[engine::Recorded]) {
    let opened = Database::open(database.url(), Options::default()).await.expect("opens");
    opened.migrate(&store::MIGRATIONS).await.expect("nothing to migrate");
    let store = store::of(opened);
    let after = store.events_after(0, 100).await.expect("reads");
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    let head = store.head().await.expect("a head");
    assert!(connected(&store).await > head);
    let mut tx = store.database().begin().await.expect("begins");
    assert!(sql("DELETE FROM events").execute(&mut tx).await.is_err(), "still append-only");
}
