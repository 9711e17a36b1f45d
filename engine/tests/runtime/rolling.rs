//! A rolling deploy: nodes of two versions side by side, while the newer one begins to write an event that the older one doesn't
//! know.

use chrono::DateTime;
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use engine::{
    Bulk, Decision, Decoded, Entry, EventSet, ExecuteError, Head, MIGRATIONS, Metadata, Projection, Registry, Running,
    Store, StoreError, Target, Tx, Unit, on_both_engines, quarantined, sql,
    testing::{TestDatabase, until},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::HashMap, convert::Infallible, fmt::Debug, marker::PhantomData};
use tokio_util::sync::CancellationToken;

/// What the older version knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Old {
    Paid(i64),
}

/// And the newer one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum New {
    Paid(i64),
    PaidBack(i64),
}

/// The events of a version.
trait Version: DomainEvent + Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    const TYPES: &'static [&'static str];
    fn paid(amount: i64) -> Self;
    fn amount(&self) -> i64;
}

impl DomainEvent for Old {
    fn event_type(&self) -> String {
        "Paid".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl DomainEvent for New {
    fn event_type(&self) -> String {
        if matches!(self, Self::Paid(_)) { "Paid" } else { "PaidBack" }.to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Version for Old {
    const TYPES: &'static [&'static str] = &["Paid"];
    fn paid(amount: i64) -> Self {
        Self::Paid(amount)
    }
    fn amount(&self) -> i64 {
        let Self::Paid(amount) = self;
        *amount
    }
}

impl Version for New {
    const TYPES: &'static [&'static str] = &["Paid", "PaidBack"];
    fn paid(amount: i64) -> Self {
        if amount < 0 { Self::PaidBack(-amount) } else { Self::Paid(amount) }
    }
    fn amount(&self) -> i64 {
        match self {
            Self::Paid(amount) => *amount,
            Self::PaidBack(amount) => -amount,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
struct Bill<V> {
    total: i64,
    #[serde(skip)]
    version: PhantomData<fn() -> V>,
}

impl<V> Default for Bill<V> {
    fn default() -> Self {
        Self { total: 0, version: PhantomData }
    }
}

impl<V: Version> Aggregate for Bill<V> {
    const TYPE: &'static str = "bill";
    type Command = i64;
    type Event = V;
    type Error = Infallible;
    type Services = ();
    async fn handle(&mut self, amount: i64, (): &(), sink: &EventSink<Self>) -> Result<(), Infallible> {
        sink.write(V::paid(amount), self).await;
        Ok(())
    }
    fn apply(&mut self, event: V) {
        self.total += event.amount();
    }
}

struct Pay<V>(&'static str, i64, PhantomData<fn() -> V>);

impl<V: Version> Decision for Pay<V> {
    type Output = ();
    type Error = ExecuteError<Infallible>;
    async fn decide(&self, unit: &mut Unit) -> Result<(), Self::Error> {
        unit.execute::<Bill<V>>(self.0, self.1).await
    }
}

/// A number that a version reads from an event.
struct Read<V>(V);

impl<V: Version> EventSet for Read<V> {
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self> {
        if !V::TYPES.contains(&head.event_type) {
            return Decoded::Newer;
        }
        serde_json::from_str(json).map_or_else(|error| Decoded::Broken(error.to_string()), |e| Decoded::Event(Self(e)))
    }
}

/// Totals by bill.
struct Totals<V>(PhantomData<fn() -> V>);

impl<V: Version> Projection for Totals<V> {
    const NAME: &'static str = "totals";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["totals"];
    type Event = Read<V>;
    type Fold = HashMap<String, i64>;

    fn forget(&self, fold: &mut Self::Fold, id: &str) {
        fold.remove(id);
    }

    fn apply(&self, fold: &mut Self::Fold, entry: &Entry<Read<V>>) {
        *fold.entry(entry.aggregate_id.clone()).or_default() += entry.event.0.amount();
    }

    async fn save(&self, fold: Self::Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        let table = target.table("totals");
        let rows = Bulk::new().text("id", fold.keys().map(String::as_str)).int("total", fold.values().copied());
        let add = format!("ON CONFLICT (id) DO UPDATE SET total = {table}.total + excluded.total");
        rows.execute(tx, |rows| format!("INSERT INTO {table} (id, total) {rows} {add}")).await?;
        Ok(())
    }
}

/// A node of a version.
struct Node<V> {
    store: Store,
    running: Running,
    stop: CancellationToken,
    version: PhantomData<fn() -> V>,
}

impl<V: Version> Node<V> {
    async fn start(database: &TestDatabase, program: &str) -> Self {
        let (store, stop) = (Store::new(database.open().await, Vec::new), CancellationToken::new());
        let registry = Registry::new().program(program).view(Totals::<V>(PhantomData));
        let running = registry.run(&store, &stop);
        Self { store, running, stop, version: PhantomData }
    }

    async fn pay(&self, bill: &'static str, amount: i64) -> Result<(), ExecuteError<Infallible>> {
        let by = Metadata::new(DateTime::UNIX_EPOCH, &[("by", "a test".to_owned())].into());
        self.store.run(by, &Pay::<V>(bill, amount, PhantomData)).await.map(drop)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.stopped().await;
    }

    async fn until_totals(&self, totals: &[(&str, i64)]) {
        until(&format!("{totals:?}"), async || {
            let rows: Vec<(String, i64)> =
                sql("SELECT id, total FROM totals ORDER BY id").fetch_all(self.store.database()).await.expect("read");
            rows.iter().map(|(id, total)| (id.as_str(), *total)).eq(totals.iter().copied())
        })
        .await;
    }
}

on_both_engines! {
    async fn a_deploy_rolls_through_while_both_versions_serve(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        for table in ["totals", "totals_rebuild"] {
            let made = sql(format!("CREATE TABLE {table} (id TEXT PRIMARY KEY, total BIGINT NOT NULL)"));
            made.execute(&database.open().await).await.expect("made");
        }
        let first = Node::<Old>::start(&database, "1").await;
        let second = Node::<Old>::start(&database, "1").await;
        first.pay("a", 10).await.expect("paid");
        second.pay("b", 20).await.expect("paid");
        first.until_totals(&[("a", 10), ("b", 20)]).await;
        // One node is replaced. Both versions serve, of the same events.
        second.stop().await;
        let newer = Node::<New>::start(&database, "2").await;
        newer.pay("a", 1).await.expect("paid");
        first.pay("a", 1).await.expect("paid");
        newer.until_totals(&[("a", 12), ("b", 20)]).await;
        // The newer one begins to write what the older one doesn't know.
        newer.pay("a", -2).await.expect("paid back");
        newer.until_totals(&[("a", 10), ("b", 20)]).await;
        // The older one serves all but that bill, on which it decides nothing, and sets nobody aside.
        let refused = first.pay("a", 5).await.expect_err("it can't read the bill");
        assert!(matches!(refused, ExecuteError::Store(StoreError::Undecodable(_))), "{refused:?}");
        first.pay("b", 5).await.expect("paid");
        newer.pay("c", 7).await.expect("paid");
        first.until_totals(&[("a", 10), ("b", 25), ("c", 7)]).await;
        assert_eq!(quarantined(&first.store, None, 10).await.expect("read"), []);
        // The last of the older nodes is replaced.
        first.stop().await;
        let last = Node::<New>::start(&database, "2").await;
        last.pay("a", 5).await.expect("paid");
        last.until_totals(&[("a", 15), ("b", 25), ("c", 7)]).await;
        newer.stop().await;
        last.stop().await;
    }
}
