//! Units and the journal, on both engines.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountError, AccountEvent, AccountId, Authority, Connection, UserId, WidgetId,
    account::Plan,
};
use engine::{CommitError, Decision, ExecuteError, Filter, Query, Store, StoreError, Unit, on_both_engines, sql};
use store::Metadata;
use store::{
    Event,
    testing::{self, TestDatabase},
};
use uuid::Uuid;

fn account() -> AccountId {
    AccountId::new(Uuid::now_v7())
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 123_456_789).expect("a time")
}

fn metadata() -> Metadata {
    Metadata { request: Some("request-1".to_owned()), ..testing::metadata(at()) }
}

fn connect() -> AccountCommand {
    AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(Uuid::from_u128(1)) }
}

async fn connected(store: &Store) -> AccountId {
    let id = account();
    let mut unit = store.unit(metadata());
    unit.execute::<Account>(id, connect()).await.expect("connects");
    unit.commit().await.expect("commits");
    id
}

fn add_widget() -> AccountCommand {
    AccountCommand::AddWidget { widget: WidgetId::new(Uuid::now_v7()), plan: Plan::Free, by: Authority::Staff }
}

fn guarded(text: &'static str) -> Query {
    sql(text).guarded()
}

/// Adds a widget, a little late, so that rivals meet.
struct AddWidget(AccountId);

impl Decision for AddWidget {
    type Output = ();
    type Error = StoreError;

    async fn decide(&self, unit: &mut Unit) -> Result<(), StoreError> {
        unit.execute::<Account>(self.0, add_widget()).await.map_err(|error| match error {
            ExecuteError::Store(error) => error,
            ExecuteError::Rule(rule) => panic!("{rule}"),
        })
    }
}

