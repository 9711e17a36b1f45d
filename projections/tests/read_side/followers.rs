//! Followers: an event counts once, whatever the batches and however many nodes; one that can't be applied sets its
//! account aside in that view alone.

use domain::{Account, AccountCommand, AccountId, Authority, WidgetId, account::Plan};
use engine::{Database, Quarantined, on_both_engines, quarantined, sqlx};
use store::testing::TestDatabase;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{TABLES, do_sql, happen, metadata, registry, until_all_follow, views};

on_both_engines! {
    async fn an_event_counts_once_whatever_the_batches_and_the_nodes(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let nodes = [database.store().await, database.store().await];
        let stop = CancellationToken::new();
        let followers = nodes.each_ref().map(|store| registry().run(store, &stop));
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
        let followers = registry().run(&nodes[0], &stop);
        until_all_follow(&nodes[0]).await;
        stop.cancel();
        followers.stopped().await;
        assert_eq!(grown, views(&nodes[0]).await);
        // What commands decide is never refused.
        assert_eq!(quarantined(&nodes[0], None, 10).await.expect("read"), []);
        assert!(grown.contains("expired") && grown.contains("disconnected") && grown.contains("upgraded"), "{grown}");
    }

    async fn a_node_that_stops_talking_loses_its_turn(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let (store, frozen) = (database.store().await, database.store().await);
        happen(&store, AccountId::new(Uuid::now_v7()), 0, 0).await;
        registry().catch_up(&store, "account_status").await.expect("follows");
        // In the middle of its turn; on SQLite there is nobody else.
        let Database::Postgres(pool) = frozen.database() else { return };
        let mut turn = pool.begin().await.expect("begins");
        let lock = "SELECT 1 FROM checkpoints WHERE name = 'account_status' FOR UPDATE";
        sqlx::query(lock).execute(&mut *turn).await.expect("locked");
        happen(&store, AccountId::new(Uuid::now_v7()), 1, 0).await;
        let stop = CancellationToken::new();
        let followers = registry().run(&store, &stop);
        until_all_follow(&store).await;
        assert!(turn.commit().await.is_err(), "it still has its turn");
        stop.cancel();
        followers.stopped().await;
    }

    async fn an_event_that_cannot_be_applied_sets_its_account_aside_in_that_view_alone(engine: Engine) {
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
        let followers = registry().run(&store, &stop);
        until_all_follow(&store).await;
        let aside = quarantined(&store, None, 10).await.expect("read");
        let of = |one: &Quarantined| (one.projection.clone(), one.aggregate_id.clone(), one.position);
        assert_eq!(aside.iter().map(of).collect::<Vec<_>>(), [("account_status".to_owned(), bad.to_string(), poison)]);
        let shown = views(&store).await;
        assert!(shown.split("widget_counts_v1").next().is_some_and(|views| views.contains(&later.to_string())), "it goes on");
        stop.cancel();
        followers.stopped().await;
    }

    async fn an_account_that_is_tried_again_is_as_if_nothing_had_been(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids: Vec<_> = (0..4).map(|_| AccountId::new(Uuid::now_v7())).collect();
        for (minutes, id) in (0..).zip(&ids) {
            happen(&store, *id, minutes, 0).await;
            for choice in [8, 4, 20, 76] {
                happen(&store, *id, minutes + i64::from(choice), choice).await;
            }
        }
        let registry = registry();
        for name in ["account_status", "work"] {
            registry.catch_up(&store, name).await.expect("follows");
        }
        let before = views(&store).await;
        // As after an event in the middle of one's story that could not be applied: rows of it are there, and behind.
        for name in ["account_status", "work"] {
            do_sql(&store, &format!("INSERT INTO quarantine (projection, aggregate_id, position, failure, program) \
                                     VALUES ('{name}', '{}', 3, 'of a test', 'of a test')", ids[1])).await;
        }
        let retried = registry.retry(&store, None, None).await.expect("tries");
        assert_eq!(retried.iter().filter(|one| one.failure.is_none()).count(), 2, "{retried:?}");
        assert_eq!(views(&store).await, before);
    }
}
