//! Followers: an event counts once, whatever the batches and however many nodes; one that can't be applied stops its
//! follower alone.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountId, Actor, AttemptId, Authority, Connection, Evidence, Metadata, Reason, Right,
    Token, TokenCommand, TokenId, UserId, WidgetId,
    account::Plan,
    failure::Call,
    token::{Grant, Revocation, Way},
};
use projections::{Followers, rebuild::rebuild, states};
use store::{Database, Store, execute, on_both_engines, sqlx, testing::TestDatabase};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time") + TimeDelta::minutes(minutes)
}

fn metadata(minutes: i64) -> Metadata {
    Metadata {
        at: at(minutes),
        actor: Actor::Visitor,
        correlation: "test".to_owned(),
        causation: None,
        request: None,
        program: "relight test",
    }
}

fn grant(minutes: i64) -> TokenCommand {
    TokenCommand::Accept(Grant {
        token: TokenId::new(Uuid::now_v7()),
        attempt: AttemptId::new(Uuid::now_v7()),
        connection: Connection::Consumer,
        way: Way::Connect,
        granted_at: at(minutes),
        expires_at: Some(at(minutes) + TimeDelta::days(60)),
        data_access: None,
        permissions: vec!["instagram_business_basic".to_owned()],
    })
}

/// Lets something happen to an account: `choice` chooses what.
async fn happen(store: &Store, id: AccountId, minutes: i64, choice: u32) {
    let mut unit = store.unit(metadata(minutes));
    let account: Account = unit.load(id).await.expect("loads");
    let token: Token = unit.load(id).await.expect("loads");
    let user = UserId::new(Uuid::from_u128(u128::from(choice % 3) + 1));
    let by = Authority::Staff;
    let widget = account.widgets().keys().nth(choice as usize % 3).copied();
    let command = match (choice % 10, widget) {
        (0, _) => Some(AccountCommand::Connect { connection: Connection::Consumer, user }),
        (1, _) => Some(AccountCommand::GrantAccess { user, right: Right::Developer, by }),
        (2, _) => Some(AccountCommand::RevokeAccess { user, by }),
        (3, Some(widget)) => Some(AccountCommand::RemoveWidget { widget, by }),
        (4, Some(widget)) => Some(AccountCommand::ChangeWidgetPlan { widget, plan: Plan::Upgraded, by }),
        (5, Some(widget)) => Some(AccountCommand::ChangeWidgetPlan { widget, plan: Plan::Free, by }),
        (6, _) if choice % 70 == 6 => Some(AccountCommand::Disconnect { by }),
        (6..=9, _) => None,
        _ => Some(AccountCommand::AddWidget { widget: WidgetId::new(Uuid::now_v7()), plan: Plan::Free, by }),
    };
    let disconnects = matches!(command, Some(AccountCommand::Disconnect { .. }));
    // What the domain refuses doesn't happen.
    match command {
        Some(command) => drop(unit.execute::<Account>(id, command).await),
        None if choice % 10 == 7 => {
            if let Some(current) = token.active() {
                let evidence = Evidence { call: Call::Pull, at: at(minutes), code: None, subcode: None, trace: None };
                let command = TokenCommand::ReportFailure { token: current.id, reason: Reason::AppRemoved, evidence };
                drop(unit.execute::<Token>(id, command).await);
            }
        }
        None => drop(unit.execute::<Token>(id, grant(minutes)).await),
    }
    if disconnects {
        drop(unit.execute::<Token>(id, TokenCommand::Revoke(Revocation::Disconnected)).await);
    }
    drop(unit.commit().await);
}

const TABLES: [(&str, &str); 4] = [
    ("account_status_v1", "account_id"),
    ("account_rights_v1", "account_id, user_id"),
    ("widgets_v1", "widget_id"),
    ("work_v1", "kind, key"),
];