on_both_engines! {
    async fn a_unit_is_read_back_as_it_was_written(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = connected(&store).await;
        let events = store.events_after(0, 10).await.expect("reads");
        assert_eq!(events.len(), 2);
        let first = &events[0];
        assert_eq!(first.event::<Event>().expect("known"), Event::Account(AccountEvent::Connected { connection: Connection::Consumer }));
        assert_eq!((first.aggregate_id.as_str(), first.sequence), (id.to_string().as_str(), 1));
        assert_eq!((first.aggregate.as_str(), first.event_type.as_str(), first.version.as_str()), ("account", "Connected", "1"));
        assert_eq!(first.at, DateTime::from_timestamp_micros(at().timestamp_micros()).expect("a time"));
        assert_eq!((first.actor.as_str(), engine::json(&first.metadata)["request"].as_str()), ("visitor", Some("request-1")));
        assert_eq!(engine::json(&first.metadata)["at"], "2026-09-21T14:13:20.123456Z");
        assert!(events[0].position < events[1].position);
    }

    async fn commands_of_one_unit_see_each_other(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = account();
        let mut unit = store.unit(metadata());
        unit.execute::<Account>(id, connect()).await.expect("connects");
        unit.execute::<Account>(id, connect()).await.expect("is so already");
        unit.execute::<Account>(id, add_widget()).await.expect("adds");
        assert_eq!(unit.load::<Account>(id).await.expect("loads").widgets().len(), 1);
        let committed = unit.commit().await.expect("commits");
        let events = store.events_after(0, 10).await.expect("reads");
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(committed.position, events.last().map(|event| event.position));
    }

    async fn a_broken_rule_is_told_as_the_domains_error(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let mut unit = store.unit(metadata());
        let refused = unit.execute::<Account>(account(), add_widget()).await;
        assert!(matches!(refused, Err(ExecuteError::Rule(AccountError::Missing))));
        assert_eq!(unit.commit().await.expect("nothing to write").position, None);
    }

    async fn a_unit_whose_guard_finds_no_row_writes_nothing(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let mut unit = store.unit(metadata());
        unit.execute::<Account>(account(), connect()).await.expect("connects");
        unit.write(sql("INSERT INTO users (id, email, password, role, created_at) VALUES ($1, $2, $2, 'admin', $3)")
            .bind("u").bind("e").bind(at()));
        unit.write(guarded("UPDATE users SET email = 'x' WHERE id = 'nobody'"));
        assert!(matches!(unit.commit().await, Err(CommitError::Refused)));
        assert_eq!(store.head().await.expect("reads"), 0);
        let users: i64 = sql("SELECT count(*) FROM users").scalar(store.database()).await
            .expect("counts");
        assert_eq!(users, 0);
    }

    async fn of_two_units_on_one_stream_one_conflicts(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = connected(&store).await;
        let (mut one, mut two) = (store.unit(metadata()), store.unit(metadata()));
        one.execute::<Account>(id, add_widget()).await.expect("adds");
        two.execute::<Account>(id, add_widget()).await.expect("adds");
        one.commit().await.expect("the first wins");
        assert!(matches!(two.commit().await, Err(CommitError::Conflict)));
    }

    async fn rivals_decide_again_until_each_has_its_way(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = connected(&store).await;
        let rivals: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.run(&metadata(), &AddWidget(id)).await })
            })
            .collect();
        for rival in rivals {
            rival.await.expect("no panic").expect("each gets its turn");
        }
        let account: Account = store.unit(metadata()).load(id).await.expect("loads");
        assert_eq!(account.widgets().len(), 4);
    }

    async fn readers_see_positions_in_order_and_skip_none(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..25 {
                        connected(&store).await;
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        let mut woken = store.wake().listen();
        while seen.len() < 200 {
            let after = seen.last().copied().unwrap_or(0);
            let events = store.events_after(after, 17).await.expect("reads");
            if events.is_empty() {
                woken.changed().await.expect("the store is there");
            }
            seen.extend(events.into_iter().map(|event| event.position));
        }
        for writer in writers {
            writer.await.expect("no panic");
        }
        let all = store.events_after(0, 1_000).await.expect("reads");
        assert_eq!(seen, all.iter().map(|event| event.position).collect::<Vec<_>>());
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 200);
    }

    async fn a_filter_leaves_what_it_says(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = connected(&store).await;
        connected(&store).await;
        let later = Metadata { at: at() + TimeDelta::hours(1), ..metadata() };
        store.run(&later, &AddWidget(id)).await.expect("adds");
        let types = async |filter: Filter| {
            let events = store.events(&filter, 10).await.expect("reads");
            events.into_iter().map(|event| event.event_type).collect::<Vec<_>>()
        };
        let of = Filter { aggregate_id: Some(id.to_string()), ..Filter::default() };
        assert_eq!(types(of.clone()).await, ["Connected", "AccessGranted", "WidgetAdded"]);
        assert_eq!(types(Filter { event_type: Some("Connected".to_owned()), ..Filter::default() }).await.len(), 2);
        assert_eq!(types(Filter { from: Some(at() + TimeDelta::minutes(1)), ..of.clone() }).await, ["WidgetAdded"]);
        assert_eq!(types(Filter { to: Some(at() + TimeDelta::minutes(1)), ..of }).await.len(), 2);
    }

    async fn nobody_changes_the_journal(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        connected(&store).await;
        let columns = "position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at";
        let mut changes = vec!["UPDATE events SET event_type = 'x'".to_owned(), "DELETE FROM events".to_owned()];
        match store.database() {
            engine::Database::Sqlite(_) => {
                changes.push(format!("REPLACE INTO events ({columns}) SELECT {columns} FROM events"));
            }
            engine::Database::Postgres(_) => changes.push("TRUNCATE events".to_owned()),
        }
        for change in changes {
            let mut tx = store.database().begin().await.expect("begins");
            let refused = sql(change.clone()).execute(&mut tx).await.expect_err(&change);
            assert!(refused.to_string().contains("append-only"), "{change}: {refused}");
        }
    }
}
