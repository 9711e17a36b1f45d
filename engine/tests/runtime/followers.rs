//! Views and reactions: what one event can't stop, and what becomes of whom it is of.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use engine::{
    Bulk, Decoded, Entry, EventSet, Head, Kind, MIGRATIONS, Projection, Quarantined, Reaction, Registry, Running,
    State, Store, StoreError, Target, Tx, on_both_engines, quarantined, sql,
    testing::{Engine, TestDatabase, found, until},
};
use tokio_util::sync::CancellationToken;

/// The name of the view.
const SUMS: &str = "sums";
/// No sum may be greater: its table refuses it.
const MOST: i64 = 1_000;
/// At this number the fold panics.
const PANICS: i64 = -13;

/// Events as the first program knows them.
#[derive(Debug, Clone, PartialEq)]
struct Added(i64);

impl EventSet for Added {
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self> {
        match head.event_type {
            "Added" => serde_json::from_str(json)
                .map_or_else(|error| Decoded::Broken(error.to_string()), |n| Decoded::Event(Self(n))),
            "Seen" => Decoded::NotMine,
            _ => Decoded::Newer,
        }
    }
}

/// And as the second: it has learnt to read `AddedTwice`.
#[derive(Debug, Clone, PartialEq)]
struct AddedOrTwice(i64);

impl EventSet for AddedOrTwice {
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self> {
        let (event_type, times) = if head.event_type == "AddedTwice" { ("Added", 2) } else { (head.event_type, 1) };
        match Added::decode(&Head { event_type, ..*head }, json) {
            Decoded::Event(Added(number)) => Decoded::Event(Self(times * number)),
            Decoded::NotMine => Decoded::NotMine,
            Decoded::Newer => Decoded::Newer,
            Decoded::Broken(why) => Decoded::Broken(why),
        }
    }
}

trait Number {
    fn number(&self) -> i64;
}

impl Number for Added {
    fn number(&self) -> i64 {
        self.0
    }
}

impl Number for AddedOrTwice {
    fn number(&self) -> i64 {
        self.0
    }
}

/// Sums by aggregate, and how many aggregates have one.
struct Sums<E> {
    /// How often it was saved.
    saved: Arc<AtomicUsize>,
    /// It refuses greater sums itself, whatever the table takes.
    most: Arc<AtomicI64>,
    _events: std::marker::PhantomData<fn() -> E>,
}

impl<E> Sums<E> {
    fn new() -> Self {
        let most = Arc::new(AtomicI64::new(i64::MAX));
        Self { saved: Arc::default(), most, _events: std::marker::PhantomData }
    }
}

#[derive(Default)]
struct Fold {
    sums: HashMap<String, i64>,
    /// How many there were before the batch, of those that were loaded.
    known: i64,
    forgotten: Vec<String>,
}

impl<E: EventSet + Number> Projection for Sums<E> {
    const NAME: &'static str = SUMS;
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["sums", "sum_count"];
    type Event = E;
    type Fold = Fold;

    async fn load(&self, fold: &mut Fold, tx: &mut Tx, target: Target, ids: &[&str]) -> Result<(), StoreError> {
        let select = format!("SELECT id, total FROM {} WHERE id {}", target.table("sums"), tx.dialect().among("$1"));
        let rows: Vec<(String, i64)> = sql(select).bind(ids).fetch_all(tx).await?;
        fold.known += i64::try_from(rows.len()).expect("few");
        fold.sums.extend(rows);
        Ok(())
    }

    fn forget(&self, fold: &mut Fold, id: &str) {
        fold.sums.remove(id);
        fold.forgotten.push(id.to_owned());
    }

    fn apply(&self, fold: &mut Fold, entry: &Entry<E>) {
        assert_ne!(entry.event.number(), PANICS, "an unlucky number");
        *fold.sums.entry(entry.aggregate_id.clone()).or_default() += entry.event.number();
    }

