//! A database that lost its end, or is another one: nothing is decided on events that are not there.

use engine::{
    Database, Decision, ExecuteError, MIGRATIONS, Store, Unit, on_both_engines, sql,
    sqlx::{self, ConnectOptions},
    testing::{TestDatabase, until},
};

use crate::purse::{Purse, TooLittle, by};

struct Move(&'static str, i64);

impl Decision for Move {
    type Output = ();
    type Error = ExecuteError<TooLittle>;
    async fn decide(&self, unit: &mut Unit) -> Result<(), Self::Error> {
        unit.execute::<Purse>(self.0, self.1).await
    }
}

async fn moves(store: &Store, id: &'static str, amounts: &[i64]) {
    for amount in amounts {
        store.run(by(), &Move(id, *amount)).await.expect("moved");
    }
}

async fn execute(store: &Store, statements: &[&'static str]) {
    for statement in statements {
        sql(*statement).execute(store.database()).await.expect(statement);
    }
}

/// Loses the end of the journal, as nothing but a fault can.
async fn lose_after(store: &Store, position: i64) {
    match store.database() {
        Database::Sqlite(_) => execute(store, &["DROP TRIGGER events_no_delete"]).await,
        Database::Postgres(_) => execute(store, &["ALTER TABLE events DISABLE TRIGGER events_append_only"]).await,
    }
    sql("DELETE FROM events WHERE position > $1").bind(position).execute(store.database()).await.expect("deleted");
}

async fn stream(store: &Store) -> Vec<(i64, String)> {
    let text = match store.database() {
        Database::Sqlite(_) => "payload",
        Database::Postgres(_) => "payload::text",
    };
    let select = format!("SELECT sequence, {text} FROM events WHERE aggregate_id = 'ann' ORDER BY sequence");
    sql(select).fetch_all(store.database()).await.expect("read")
}

on_both_engines! {
    async fn a_stream_has_no_gap(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = Store::new(database.open().await, Vec::new);
        moves(&store, "ann", &[5]).await;
        let insert = async |id: &'static str, sequence: i64| {
            sql("INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at) \
                 SELECT 'purse', $1, $2, 'Moved', '1', payload, metadata, at FROM events WHERE position = 1")
                .bind(id).bind(sequence).execute(store.database()).await
        };
        insert("ann", 3).await.expect_err("2 isn't there");
        insert("ben", 2).await.expect_err("1 isn't there");
        insert("ann", 2).await.expect("it follows");
        insert("ben", 1).await.expect("it is the first");
    }

    async fn what_was_lost_is_not_decided_on(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = Store::new(database.open().await, Vec::new);
        moves(&store, "ann", &[5, 10, 10]).await;
        lose_after(&store, 1).await;
        // This node remembers 25.
        let refused = store.run(by(), &Move("ann", -15)).await.expect_err("there are 5");
        assert!(matches!(refused, ExecuteError::Rule(TooLittle)), "{refused:?}");
        moves(&store, "ann", &[-4]).await;
        assert_eq!(stream(&store).await.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2]);
    }

    async fn a_state_is_not_built_upon_where_another_event_has_its_sequence(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let open = async || Store::new(database.open().await, Vec::new);
        let (store, other) = (open().await, open().await);
        moves(&store, "ann", &[5]).await;
        moves(&other, "ann", &[10]).await;
        assert_eq!(store.unit(by()).load::<Purse>("ann").await.expect("loads").amount, 15);
        // What the other node appended is lost, and what this one did is not: it can't notice by that.
        lose_after(&store, 1).await;
        moves(&open().await, "ann", &[1]).await;
        assert_eq!(store.unit(by()).load::<Purse>("ann").await.expect("loads").amount, 6);
    }

    async fn another_servers_events_are_decided_on_when_it_answers(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let (store, other) = (Store::new(database.open().await, Vec::new), Store::new(database.open().await, Vec::new));
        // One engine: a file of SQLite is not exchanged under a node that has it open.
        let Database::Postgres(pool) = store.database() else { return };
        moves(&store, "ben", &[1]).await;
        moves(&store, "ann", &[5, 10, 10]).await;
        // The new primary never had the last two, and has taken others since: the stream is as long as before.
        lose_after(&other, 2).await;
        moves(&other, "ann", &[1, 1]).await;
        let mut operator = pool.connect_options().connect().await.expect("connects");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::raw_sql(end).execute(&mut operator).await.expect("ended");
        // With somebody else's command it finds out what it remembers in vain.
        until("it writes again", async || store.run(by(), &Move("ben", 1)).await.is_ok()).await;
        let refused = store.run(by(), &Move("ann", -15)).await.expect_err("there are 7");
        assert!(matches!(refused, ExecuteError::Rule(TooLittle)), "{refused:?}");
        assert_eq!(stream(&store).await.len(), 3);
    }
}