/// All views' rows as text.
async fn views(store: &Store) -> String {
    let mut all = String::new();
    for (table, order) in TABLES {
        let rows: Vec<String> = match store.database() {
            Database::Postgres(pool) => {
                let sql = format!("SELECT t::text FROM {table} t ORDER BY {order}");
                sqlx::query_scalar(&sql).fetch_all(pool).await.expect("rows")
            }
            Database::Sqlite(pools) => {
                let sql = format!("SELECT name FROM pragma_table_info('{table}')");
                let columns: Vec<String> = sqlx::query_scalar(&sql).fetch_all(&pools.read).await.expect("columns");
                let row = columns.iter().map(|name| format!("coalesce(CAST({name} AS TEXT), '-')")).collect::<Vec<_>>();
                let sql = format!("SELECT {} FROM {table} ORDER BY {order}", row.join(" || ' ' || "));
                sqlx::query_scalar(&sql).fetch_all(&pools.read).await.expect("rows")
            }
        };
        all.extend([table.to_owned()].into_iter().chain(rows).map(|line| line + "\n"));
    }
    all
}

async fn do_sql(store: &Store, sql: &str) {
    let mut tx = store.database().begin().await.expect("begins");
    execute!(&mut tx, sqlx::query(sql)).expect(sql);
    tx.commit().await.expect("commits");
}

