//! Rebuilds beside: they heal what serves, go on where they were interrupted, and come by themselves with a new version.

use std::time::Duration;

use chrono::SubsecRound;
use domain::{AccountId, account::Plan, schedule::PullIntervals};
use engine::{
    jobs::{End, Room, Waiting, Worker},
    on_both_engines,
    testing::found,
};
use projections::{
    feeds,
    jobs::{self, META},
};
use store::testing::TestDatabase;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{at, do_sql, happen, registry, until_all_follow, views};

on_both_engines! {
    async fn a_rebuild_beside_heals_the_views_while_they_serve(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let stop = CancellationToken::new();
        let followers = registry().run(&store, &stop);
        let ids: Vec<_> = (0..6).map(|_| AccountId::new(Uuid::now_v7())).collect();
        for (minutes, id) in (0..).zip(&ids) {
            for choice in [0, 8, 19, 20, 29, 4] {
                happen(&store, *id, minutes, choice).await;
            }
        }
        until_all_follow(&store).await;
        // Somebody works on one, and another has failed: that is nobody's event, and stays.
        do_sql(&store, "UPDATE jobs SET attempts = 3, last_error = 'Meta could not answer'").await;
        let before = views(&store).await;
        do_sql(&store, "UPDATE account_status_v1 SET status = 'disconnected', reason = NULL, free_widgets = 77").await;
        do_sql(&store, "DELETE FROM account_rights_v1").await;
        do_sql(&store, "DELETE FROM widgets_v1").await;
        do_sql(&store, "UPDATE widget_counts_v1 SET free_widgets = 77").await;
        let progress = |_, _| {};
        registry().rebuild(&store, "account_status", &progress).await.expect("rebuilt");
        registry().rebuild(&store, "work", &progress).await.expect("rebuilt");
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
            registry().rebuild(&store, "account_status", &progress).await.expect("rebuilt");
        }
        writer.await.expect("no panic");
        until_all_follow(&store).await;
        stop.cancel();
        followers.stopped().await;
        let grown = views(&store).await;
        registry().rebuild(&store, "account_status", &progress).await.expect("rebuilt");
        assert_eq!(views(&store).await, grown);
        assert!(registry().rebuild(&store, "odd", &progress).await.is_err());
    }

    async fn an_interrupted_rebuild_goes_on_where_it_was(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids: Vec<_> = (0..3).map(|_| AccountId::new(Uuid::now_v7())).collect();
        for (minutes, id) in (0..).zip(&ids) {
            happen(&store, *id, minutes, 0).await;
        }
        registry().catch_up(&store, "account_status").await.expect("follows");
        let before = views(&store).await;
        // As if it had been interrupted after the first account.
        do_sql(&store, "INSERT INTO account_status_v1_rebuild SELECT * FROM account_status_v1 WHERE position = 2").await;
        do_sql(&store, "INSERT INTO account_rights_v1_rebuild SELECT * FROM account_rights_v1 WHERE account_id IN \
            (SELECT account_id FROM account_status_v1 WHERE position = 2)").await;
        do_sql(&store, "INSERT INTO account_counts_v1_rebuild VALUES ('disconnected', 1)").await;
        do_sql(&store, "INSERT INTO checkpoints (name, version, position) VALUES ('account_status_rebuild', 2, 2)").await;
        let seen = std::sync::Mutex::new(Vec::new());
        registry().rebuild(&store, "account_status", &|position, head| seen.lock().expect("unbroken").push((position, head)))
            .await
            .expect("rebuilt");
        assert_eq!(views(&store).await, before);
        assert_eq!(*seen.lock().expect("unbroken"), [(6, 6)]);
        assert_eq!(registry().states(&store).await.expect("states").len(), 1);
    }

    async fn what_an_older_program_made_is_rebuilt_by_itself(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let ids: Vec<_> = (0..3).map(|_| AccountId::new(Uuid::now_v7())).collect();
        for (minutes, id) in (0..).zip(&ids) {
            happen(&store, *id, minutes, 0).await;
        }
        registry().catch_up(&store, "account_status").await.expect("follows");
        registry().catch_up(&store, "work").await.expect("follows");
        let before = views(&store).await;
        // The older one folded events into other rows, and another one still older began to rebuild them.
        do_sql(&store, "UPDATE checkpoints SET version = 0 WHERE name = 'account_status'").await;
        do_sql(&store, "UPDATE account_status_v1 SET free_widgets = 77").await;
        do_sql(&store, "INSERT INTO account_status_v1_rebuild SELECT * FROM account_status_v1").await;
        do_sql(&store, "INSERT INTO checkpoints (name, version, position) VALUES ('account_status_rebuild', -1, 6)").await;
        // Several nodes of the new one start at once.
        let nodes = [store.clone(), database.store().await];
        let stop = CancellationToken::new();
        let followers = nodes.each_ref().map(|node| registry().run(node, &stop));
        found("the new version", async || {
            let states = registry().states(&store).await.expect("states");
            let made = states.iter().find(|state| state.name == "account_status").map(|state| state.version);
            let is_made = made.is_some_and(|version| version > 0) && states.len() == 2;
            if is_made { Ok(()) } else { Err(format!("{states:?}")) }
        }).await;
        assert_eq!(views(&store).await, before);
        happen(&store, ids[0], 10, 20).await;
        until_all_follow(&store).await;
        stop.cancel();
        for followers in followers {
            followers.stopped().await;
        }
    }

    async fn an_older_program_leaves_alone_what_a_newer_one_made(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        happen(&store, AccountId::new(Uuid::now_v7()), 0, 0).await;
        registry().catch_up(&store, "account_status").await.expect("follows");
        do_sql(&store, "UPDATE checkpoints SET version = 99 WHERE name = 'account_status'").await;
        let before = views(&store).await;
        happen(&store, AccountId::new(Uuid::now_v7()), 1, 0).await;
        registry().catch_up(&store, "account_status").await.expect("rests");
        assert!(registry().rebuild(&store, "account_status", &|_, _| {}).await.is_err(), "versions only go upward");
        // Nor does it take over what a newer one has half built.
        do_sql(&store, "UPDATE checkpoints SET version = 2 WHERE name = 'account_status'").await;
        do_sql(&store, "INSERT INTO checkpoints (name, version, position) VALUES ('account_status_rebuild', 99, 1)").await;
        assert!(registry().rebuild(&store, "account_status", &|_, _| {}).await.is_err(), "another program's rebuild");
        do_sql(&store, "DELETE FROM checkpoints WHERE name = 'account_status_rebuild'").await;
        do_sql(&store, "UPDATE checkpoints SET version = 99 WHERE name = 'account_status'").await;
        assert_eq!(views(&store).await, before);
        // It still knows how far the newer one is, for those who wait for it.
        do_sql(&store, "UPDATE checkpoints SET position = 42 WHERE name = 'account_status'").await;
        let stop = CancellationToken::new();
        let followers = registry().run(&store, &stop);
        let mut position = followers.position(projections::ACCOUNT_STATUS).expect("it runs");
        let seen = position.wait_for(|position| *position == 42);
        tokio::time::timeout(Duration::from_mins(1), seen).await.expect("in time").expect("runs");
        stop.cancel();
        followers.stopped().await;
    }

    async fn lost_work_is_due_when_its_feed_says(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let [pulled, new] = [AccountId::new(Uuid::now_v7()), AccountId::new(Uuid::now_v7())];
        for id in [pulled, new] {
            happen(&store, id, 0, 0).await;
            happen(&store, id, 0, 19).await;
        }
        registry().catch_up(&store, "work").await.expect("follows");
        let worker = Worker::new(store.database(), "node");
        let claimed = worker.claim(META, at(5), Room::of(10)).await.expect("claims");
        let job = claimed.iter().find(|job| job.held.key() == pulled.to_string()).expect("it is due");
        let mut tx = store.database().begin().await.expect("begins");
        let held = job.held.end(&mut tx, End::Next(Some(at(500)))).await.expect("ends").expect("held");
        feeds::store(&mut tx, &held, pulled, &[Plan::Free], "[]", at(5)).await.expect("stored");
        tx.commit().await.expect("commits");
        do_sql(&store, "DELETE FROM jobs").await;
        registry().rebuild(&store, "work", &|_, _| {}).await.expect("rebuilt");
        let due = |waiting: Vec<Waiting>| waiting.first().and_then(|row| Some((row.priority, row.due_at?)));
        let of = async |id| due(jobs::waiting_for(store.database(), id, 10).await.expect("waits"));
        let next = PullIntervals::default().next_pull(pulled, Plan::Free, at(5)).trunc_subsecs(6);
        assert_eq!(of(pulled).await, Some((1, next)));
        assert_eq!(of(new).await, Some((0, at(0))));
    }
}
