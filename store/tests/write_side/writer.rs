//! SQLite's one connection that writes: whatever breaks off, the next one finds it well.

use std::time::Duration;

use engine::{Database, Options, sql, sqlx, testing::Engine};
use store::testing::TestDatabase;

const KEEP: &str = "INSERT INTO checkpoints (name, version, position) VALUES ($1, 1, 0)";

async fn opened() -> (TestDatabase, Database) {
    let test = TestDatabase::new(Engine::Sqlite).await;
    let database = Database::open(test.url(), Options::default()).await.expect("opens");
    database.migrate(&store::MIGRATIONS).await.expect("migrates");
    (test, database)
}

async fn keep(database: &Database) {
    let mut tx = database.begin().await.expect("begins");
    sql(KEEP).bind("kept").execute(&mut tx).await.expect("writes");
    tx.commit().await.expect("commits");
}

async fn kept(database: &Database) -> i64 {
    sql("SELECT count(*) FROM checkpoints").scalar(database).await.expect("counts")
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_before_the_next() {
    let (_test, database) = opened().await;
    let before = kept(&database).await;
    for _ in 0..20 {
        let mut tx = database.begin().await.expect("begins");
        sql(KEEP).bind("dropped").execute(&mut tx).await.expect("writes");
    }
    keep(&database).await;
    assert_eq!(kept(&database).await, before + 1);
}

#[tokio::test]
async fn a_begin_that_was_cancelled_leaves_nothing_open() {
    let (_test, database) = opened().await;
    for micros in 0..200 {
        let _ = tokio::time::timeout(Duration::from_micros(micros), database.begin()).await;
    }
    database.begin().await.expect("begins").commit().await.expect("commits");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_no_more() {
    let (_test, database) = opened().await;
    let before = kept(&database).await;
    let fill = format!("INSERT INTO checkpoints (name, version, position) VALUES (hex(zeroblob({})), 1, 0)", 1 << 20);
    for _ in 0..3 {
        let mut tx = database.begin().await.expect("begins");
        sql("PRAGMA max_page_count = 1").execute(&mut tx).await.expect("no more than it has");
        let error = sql(fill.clone()).execute(&mut tx).await.expect_err("the disk is full");
        assert!(error.to_string().contains("full"), "{error}");
    }
    let mut tx = database.begin().await.expect("begins");
    sql("PRAGMA max_page_count = 4294967294").execute(&mut tx).await.expect("enough again");
    drop(tx);
    keep(&database).await;
    assert_eq!(kept(&database).await, before + 1);
}

#[tokio::test]
async fn who_waits_too_long_hears_so_and_who_comes_late_hears_that_it_is_closed() {
    let (test, _) = opened().await;
    let options = Options { acquire_timeout: Duration::from_secs(1), ..Options::default() };
    let database = Database::open(test.url(), options).await.expect("opens");
    let held = database.begin().await.expect("begins");
    assert!(matches!(database.begin().await, Err(sqlx::Error::PoolTimedOut)));
    held.commit().await.expect("commits");
    database.close().await;
    assert!(matches!(database.begin().await, Err(sqlx::Error::PoolClosed)));
}
