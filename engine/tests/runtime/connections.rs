//! What a database's connections are for.

use std::time::Duration;

use engine::{
    Database, Options, Store, sql,
    testing::{Engine, TestDatabase, until},
};

/// How a test's database is seen to be listened to.
const LISTENS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";

#[tokio::test]
async fn being_woken_takes_none_of_the_connections() {
    let test = TestDatabase::new(Engine::Postgres, &engine::MIGRATIONS).await;
    let look = test.open().await;
    let options = Options { connections: 1, acquire_timeout: Duration::from_secs(5), ..Options::default() };
    let one = Database::open(test.url(), options).await.expect("opens");
    let store = Store::new(one, Vec::new);
    until("the store listens", async || {
        let listening: i64 = sql(LISTENS).scalar(&look).await.expect("PostgreSQL answers");
        listening > 0
    })
    .await;
    assert_eq!(store.head().await.expect("its only connection is free"), 0);
}
