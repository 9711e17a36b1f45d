//! Folds are total: whatever events a journal holds, in whatever order, no fold panics, and views go on.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use domain::{
    AccountEvent, AttemptId, Connection, Reason, Right, TokenEvent, TokenId, UserId, WidgetId,
    account::{NoticeKind, Plan},
    failure::{Call, Evidence},
    schedule::Schedule,
    token::{DataAccess, Grant, Revocation, Way},
};
use engine::{Bulk, Filter, Store, quarantined, sql, testing::Engine};
use projections::{accounts, story};
use proptest::{prelude::*, sample::select};
use store::{Event, testing::TestDatabase};
use uuid::Uuid;

use super::running::{SERVICE, holds_async};

fn id<T: std::fmt::Debug>(new: fn(Uuid) -> T) -> impl Strategy<Value = T> {
    // Few, so that events of one sequence are about the same things.
    (1..4_u128).prop_map(move |number| new(Uuid::from_u128(number)))
}

/// The years 1 to 9999, as databases keep them.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let near = 1_790_000_000..1_800_000_000_i64;
    prop_oneof![4 => near, 1 => -62_135_596_800..253_402_300_800_i64]
        .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).expect("an instant"))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let call = select(vec![Call::Pull, Call::Check, Call::Renew, Call::Deauthorization]);
    (call, instant(), any::<Option<i64>>()).prop_map(|(call, at, code)| Evidence { code, ..Evidence::of(call, at) })
}

fn data_access() -> impl Strategy<Value = DataAccess> {
    (instant(), any::<bool>()).prop_map(|(ends_at, estimated)| DataAccess { ends_at, estimated })
}

fn grant() -> impl Strategy<Value = Grant> {
    let times = (instant(), proptest::option::of(instant()), proptest::option::of(data_access()));
    let way = select(vec![Way::Connect, Way::Account, Way::TokenPage, Way::Link, Way::Switch]);
    let connection = select(Connection::ALL.to_vec());
    (id(TokenId::new), id(AttemptId::new), connection, way, times).prop_map(
        |(token, attempt, connection, way, times)| {
            let (granted_at, expires_at, data_access) = times;
            Grant { token, attempt, connection, way, granted_at, expires_at, data_access, permissions: Vec::new() }
        },
    )
}

fn of_token() -> impl Strategy<Value = TokenEvent> {
    let reason = select(vec![Reason::Lifetime, Reason::AppRemoved, Reason::PermissionMissing, Reason::Unknown]);
    let cause = select(vec![Revocation::Disconnected, Revocation::Erased]);
    prop_oneof![
        (any::<u32>(), grant()).prop_map(|(generation, grant)| TokenEvent::Issued { generation, grant }),
        (any::<u32>(), grant()).prop_map(|(generation, grant)| TokenEvent::Refreshed { generation, grant }),
        (id(TokenId::new), id(TokenId::new), proptest::option::of(instant()))
            .prop_map(|(previous, token, expires_at)| TokenEvent::Renewed { previous, token, expires_at }),
        (id(TokenId::new), proptest::option::of(instant()), proptest::option::of(data_access()), evidence()).prop_map(
            |(token, expires_at, data_access, evidence)| TokenEvent::DeadlinesMoved {
                token,
                expires_at,
                data_access,
                evidence
            }
        ),
        (id(TokenId::new), proptest::option::of(data_access()), evidence())
            .prop_map(|(token, data_access, evidence)| TokenEvent::DataAccessMoved { token, data_access, evidence }),
        (
            id(TokenId::new),
            id(TokenId::new),
            proptest::option::of(instant()),
            proptest::option::of(data_access()),
            evidence()
        )
            .prop_map(|(previous, token, expires_at, data_access, evidence)| TokenEvent::Restored {
                previous,
                token,
                expires_at,
                data_access,
                evidence
            }),
        (id(TokenId::new), evidence()).prop_map(|(token, evidence)| TokenEvent::ReadingRefused { token, evidence }),
        (id(TokenId::new), evidence()).prop_map(|(token, evidence)| TokenEvent::ReadingResumed { token, evidence }),
        (id(TokenId::new), instant(), evidence()).prop_map(|(token, since, evidence)| TokenEvent::RenewalFailing {
            token,
            since,
            evidence
        }),
        (id(TokenId::new), reason, proptest::option::of(evidence()))
            .prop_map(|(token, reason, evidence)| TokenEvent::Expired { token, reason, evidence }),
        (id(TokenId::new), cause).prop_map(|(token, cause)| TokenEvent::Revoked { token, cause }),
    ]
}