    async fn save(&self, fold: Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        self.saved.fetch_add(1, Ordering::Relaxed);
        if fold.sums.values().any(|sum| *sum > self.most.load(Ordering::Relaxed)) {
            return Err(StoreError::Unreadable("too much".to_owned()));
        }
        let (table, count) = (target.table("sums"), target.table("sum_count"));
        let gone = Bulk::new().text("id", fold.forgotten.iter().map(String::as_str));
        gone.execute(&mut *tx, |ids| format!("DELETE FROM {table} WHERE id IN ({ids})")).await?;
        let more = i64::try_from(fold.sums.len()).expect("few") - fold.known;
        let rows =
            Bulk::new().text("id", fold.sums.keys().map(String::as_str)).int("total", fold.sums.values().copied());
        let set = "ON CONFLICT (id) DO UPDATE SET total = excluded.total";
        rows.execute(&mut *tx, |rows| format!("INSERT INTO {table} (id, total) {rows} {set}")).await?;
        let add = format!("ON CONFLICT (one) DO UPDATE SET counted = {count}.counted + excluded.counted");
        sql(format!("INSERT INTO {count} (one, counted) VALUES (1, $1) {add}")).bind(more).execute(tx).await?;
        Ok(())
    }
}

/// Writes down what it hears, in the database.
struct Heard {
    most: Arc<AtomicI64>,
}

impl Reaction for Heard {
    const NAME: &'static str = "heard";
    type Event = Added;

