//! On SQLite, what follows the journal folds beside whoever writes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use engine::{
    Bulk, Decoded, Entry, EventSet, Head, MIGRATIONS, Projection, Registry, Store, StoreError, Target, Tx,
    on_both_engines, sql,
    testing::{Engine, TestDatabase},
};
use tokio::sync::Notify;

/// A number; of the type `Odd` the second program alone knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number<const KNOWS_ODD: bool>(i64);

impl<const KNOWS_ODD: bool> EventSet for Number<KNOWS_ODD> {
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self> {
        if head.event_type == "Odd" && !KNOWS_ODD {
            return Decoded::Broken("odd".to_owned());
        }
        serde_json::from_str(json).map_or_else(|error| Decoded::Broken(error.to_string()), |n| Decoded::Event(Self(n)))
    }
}

/// Sums by aggregate. Its fold waits at the first load until it may go on.
struct Sums<const KNOWS_ODD: bool> {
    pause: Option<Arc<Pause>>,
    loads: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Pause {
    folding: Notify,
    go_on: Notify,
}

impl<const KNOWS_ODD: bool> Projection for Sums<KNOWS_ODD> {
    const NAME: &'static str = "sums";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["sums"];
    type Event = Number<KNOWS_ODD>;
    type Fold = HashMap<String, i64>;

    async fn load(&self, fold: &mut Self::Fold, tx: &mut Tx, target: Target, ids: &[&str]) -> Result<(), StoreError> {
        let select = format!("SELECT id, total FROM {} WHERE id {}", target.table("sums"), tx.dialect().among("$1"));
        let rows: Vec<(String, i64)> = sql(select).bind(ids).fetch_all(tx).await?;
        fold.extend(rows);
        if let (Some(pause), 0) = (&self.pause, self.loads.fetch_add(1, Ordering::Relaxed)) {
            pause.folding.notify_one();
            pause.go_on.notified().await;
        }
        Ok(())
    }

    fn forget(&self, fold: &mut Self::Fold, id: &str) {
        fold.insert(id.to_owned(), 0);
    }

    fn apply(&self, fold: &mut Self::Fold, entry: &Entry<Self::Event>) {
        *fold.entry(entry.aggregate_id.clone()).or_default() += entry.event.0;
    }

    async fn save(&self, fold: Self::Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        let table = target.table("sums");
        let rows = Bulk::new().text("id", fold.keys().map(String::as_str)).int("total", fold.values().copied());
        let set = "ON CONFLICT (id) DO UPDATE SET total = excluded.total";
        rows.execute(tx, |rows| format!("INSERT INTO {table} (id, total) {rows} {set}")).await?;
        Ok(())
    }
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

async fn store(database: &TestDatabase) -> Store {
    let store = Store::new(database.open().await, Vec::new);
    for table in ["sums", "sums_rebuild"] {
        let columns = "id TEXT PRIMARY KEY, total BIGINT NOT NULL";
        sql(format!("CREATE TABLE IF NOT EXISTS {table} ({columns})")).execute(store.database()).await.expect("made");
    }
    store
}

async fn append(store: &Store, id: &str, sequence: i64, event_type: &str, number: i64) {
    let number = number.to_string();
    let rows = Bulk::new()
        .text("aggregate_type", std::iter::once("counter"))
        .text("aggregate_id", std::iter::once(id))
        .int("sequence", std::iter::once(sequence))
        .text("event_type", std::iter::once(event_type))
        .text("event_version", std::iter::once("1"))
        .json("payload", std::iter::once(&*number))
        .json("metadata", std::iter::once("{}"))
        .time("at", std::iter::once(at()));
    let names = rows.names();
    let mut tx = store.database().begin().await.expect("begins");
    rows.execute(&mut tx, |rows| format!("INSERT INTO events ({names}) {rows}")).await.expect("appended");
    tx.commit().await.expect("commits");
}

async fn sums(store: &Store) -> Vec<(String, i64)> {
    sql("SELECT id, total FROM sums ORDER BY id").fetch_all(store.database()).await.expect("read")
}

on_both_engines! {
    async fn catching_up_keeps_nobody_from_writing(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        append(&store, "a", 1, "Even", 2).await;
        let pause = Arc::new(Pause::default());
        let registry = Registry::new().view(Sums::<true> { pause: Some(pause.clone()), loads: Arc::default() });
        let writing = async {
            pause.folding.notified().await;
            append(&store, "a", 2, "Even", 4).await;
            pause.go_on.notify_one();
        };
        let (followed, ()) = tokio::join!(registry.catch_up(&store, "sums"), writing);
        followed.expect("follows");
        assert_eq!(sums(&store).await, [("a".to_owned(), 6)]);
    }
}

#[tokio::test]
async fn what_was_folded_of_rows_that_others_changed_is_folded_again() {
    let database = TestDatabase::new(Engine::Sqlite, &MIGRATIONS).await;
    let store = store(&database).await;
    append(&store, "a", 1, "Odd", 1).await;
    append(&store, "b", 1, "Even", 2).await;
    let older = Registry::new().program("older").view(Sums::<false> { pause: None, loads: Arc::default() });
    older.catch_up(&store, "sums").await.expect("follows without a");
    assert_eq!(sums(&store).await, [("b".to_owned(), 2)]);
    append(&store, "a", 2, "Even", 10).await;
    append(&store, "b", 2, "Even", 2).await;
    let (pause, loads) = (Arc::new(Pause::default()), Arc::new(AtomicUsize::new(0)));
    let registry =
        Registry::new().program("newer").view(Sums::<true> { pause: Some(pause.clone()), loads: loads.clone() });
    let newer = Registry::new().program("newer").view(Sums::<true> { pause: None, loads: Arc::default() });
    let retrying = async {
        pause.folding.notified().await;
        let retried = newer.retry(&store, Some("sums"), Some("a")).await.expect("tries");
        assert_eq!(retried.iter().map(|one| one.failure.as_deref()).collect::<Vec<_>>(), [None]);
        pause.go_on.notify_one();
    };
    // What it reads at first is without a, which is set aside.
    let (followed, ()) = tokio::join!(registry.catch_up(&store, "sums"), retrying);
    followed.expect("follows");
    assert_eq!(sums(&store).await, [("a".to_owned(), 11), ("b".to_owned(), 4)]);
    assert!(loads.load(Ordering::Relaxed) > 1, "it was folded again");
}