fn of_account() -> impl Strategy<Value = AccountEvent> {
    let plan = || select(vec![Plan::Free, Plan::Upgraded]);
    let right = select(vec![Right::Owner, Right::Developer]);
    let connection = || select(Connection::ALL.to_vec());
    prop_oneof![
        connection().prop_map(|connection| AccountEvent::Connected { connection }),
        (connection(), connection()).prop_map(|(from, to)| AccountEvent::ConnectionChanged { from, to }),
        (id(UserId::new), right).prop_map(|(user, right)| AccountEvent::AccessGranted { user, right }),
        id(UserId::new).prop_map(|user| AccountEvent::AccessRevoked { user }),
        (id(WidgetId::new), plan()).prop_map(|(widget, plan)| AccountEvent::WidgetAdded { widget, plan }),
        (id(WidgetId::new), plan(), plan()).prop_map(|(widget, from, plan)| AccountEvent::WidgetPlanChanged {
            widget,
            from,
            plan
        }),
        (id(WidgetId::new), plan()).prop_map(|(widget, plan)| AccountEvent::WidgetRemoved { widget, plan }),
        (id(UserId::new), any::<i64>(), any::<Option<u32>>(), instant()).prop_map(|(user, cause, days_left, at)| {
            AccountEvent::NoticeSent { user, kind: NoticeKind::Reminder, cause, days_left, link: None, at }
        }),
        (id(TokenId::new), evidence()).prop_map(|(token, evidence)| AccountEvent::PasswordChanged { token, evidence }),
        Just(AccountEvent::Disconnected),
        Just(AccountEvent::ErasureRequested),
        any::<u64>().prop_map(|rows| AccountEvent::Erased { receipt: [("profiles".to_owned(), rows)].into() }),
    ]
}

fn event() -> impl Strategy<Value = (Event, DateTime<Utc>)> {
    (prop_oneof![of_account().prop_map(Event::Account), of_token().prop_map(Event::Token)], instant())
}

/// Appends events to the streams of one account, as no command would have decided them.
async fn append(store: &Store, account: &str, events: &[(Event, DateTime<Utc>)]) {
    let (mut next, mut rows) = ([1, 1], Vec::new());
    for (event, at) in events {
        let (which, stream, event_type, payload) = match event {
            Event::Account(event) => (0, "account", event.event_type(), serde_json::to_string(event).expect("JSON")),
            Event::Token(event) => (1, "token", event.event_type(), serde_json::to_string(event).expect("JSON")),
        };
        rows.push((stream, next[which], event_type, payload, *at));
        next[which] += 1;
    }
    let bulk = Bulk::new()
        .text("aggregate_type", rows.iter().map(|row| row.0))
        .text("aggregate_id", rows.iter().map(|_| account))
        .int("sequence", rows.iter().map(|row| row.1))
        .text("event_type", rows.iter().map(|row| row.2.as_str()))
        .text("event_version", rows.iter().map(|_| "1"))
        .json("payload", rows.iter().map(|row| row.3.as_str()))
        .json("metadata", rows.iter().map(|_| "{}"))
        .time("at", rows.iter().map(|row| row.4));
    let names = bulk.names();
    let mut tx = store.database().begin().await.expect("begins");
    bulk.execute(&mut tx, |rows| format!("INSERT INTO events ({names}) {rows}")).await.expect("appended");
    tx.commit().await.expect("commits");
}

async fn no_sequence_of_events_panics_a_fold(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let store = database.store().await;
    let registry = projections::registry(Schedule::default());
    holds_async(SERVICE, &proptest::collection::vec(event(), 1..24), async |events| {
        let account = Uuid::now_v7().to_string();
        append(&store, &account, &events).await;
        for name in [projections::ACCOUNT_STATUS, projections::WORK] {
            registry.catch_up(&store, name).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
        // The database may refuse what no command decides, such as a widget that is added twice. Nothing else goes wrong.
        for aside in quarantined(&store, None, 1_000).await.expect("read") {
            let is_refused = aside.failure.contains("UNIQUE") || aside.failure.contains("unique");
            prop_assert!(is_refused, "{aside:?}");
        }
        // So many would stop a view whose program is not wrong.
        sql("DELETE FROM quarantine").execute(store.database()).await.expect("deleted");
        let filter = Filter { aggregate_id: Some(account.clone()), ..Filter::default() };
        let told = story::tell(store.events(&filter, 100).await.expect("read"));
        prop_assert_eq!(told.len(), events.len());
        let id = account.parse().expect("an id");
        accounts::account_for(store.database(), id, accounts::Viewer::Staff).await.expect("it can be shown");
        Ok(())
    });
    store.database().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_events_panics_a_fold_on_sqlite() {
    no_sequence_of_events_panics_a_fold(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_events_panics_a_fold_on_postgres() {
    no_sequence_of_events_panics_a_fold(Engine::Postgres).await;
}
