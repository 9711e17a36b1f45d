//! A bank: an aggregate, a transfer over two streams in one commit, a view, and its rebuild.

use std::collections::HashMap;

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use engine::{
    Bulk, Database, Decision, Decoded, Entry, EventSet, ExecuteError, Head, MIGRATIONS, Metadata, Options, Projection,
    Registry, Store, StoreError, Target, Tx, Unit, sql,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Moved(i64);
impl DomainEvent for Moved {
    fn event_type(&self) -> String {
        "Moved".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is not enough on the account")]
struct TooLittle;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Account(i64);
impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = i64;
    type Event = Moved;
    type Error = TooLittle;
    type Services = ();
    async fn handle(&mut self, amount: i64, (): &(), sink: &EventSink<Self>) -> Result<(), TooLittle> {
        if self.0 + amount < 0 {
            return Err(TooLittle);
        }
        sink.write(Moved(amount), self).await;
        Ok(())
    }
    fn apply(&mut self, Moved(amount): Moved) {
        self.0 += amount;
    }
}

struct Transfer(&'static str, &'static str, i64);
impl Decision for Transfer {
    type Output = ();
    type Error = ExecuteError<TooLittle>;
    async fn decide(&self, unit: &mut Unit) -> Result<(), Self::Error> {
        unit.execute::<Account>(self.0, -self.2).await?;
        unit.execute::<Account>(self.1, self.2).await
    }
}

impl EventSet for Moved {
    fn decode(_: &Head<'_>, json: &str) -> Decoded<Self> {
        serde_json::from_str(json).map_or_else(|error| Decoded::Broken(error.to_string()), Decoded::Event)
    }
}

struct Balances;
impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["balances"];
    type Event = Moved;
    type Fold = HashMap<String, i64>;
    async fn load(&self, has: &mut Self::Fold, tx: &mut Tx, target: Target, ids: &[&str]) -> Result<(), StoreError> {
        let select = format!("SELECT id, has FROM {} WHERE id {}", target.table("balances"), tx.dialect().among("$1"));
        has.extend(sql(select).bind(ids).fetch_all::<(String, i64)>(tx).await?);
        Ok(())
    }
    fn forget(&self, has: &mut Self::Fold, id: &str) {
        has.insert(id.to_owned(), 0);
    }
    fn apply(&self, has: &mut Self::Fold, entry: &Entry<Moved>) {
        *has.entry(entry.aggregate_id.clone()).or_default() += entry.event.0;
    }
    async fn save(&self, has: Self::Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        let rows = Bulk::new().text("id", has.keys().map(String::as_str)).int("has", has.values().copied());
        let (table, set) = (target.table("balances"), "ON CONFLICT (id) DO UPDATE SET has = excluded.has");
        Ok(rows.execute(tx, |rows| format!("INSERT INTO {table} (id, has) {rows} {set}")).await.map(drop)?)
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    let store = Store::new(Database::open(&url, Options::default()).await?, Vec::new);
    store.database().migrate(&MIGRATIONS).await?;
    for table in ["balances", "balances_rebuild"] {
        sql(format!("CREATE TABLE {table} (id TEXT PRIMARY KEY, has BIGINT NOT NULL)"))
            .execute(store.database())
            .await?;
    }
    let by = || Metadata::new(chrono::DateTime::UNIX_EPOCH, &[("by", "ann".to_owned())].into());
    let mut unit = store.unit(by());
    unit.execute::<Account>("ann", 100).await?;
    unit.commit().await?;
    store.run(by(), &Transfer("ann", "ben", 30)).await?;
    assert!(store.run(by(), &Transfer("ann", "ben", 80)).await.is_err(), "it is too much");

    let views = Registry::new().view(Balances);
    views.catch_up(&store, "balances").await?;
    views.rebuild(&store, "balances", &|at, head| println!("rebuilt: {at} of {head} events")).await?;
    let rows: Vec<(String, i64)> = sql("SELECT id, has FROM balances ORDER BY id").fetch_all(store.database()).await?;
    assert_eq!(rows, [("ann".to_owned(), 70), ("ben".to_owned(), 30)]);
    Ok(())
}