async fn until_all_follow(store: &Store) {
    let head = store.head().await.expect("a head");
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let states = states(store).await.expect("states");
        if states.len() == 2 && states.iter().all(|state| state.position == head) {
            return;
        }
        assert!(Instant::now() < deadline, "{states:?} and not {head}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

on_both_engines! {
    async fn an_event_counts_once_whatever_the_batches_and_the_nodes(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let nodes = [database.store().await, database.store().await];
        let stop = CancellationToken::new();
        let followers = nodes.each_ref().map(|store| Followers::start(store, &stop));
        let ids: Vec<_> = (0..12).map(|_| AccountId::new(Uuid::now_v7())).collect();
        let writers = nodes.each_ref().map(|store| {
            let (store, ids) = (store.clone(), ids.clone());
            tokio::spawn(async move {
                for (minutes, id) in (0..).zip(&ids) {
                    happen(&store, *id, minutes, 0).await;
                    happen(&store, *id, minutes, 8).await;
                }
                for minutes in 100..500_u32 {
                    // Any numbers will do, as long as they are many.
                    let choice = minutes.wrapping_mul(2_654_435_761).rotate_left(minutes % 7) >> 5;
                    happen(&store, ids[choice as usize % ids.len()], minutes.into(), choice / 12).await;
                }
            })
        });
        for writer in writers {
            writer.await.expect("no panic");
        }
        happen(&nodes[0], ids[0], 600, 76).await;
        until_all_follow(&nodes[0]).await;
        stop.cancel();
        for followers in followers {
            followers.stopped().await;
        }
        let grown = views(&nodes[0]).await;
        for (table, _) in TABLES {
            do_sql(&nodes[0], &format!("DELETE FROM {table}")).await;
        }
        do_sql(&nodes[0], "DELETE FROM checkpoints").await;
        // The same from the first event on, all of it at once.
        let stop = CancellationToken::new();
        let followers = Followers::start(&nodes[0], &stop);
        until_all_follow(&nodes[0]).await;
        stop.cancel();
        followers.stopped().await;
        assert_eq!(grown, views(&nodes[0]).await);
        assert!(grown.contains("expired") && grown.contains("disconnected") && grown.contains("upgraded"), "{grown}");
    }

    async fn a_rebuild_beside_heals_the_views_while_they_serve(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let stop = CancellationToken::new();
        let followers = Followers::start(&store, &stop);
        let ids: Vec<_> = (0..6).map(|_| AccountId::new(Uuid::now_v7())).collect();
        for (minutes, id) in (0..).zip(&ids) {
            for choice in [0, 8, 19, 20, 29, 4] {
                happen(&store, *id, minutes, choice).await;
            }
        }
        until_all_follow(&store).await;
        // Somebody works on one, and another has failed: that is nobody's event, and stays.
        do_sql(&store, "UPDATE work_v1 SET attempts = 3, last_error = 'Meta could not answer'").await;
        let before = views(&store).await;
        do_sql(&store, "UPDATE account_status_v1 SET status = 'disconnected', reason = NULL, free_widgets = 77").await;
        do_sql(&store, "DELETE FROM account_rights_v1").await;
        do_sql(&store, "DELETE FROM widgets_v1").await;
        do_sql(&store, "UPDATE work_v1 SET free_widgets = 77").await;
        let progress = |_, _| {};
        rebuild(&store, "account_status", &progress).await.expect("rebuilt");
        rebuild(&store, "work", &progress).await.expect("rebuilt");
        assert_eq!(views(&store).await, before);
        // While others write, it takes over between two of their events.
        let writer = tokio::spawn({
            let (store, ids) = (store.clone(), ids.clone());
            async move {
                for minutes in 100..200_u32 {
                    happen(&store, ids[minutes as usize % ids.len()], minutes.into(), minutes).await;
                }
            }
        });
        while !writer.is_finished() {
            rebuild(&store, "account_status", &progress).await.expect("rebuilt");
        }
        writer.await.expect("no panic");
        until_all_follow(&store).await;
        stop.cancel();
        followers.stopped().await;
        let grown = views(&store).await;
        rebuild(&store, "account_status", &progress).await.expect("rebuilt");
        assert_eq!(views(&store).await, grown);
        assert!(rebuild(&store, "odd", &progress).await.is_err());
    }

    async fn an_interrupted_rebuild_goes_on_where_it_was(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids: Vec<_> = (0..3).map(|_| AccountId::new(Uuid::now_v7())).collect();
        for (minutes, id) in (0..).zip(&ids) {
            happen(&store, *id, minutes, 0).await;
        }
        projections::catch_up(&store, "account_status").await.expect("follows");
        let before = views(&store).await;
        // As if it had been interrupted after the first account.
        do_sql(&store, "INSERT INTO account_status_v1_rebuild SELECT * FROM account_status_v1 WHERE position = 2").await;
        do_sql(&store, "INSERT INTO account_rights_v1_rebuild SELECT * FROM account_rights_v1 WHERE account_id IN \
            (SELECT account_id FROM account_status_v1 WHERE position = 2)").await;
        do_sql(&store, "INSERT INTO checkpoints (name, version, position) VALUES ('account_status_rebuild', 1, 2)").await;
        let seen = std::sync::Mutex::new(Vec::new());
        rebuild(&store, "account_status", &|position, head| seen.lock().expect("unbroken").push((position, head)))
            .await
            .expect("rebuilt");
        assert_eq!(views(&store).await, before);
        assert_eq!(*seen.lock().expect("unbroken"), [(6, 6)]);
        assert_eq!(states(&store).await.expect("states").len(), 1);
    }

    async fn an_event_that_cannot_be_applied_stops_its_follower_alone(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let (good, bad, later) =
            (AccountId::new(Uuid::now_v7()), AccountId::new(Uuid::now_v7()), AccountId::new(Uuid::now_v7()));
        let widget = WidgetId::new(Uuid::now_v7());
        let add = || AccountCommand::AddWidget { widget, plan: Plan::Free, by: Authority::Staff };
        happen(&store, good, 0, 0).await;
        happen(&store, bad, 0, 0).await;
        let mut poison = 0;
        for id in [good, bad] {
            // The same widget in two accounts: no view can show that.
            let mut unit = store.unit(metadata(1));
            unit.execute::<Account>(id, add()).await.expect("decides");
            poison = unit.commit().await.expect("commits").position.expect("a position");
        }
        happen(&store, later, 2, 0).await;
        let stop = CancellationToken::new();
        let followers = Followers::start(&store, &stop);
        let head = store.head().await.expect("a head");
        let deadline = Instant::now() + Duration::from_mins(1);
        let stopped = loop {
            let states = states(&store).await.expect("states");
            let of = |name: &str| states.iter().find(|state| state.name == name).cloned();
            if let (Some(status), Some(work)) = (of("account_status"), of("work"))
                && status.failure.is_some()
                && work.position == head
            {
                assert_eq!(work.failure, None);
                break status;
            }
            assert!(Instant::now() < deadline, "{states:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!((stopped.position, stopped.failure.map(|(position, _)| position)), (poison - 1, Some(poison)));
        let shown = views(&store).await;
        assert!(!shown.split("work_v1").next().is_some_and(|views| views.contains(&later.to_string())), "skipped");
        stop.cancel();
        followers.stopped().await;
    }
}
