//! Loading: what is known already is built upon, and a long stream costs no more than a short one.

use cqrs_es::{EventStore, persist::PersistedEventStore};
use engine::{
    Database, Decision, ExecuteError, MIGRATIONS, Store, StoreError, Unit, on_both_engines, sql,
    testing::{TestDatabase, until},
};
use postgres_es::PostgresEventRepository;
use sqlite_es::SqliteEventRepository;

use crate::purse::{Purse, TooLittle, by};

/// Moves one so often.
struct Moves(i64);

impl Decision for Moves {
    type Output = ();
    type Error = ExecuteError<TooLittle>;
    async fn decide(&self, unit: &mut Unit) -> Result<(), Self::Error> {
        for _ in 0..self.0 {
            unit.execute::<Purse>("ann", 1).await?;
        }
        Ok(())
    }
}

async fn amount(store: &Store) -> Result<i64, StoreError> {
    Ok(store.unit(by()).load::<Purse>("ann").await?.amount)
}

async fn length_of_snapshot(store: &Store) -> Option<i64> {
    let kept = sql("SELECT sequence FROM snapshots WHERE aggregate_type = 'purse' AND aggregate_id = 'ann'");
    kept.scalar_optional(store.database()).await.expect("read")
}

async fn append(store: &Store, sequence: i64, (event_type, version): (&str, &str), payload: &str) {
    let json = match store.database() {
        Database::Sqlite(_) => "$4",
        Database::Postgres(_) => "CAST($4 AS JSON)",
    };
    sql(format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at) \
         SELECT 'purse', 'ann', $1, $2, $3, {json}, metadata, at FROM events WHERE position = 1"
    ))
    .bind(sequence)
    .bind(event_type)
    .bind(version)
    .bind(payload)
    .execute(store.database())
    .await
    .expect("appended");
}

on_both_engines! {
    async fn a_long_stream_is_loaded_from_its_snapshot(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let shaped = async |shapes| Store::new(database.open().await, Vec::new).with_shapes(shapes);
        let store = shaped(&[("purse", 1)]).await;
        store.run(by(), &Moves(499)).await.expect("moved");
        assert_eq!(length_of_snapshot(&store).await, None, "short streams need none");
        store.run(by(), &Moves(2)).await.expect("moved");
        until("a snapshot", async || length_of_snapshot(&store).await == Some(501)).await;
        store.run(by(), &Moves(10)).await.expect("moved");
        // It is what is loaded: somebody has put a thousand into it.
        sql("UPDATE snapshots SET state = '{\"amount\":1501}'").execute(store.database()).await.expect("updated");
        assert_eq!(amount(&shaped(&[("purse", 1)]).await).await.expect("loads"), 1_511);
        // Not where the state has another shape, cannot be read, or nobody says that states may be kept.
        assert_eq!(amount(&shaped(&[("purse", 2)]).await).await.expect("loads"), 511);
        assert_eq!(amount(&shaped(&[]).await).await.expect("loads"), 511);
        let newer = async || {
            let shape: i64 = sql("SELECT shape FROM snapshots").scalar(store.database()).await.expect("read");
            shape == 2
        };
        until("a snapshot of the newer shape", newer).await;
        assert_eq!(amount(&shaped(&[("purse", 1)]).await).await.expect("loads"), 511, "the older program reads the stream");
        sql("UPDATE snapshots SET state = '{}'").execute(store.database()).await.expect("updated");
        assert_eq!(amount(&shaped(&[("purse", 2)]).await).await.expect("loads"), 511);
    }

    async fn a_snapshot_of_events_that_are_gone_is_not_used(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = Store::new(database.open().await, Vec::new).with_shapes(&[("purse", 1)]);
        store.run(by(), &Moves(600)).await.expect("moved");
        until("a snapshot", async || length_of_snapshot(&store).await == Some(600)).await;
        sql("UPDATE snapshots SET sequence = 601, state = '{\"amount\":601}'").execute(store.database()).await.expect("updated");
        let cold = Store::new(database.open().await, Vec::new).with_shapes(&[("purse", 1)]);
        assert_eq!(amount(&cold).await.expect("loads"), 600);
        // Nor where another event has the sequence now.
        let position: i64 = sql("SELECT max(position) FROM events").scalar(store.database()).await.expect("read");
        sql("UPDATE snapshots SET sequence = 600, position = $1, state = '{\"amount\":601}'")
            .bind(position + 1)
            .execute(store.database())
            .await
            .expect("updated");
        let cold = Store::new(database.open().await, Vec::new).with_shapes(&[("purse", 1)]);
        assert_eq!(amount(&cold).await.expect("loads"), 600);
        sql("UPDATE snapshots SET position = $1").bind(position).execute(store.database()).await.expect("updated");
        let cold = Store::new(database.open().await, Vec::new).with_shapes(&[("purse", 1)]);
        assert_eq!(amount(&cold).await.expect("loads"), 601, "the position decides");
    }

    async fn what_is_known_is_brought_up_to_date_by_what_came_since(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let (store, other) = (Store::new(database.open().await, Vec::new), Store::new(database.open().await, Vec::new));
        for store in [&store, &other, &store, &other, &store] {
            store.run(by(), &Moves(300)).await.expect("moved");
        }
        for store in [&store, &other] {
            assert_eq!(amount(store).await.expect("loads"), 1_500);
        }
    }

    async fn an_event_of_another_version_or_type_than_it_is_read_as_is_not_folded(engine: Engine) {
        let (moved, closed) = ("{\"Moved\":1}", "\"Closed\"");
        for (head, payload) in [(("Moved", "2"), moved), (("Moved", "1"), closed), (("Merged", "1"), "{\"Merged\":1}")] {
            let database = TestDatabase::new(engine, &MIGRATIONS).await;
            let store = Store::new(database.open().await, Vec::new);
            store.run(by(), &Moves(1)).await.expect("moved");
            append(&store, 2, head, payload).await;
            let cold = Store::new(database.open().await, Vec::new);
            for store in [&store, &cold] {
                let error = amount(store).await.expect_err("not this program's");
                assert!(matches!(&error, StoreError::Undecodable(why) if why.contains("event 2")), "{error:?}");
            }
        }
    }

    async fn the_stock_repositories_read_the_journal(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = Store::new(database.open().await, Vec::new);
        store.run(by(), &Moves(3)).await.expect("moved");
        let loaded = match store.database() {
            Database::Sqlite(pools) => {
                let events = SqliteEventRepository::new(pools.read.clone());
                PersistedEventStore::<_, Purse>::new_event_store(events).load_aggregate("ann").await.expect("loads")
            }
            Database::Postgres(pool) => {
                let events = PostgresEventRepository::new(pool.clone());
                PersistedEventStore::<_, Purse>::new_event_store(events).load_aggregate("ann").await.expect("loads")
            }
        };
        assert_eq!((loaded.current_sequence, loaded.aggregate.amount), (3, 3));
    }
}