    async fn react(&self, tx: &mut Tx, entries: &[Entry<Added>]) -> Result<(), StoreError> {
        for Entry { aggregate_id, position, event: Added(number), .. } in entries {
            if *number > self.most.load(Ordering::Relaxed) {
                return Err(StoreError::Unreadable("too much".to_owned()));
            }
            let insert = sql("INSERT INTO heard (position, id, number) VALUES ($1, $2, $3)");
            insert.bind(*position).bind(aggregate_id).bind(*number).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

async fn store(database: &TestDatabase) -> Store {
    let store = Store::new(database.open().await, Vec::new);
    for table in ["sums", "sums_rebuild"] {
        let columns = format!("id TEXT PRIMARY KEY, total BIGINT NOT NULL CHECK (total <= {MOST})");
        sql(format!("CREATE TABLE IF NOT EXISTS {table} ({columns})")).execute(store.database()).await.expect("made");
    }
    for table in ["sum_count", "sum_count_rebuild"] {
        let columns = "one BIGINT PRIMARY KEY, counted BIGINT NOT NULL";
        sql(format!("CREATE TABLE IF NOT EXISTS {table} ({columns})")).execute(store.database()).await.expect("made");
    }
    let columns = "position BIGINT PRIMARY KEY, id TEXT NOT NULL, number BIGINT NOT NULL";
    sql(format!("CREATE TABLE IF NOT EXISTS heard ({columns})")).execute(store.database()).await.expect("made");
    store
}

/// Appends events as any program could have: stream, sequence, type and payload.
async fn append(store: &Store, events: &[(&str, i64, &str, &str)]) -> i64 {
    let rows = Bulk::new()
        .text("aggregate_type", events.iter().map(|_| "counter"))
        .text("aggregate_id", events.iter().map(|event| event.0))
        .int("sequence", events.iter().map(|event| event.1))
        .text("event_type", events.iter().map(|event| event.2))
        .text("event_version", events.iter().map(|_| "1"))
        .json("payload", events.iter().map(|event| event.3))
        .json("metadata", events.iter().map(|_| "{}"))
        .time("at", events.iter().map(|_| at()));
    let names = rows.names();
    let insert = |rows: &str| format!("INSERT INTO events ({names}) {rows}");
    let mut tx = store.database().begin().await.expect("begins");
    rows.execute(&mut tx, insert).await.expect("appended");
    tx.commit().await.expect("commits");
    store.head().await.expect("a head")
}

/// Appends one event; its position.
async fn add(store: &Store, id: &str, sequence: i64, payload: &str) -> i64 {
    append(store, &[(id, sequence, "Added", payload)]).await
}

async fn sums(store: &Store) -> Vec<(String, i64)> {
    let rows: Vec<(String, i64)> =
        sql("SELECT id, total FROM sums ORDER BY id").fetch_all(store.database()).await.expect("rows");
    let counted: Option<i64> =
        sql("SELECT counted FROM sum_count").scalar_optional(store.database()).await.expect("a row");
    assert_eq!(counted.unwrap_or(0), i64::try_from(rows.len()).expect("few"), "they are counted");
    rows
}

fn pairs(rows: &[(String, i64)]) -> Vec<(&str, i64)> {
    rows.iter().map(|(id, sum)| (id.as_str(), *sum)).collect()
}

async fn aside(store: &Store) -> Vec<Quarantined> {
    quarantined(store, None, 1_000).await.expect("read")
}

/// Who is set aside where, and at which event.
async fn aside_at(store: &Store) -> Vec<(String, String, i64)> {
    aside(store).await.into_iter().map(|one| (one.projection, one.aggregate_id, one.position)).collect()
}

async fn state(registry: &Registry, store: &Store) -> State {
    registry.states(store).await.expect("states").into_iter().next().expect("it has begun")
}

/// Catches up, and returns what the view shows.
async fn caught_up(registry: &Registry, store: &Store) -> Vec<(String, i64)> {
    registry.catch_up(store, SUMS).await.expect("catches up");
    assert_eq!(state(registry, store).await.position, store.head().await.expect("a head"));
    sums(store).await
}

async fn ended(running: Running, stop: &CancellationToken) {
    stop.cancel();
    running.stopped().await;
}

/// One bad event among many: whatever makes it bad, its aggregate alone stays behind, at its state before it.
async fn one_bad_event(engine: Engine, bad: (&str, &str)) {
    let database = TestDatabase::new(engine, &MIGRATIONS).await;
    let store = store(&database).await;
    append(&store, &[("a", 1, "Added", "1"), ("b", 1, "Added", "5"), ("a", 2, "Added", "1")]).await;
    let position = append(&store, &[("b", 2, bad.0, bad.1)]).await;
    append(&store, &[("b", 3, "Added", "1"), ("c", 1, "Added", "7"), ("a", 3, "Added", "1")]).await;
    let registry = Registry::new().program("one").view(Sums::<Added>::new());
    assert_eq!(pairs(&caught_up(&registry, &store).await), [("a", 3), ("b", 5), ("c", 7)]);
    assert_eq!(aside_at(&store).await, [(SUMS.to_owned(), "b".to_owned(), position)]);
    assert_eq!((state(&registry, &store).await.quarantined, state(&registry, &store).await.failure), (1, None));
    // It stays so when more happens, and when somebody tries again in vain.
    append(&store, &[("b", 4, "Added", "1"), ("c", 2, "Added", "1")]).await;
    assert_eq!(pairs(&caught_up(&registry, &store).await), [("a", 3), ("b", 5), ("c", 8)]);
    let retried = registry.retry(&store, None, None).await.expect("tries");
    assert!(retried.len() == 1 && retried[0].failure.is_some(), "{retried:?}");
    assert_eq!(pairs(&sums(&store).await), [("a", 3), ("b", 5), ("c", 8)]);
    assert_eq!(aside_at(&store).await, [(SUMS.to_owned(), "b".to_owned(), position)]);
}

on_both_engines! {
    async fn an_event_that_the_database_refuses_sets_its_aggregate_aside_alone(engine: Engine) {
        one_bad_event(engine, ("Added", "2000")).await;
    }

    async fn an_event_that_cannot_be_decoded_sets_its_aggregate_aside_alone(engine: Engine) {
        one_bad_event(engine, ("Added", "\"many\"")).await;
    }

    async fn an_event_at_which_the_fold_panics_sets_its_aggregate_aside_alone(engine: Engine) {
        one_bad_event(engine, ("Added", "-13")).await;
    }

    async fn an_event_of_a_newer_program_sets_its_aggregate_aside_when_nobody_else_applies_it(engine: Engine) {
        one_bad_event(engine, ("Halved", "1")).await;
    }

    async fn after_a_bad_event_the_batches_grow_again(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        add(&store, "bad", 1, "2000").await;
        let many: Vec<_> = (1..=20_000).map(|sequence| ("good", sequence, "Seen", "1")).collect();
        append(&store, &many).await;
        add(&store, "good", 20_001, "1").await;
        let view = Sums::<Added>::new();
        let saved = view.saved.clone();
        let registry = Registry::new().view(view);
        assert_eq!(pairs(&caught_up(&registry, &store).await), [("good", 1)]);
        let saved = saved.load(Ordering::Relaxed);
        assert!(saved < 20, "{saved} transactions");
    }

    async fn a_newer_event_is_left_to_nodes_that_know_it(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        add(&store, "a", 1, "1").await;
        let newer = append(&store, &[("b", 1, "AddedTwice", "3")]).await;
        let head = add(&store, "a", 2, "1").await;
        let hour = Duration::from_hours(1);
        let (old, new) = (
            Registry::new().program("one").patience(hour).view(Sums::<Added>::new()),
            Registry::new().program("two").patience(hour).view(Sums::<AddedOrTwice>::new()),
        );
        let stop = CancellationToken::new();
        let running = old.run(&store, &stop);
        until("all before it", async || old.states(&store).await.expect("states").first().map(|state| state.position) == Some(newer - 1)).await;
        // The old one would pass it at once if it didn't wait: the new one begins only now.
        let others = new.run(&store, &stop);
        until("all", async || state(&old, &store).await.position == head).await;
        assert_eq!(pairs(&sums(&store).await), [("a", 2), ("b", 6)]);
        assert_eq!(aside(&store).await, []);
        // And the old one goes on with what it knows.
        ended(others, &stop).await;
        running.stopped().await;
        add(&store, "a", 3, "1").await;
        assert_eq!(pairs(&caught_up(&old, &store).await), [("a", 3), ("b", 6)]);
    }

    async fn the_next_program_takes_back_by_itself_what_this_one_could_not_apply(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        append(&store, &[("a", 1, "Added", "1"), ("b", 1, "AddedTwice", "3"), ("b", 2, "Added", "1"), ("c", 1, "Added", "2000")]).await;
        let old = Registry::new().program("one").patience(Duration::ZERO).view(Sums::<Added>::new());
        let stop = CancellationToken::new();
        let running = old.run(&store, &stop);
        until("two aside", async || aside(&store).await.len() == 2).await;
        ended(running, &stop).await;
        let new = Registry::new().program("two").view(Sums::<AddedOrTwice>::new());
        let stop = CancellationToken::new();
        let running = new.run(&store, &stop);
        let left = found("one is taken back", async || {
            let aside = aside(&store).await;
            if aside.iter().all(|one| one.program == "two") { Ok(aside) } else { Err(format!("{aside:?}")) }
        }).await;
        assert_eq!(left.iter().map(|one| one.aggregate_id.as_str()).collect::<Vec<_>>(), ["c"], "that one is refused by any program");
        assert_eq!(pairs(&sums(&store).await), [("a", 1), ("b", 7)]);
        ended(running, &stop).await;
    }

    async fn who_was_set_aside_is_taken_back_by_hand(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        append(&store, &[("a", 1, "Added", "1"), ("b", 1, "Added", "5"), ("b", 2, "Added", "500"), ("b", 3, "Added", "1"), ("c", 1, "Added", "500")]).await;
        let view = Sums::<Added>::new();
        let most = view.most.clone();
        most.store(100, Ordering::Relaxed);
        let registry = Registry::new().view(view);
        assert_eq!(pairs(&caught_up(&registry, &store).await), [("a", 1), ("b", 5)]);
        most.store(i64::MAX, Ordering::Relaxed);
        let retried = registry.retry(&store, Some(SUMS), Some("b")).await.expect("tries");
        assert_eq!(retried.iter().map(|one| (one.was.aggregate_id.as_str(), one.failure.clone())).collect::<Vec<_>>(), [("b", None)]);
        assert_eq!(pairs(&sums(&store).await), [("a", 1), ("b", 506)]);
        assert_eq!(registry.retry(&store, None, None).await.expect("tries").len(), 1);
        assert_eq!(pairs(&sums(&store).await), [("a", 1), ("b", 506), ("c", 500)]);
        assert_eq!(aside(&store).await, []);
        add(&store, "b", 4, "1").await;
        assert_eq!(pairs(&caught_up(&registry, &store).await), [("a", 1), ("b", 507), ("c", 500)]);
        assert!(registry.retry(&store, Some("differences"), None).await.is_err(), "there is no such view");
    }

    async fn where_much_cannot_be_applied_the_program_is_wrong_and_stops(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let ids: Vec<_> = (0..150).map(|n| format!("{n:03}")).collect();
        let events: Vec<_> = ids.iter().map(|id| (id.as_str(), 1, "AddedTwice", "1")).collect();
        append(&store, &events).await;
        let old = Registry::new().program("one").patience(Duration::ZERO).view(Sums::<Added>::new());
        let stopped = old.catch_up(&store, SUMS).await.expect_err("it stops").to_string();
        assert!(stopped.contains("150 of 150 aggregates"), "{stopped}");
        let stopped = state(&old, &store).await;
        assert!(stopped.failure.is_some_and(|(_, why)| why.contains("150 of 150 aggregates")));
        assert!(stopped.position < store.head().await.expect("a head"));
        // The program that can read it goes on by itself.
        let new = Registry::new().program("two").view(Sums::<AddedOrTwice>::new());
        let stop = CancellationToken::new();
        let running = new.run(&store, &stop);
        until("all of them", async || { aside(&store).await.is_empty() && state(&new, &store).await.position == store.head().await.expect("a head") }).await;
        ended(running, &stop).await;
        assert_eq!(sums(&store).await.len(), 150);
        assert_eq!(new.states(&store).await.expect("states")[0].failure, None);
    }

    async fn a_program_stops_nothing_that_another_one_has_passed(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let nodes = [store(&database).await, store(&database).await];
        let store = &nodes[0];
        let ids: Vec<_> = (0..400).map(|n| format!("{n:03}")).collect();
        let events: Vec<_> = ids.iter().map(|id| (id.as_str(), 1, "AddedTwice", "1")).collect();
        append(store, &events).await;
        let old = Registry::new().program("one").patience(Duration::ZERO).view(Sums::<Added>::new());
        let new = Registry::new().program("two").view(Sums::<AddedOrTwice>::new());
        let stop = CancellationToken::new();
        let running = [old.run(&nodes[1], &stop), new.run(store, &stop)];
        let head = store.head().await.expect("a head");
        until("its end or a stop", async || {
            let states = new.states(store).await.expect("states");
            states.first().is_some_and(|state| state.position == head || state.failure.is_some())
        }).await;
        // Whatever the old one set aside or stopped in between, the new one has the last word when it is started again.
        stop.cancel();
        for running in running {
            running.stopped().await;
        }
        let stop = CancellationToken::new();
        let running = new.run(store, &stop);
        until("all of them", async || { aside(store).await.is_empty() && state(&new, store).await.position == store.head().await.expect("a head") }).await;
        ended(running, &stop).await;
        assert_eq!(sums(store).await.len(), 400);
    }

    async fn an_older_program_takes_back_nothing_into_rows_of_a_newer_one(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        append(&store, &[("a", 1, "Added", "1"), ("b", 1, "Added", "2000")]).await;
        let registry = Registry::new().view(Sums::<Added>::new());
        caught_up(&registry, &store).await;
        sql("UPDATE checkpoints SET version = 2 WHERE name = 'sums'").execute(store.database()).await.expect("updated");
        assert!(registry.retry(&store, Some(SUMS), None).await.is_err());
        assert_eq!(aside(&store).await.len(), 1);
    }

    async fn few_of_many_never_stop_a_view(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let ids: Vec<_> = (0..11_000).map(|n| format!("{n:05}")).collect();
        let events: Vec<_> = ids.iter().map(|id| (id.as_str(), 1, "Added", if id.ends_with("00") { "\"\"" } else { "1" })).collect();
        append(&store, &events).await;
        let registry = Registry::new().view(Sums::<Added>::new());
        assert_eq!(caught_up(&registry, &store).await.len(), 10_890);
        assert_eq!(aside(&store).await.len(), 110, "more than a hundred, and one in a hundred");
    }

    async fn a_rebuild_has_a_quarantine_of_its_own_which_serves_with_it(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let refused = append(&store, &[("a", 1, "Added", "1"), ("b", 1, "Added", "2000")]).await;
        let view = Sums::<Added>::new();
        let most = view.most.clone();
        let registry = Registry::new().view(view);
        caught_up(&registry, &store).await;
        most.store(0, Ordering::Relaxed);
        registry.rebuild(&store, SUMS, &|_, _| ()).await.expect("rebuilt");
        assert_eq!(aside_at(&store).await, [(SUMS.to_owned(), "a".to_owned(), refused - 1), (SUMS.to_owned(), "b".to_owned(), refused)]);
        assert_eq!(sums(&store).await, []);
        most.store(i64::MAX, Ordering::Relaxed);
        registry.rebuild(&store, SUMS, &|_, _| ()).await.expect("rebuilt");
        assert_eq!(aside_at(&store).await, [(SUMS.to_owned(), "b".to_owned(), refused)]);
        assert_eq!(pairs(&sums(&store).await), [("a", 1)]);
    }

    async fn a_rebuild_leaves_to_the_newer_program_what_that_has_applied(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        append(&store, &[("a", 1, "Added", "1"), ("b", 1, "AddedTwice", "2")]).await;
        let old = Registry::new().program("one").patience(Duration::ZERO).view(Sums::<Added>::new());
        let new = Registry::new().program("two").view(Sums::<AddedOrTwice>::new());
        caught_up(&new, &store).await;
        let refused = old.rebuild(&store, SUMS, &|_, _| ()).await.expect_err("it would lose b").to_string();
        assert!(refused.contains("newer program"), "{refused}");
        assert_eq!(pairs(&sums(&store).await), [("a", 1), ("b", 4)]);
        new.rebuild(&store, SUMS, &|_, _| ()).await.expect("rebuilt");
        assert_eq!(pairs(&sums(&store).await), [("a", 1), ("b", 4)]);
    }

    async fn what_comes_while_a_rebuild_takes_over_is_found_out_like_the_rest(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        append(&store, &[("a", 1, "Added", "1"), ("c", 1, "Added", "1")]).await;
        let registry = Registry::new().view(Sums::<Added>::new());
        caught_up(&registry, &store).await;
        for (sequence, bad) in [(2, "2000"), (3, "\"many\""), (4, "-13")] {
            let id = format!("bad {sequence}");
            add(&store, &id, 1, bad).await;
            registry.rebuild(&store, SUMS, &|_, _| ()).await.expect("rebuilt");
            assert_eq!(pairs(&sums(&store).await), [("a", 1), ("c", 1)], "{bad}");
        }
        assert_eq!(aside(&store).await.len(), 3);
    }

    async fn a_rebuild_that_cannot_go_on_says_so_and_begins_anew_the_next_time(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let ids: Vec<_> = (0..150).map(|n| format!("{n:03}")).collect();
        let events: Vec<_> = ids.iter().map(|id| (id.as_str(), 1, "Added", "1")).collect();
        append(&store, &events).await;
        let view = Sums::<Added>::new();
        let most = view.most.clone();
        let registry = Registry::new().view(view);
        assert_eq!(caught_up(&registry, &store).await.len(), 150);
        most.store(0, Ordering::Relaxed);
        let failed = registry.rebuild(&store, SUMS, &|_, _| ()).await.expect_err("it stops").to_string();
        assert!(failed.contains("the last is 100"), "it names the last: {failed}");
        let states = registry.states(&store).await.expect("states");
        let (kinds, stopped): (Vec<_>, Vec<_>) = states.iter().map(|state| (state.kind, state.failure.is_some())).unzip();
        assert_eq!((kinds, stopped), (vec![Kind::View, Kind::Rebuild], vec![false, true]));
        assert_eq!(sums(&store).await.len(), 150, "the rows that serve");
        most.store(i64::MAX, Ordering::Relaxed);
        registry.rebuild(&store, SUMS, &|_, _| ()).await.expect("rebuilt");
        assert_eq!((sums(&store).await.len(), aside(&store).await.len()), (150, 0));
    }

    async fn a_reaction_hears_what_happens_from_now_on_once_and_in_order(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let nodes = [store(&database).await, store(&database).await];
        let store = &nodes[0];
        add(store, "before", 1, "1").await;
        let registry = Registry::new().reaction(Heard { most: Arc::new(AtomicI64::new(i64::MAX)) });
        let stop = CancellationToken::new();
        let running = nodes.each_ref().map(|store| registry.run(store, &stop));
        until("it has begun", async || !registry.states(store).await.expect("states").is_empty()).await;
        let expected = Mutex::new(Vec::new());
        for sequence in 1..=40 {
            let position = add(&nodes[sequence % 2], "a", i64::try_from(sequence).expect("few"), &sequence.to_string()).await;
            expected.lock().expect("no panic").push((position, i64::try_from(sequence).expect("few")));
        }
        let head = store.head().await.expect("a head");
        until("all", async || state(&registry, store).await.position == head).await;
        let heard: Vec<(i64, i64)> = sql("SELECT position, number FROM heard ORDER BY position").fetch_all(store.database()).await.expect("rows");
        assert_eq!(heard, expected.into_inner().expect("no panic"));
        assert!(registry.rebuild(store, "heard", &|_, _| ()).await.is_err(), "what it did can't be done anew");
        stop.cancel();
        for running in running {
            running.stopped().await;
        }
    }

    async fn a_reaction_goes_on_where_it_was_refused(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let most = Arc::new(AtomicI64::new(100));
        let registry = Registry::new().reaction(Heard { most: most.clone() });
        registry.catch_up(&store, "heard").await.expect("begins");
        append(&store, &[("a", 1, "Added", "1"), ("b", 1, "Added", "500"), ("a", 2, "Added", "2"), ("a", 3, "Added", "600"), ("a", 4, "Added", "4"), ("c", 1, "Added", "6")]).await;
        registry.catch_up(&store, "heard").await.expect("catches up");
        let heard = async || -> Vec<(String, i64)> {
            sql("SELECT id, number FROM heard ORDER BY id, position").fetch_all(store.database()).await.expect("rows")
        };
        assert_eq!(pairs(&heard().await), [("a", 1), ("a", 2), ("c", 6)]);
        most.store(1_000, Ordering::Relaxed);
        registry.retry(&store, None, None).await.expect("tries");
        assert_eq!(pairs(&heard().await), [("a", 1), ("a", 2), ("a", 600), ("a", 4), ("b", 500), ("c", 6)]);
        assert_eq!(aside(&store).await, []);
    }
}
