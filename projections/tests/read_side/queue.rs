//! The queue: what goes first, who holds what, and what becomes of it.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::AccountId;
use engine::{Database, Store, on_both_engines, sql, testing::until};
use projections::queue::{Claimed, Retry, Room, Worker, complete, forget_tries, retry, tries};
use sqlx::{PgConnection, PgPool};
use store::testing::TestDatabase;
use uuid::Uuid;

fn failed(due_at: DateTime<Utc>, error: &str) -> Retry<'_> {
    Retry { at: now(), due_at, error, in_line: false }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

/// Puts a pull into the queue that has been due for so many minutes.
async fn put(store: &Store, priority: i64, minutes: i64) -> AccountId {
    let id = AccountId::new(Uuid::now_v7());
    let mut tx = store.database().begin().await.expect("begins");
    let due_at = now() - TimeDelta::minutes(minutes);
    sql("INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
         VALUES ('pull', $1, $1, 1, 0, $2, $3, 1)")
    .bind(id.to_string())
    .bind(priority)
    .bind(due_at)
    .execute(&mut tx)
    .await
    .expect("inserts");
    tx.commit().await.expect("commits");
    id
}

async fn take(store: &Store, node: &str, limit: u32) -> Vec<Claimed> {
    Worker::new(store.database(), node).claim(now(), Room::of(limit)).await.expect("claims")
}

fn accounts(claimed: &[Claimed]) -> Vec<AccountId> {
    claimed.iter().map(|claimed| claimed.account).collect()
}

async fn end(store: &Store, claimed: &Claimed, next: Option<DateTime<Utc>>) -> bool {
    let mut tx = store.database().begin().await.expect("begins");
    let held = complete(&mut tx, &[(claimed, next)]).await.expect("completes") == [true];
    tx.commit().await.expect("commits");
    held
}

on_both_engines! {
    async fn first_priority_goes_first_and_then_what_is_due_longest(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let normal = put(&store, 1, 2).await;
        let older = put(&store, 1, 3).await;
        let first = put(&store, 0, 1).await;
        put(&store, 1, -1).await;
        put(&store, 0, -1).await;
        assert_eq!(accounts(&take(&store, "a", 2).await), [first, older]);
        assert_eq!(accounts(&take(&store, "a", 2).await), [normal]);
        assert_eq!(take(&store, "a", 2).await.len(), 0, "what isn't due waits");
    }

    async fn the_normal_class_never_starves(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let mut aged = HashSet::new();
        for minutes in 0..6 {
            aged.insert(put(&store, 1, 60 + minutes).await);
        }
        let mut rounds = 0;
        while !aged.is_empty() {
            // There are always more of first priority than are claimed at once.
            for _ in 0..8 {
                put(&store, 0, 1).await;
            }
            let claimed = take(&store, "a", 8).await;
            assert_eq!(claimed.len(), 8);
            assert_eq!(claimed.iter().filter(|claimed| claimed.first).count(), 6);
            for claimed in &claimed {
                aged.remove(&claimed.account);
                assert!(end(&store, claimed, None).await);
            }
            rounds += 1;
            assert!(rounds <= 3, "{aged:?} starve");
        }
    }

    async fn nobody_is_told_anything_while_the_clock_is_behind(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let (notice, late) = (put(&store, 3, 1).await, put(&store, 2, 1).await);
        let worker = Worker::new(store.database(), "a");
        assert_eq!(worker.claim_notices(now(), 8).await.expect("claims").len(), 0);
        let claimed = worker.claim_clock(now(), 8).await.expect("claims");
        assert_eq!(accounts(&claimed), [late]);
        // Somebody works on it: one that never ends must not silence everybody.
        assert_eq!(accounts(&worker.claim_notices(now(), 8).await.expect("claims")), [notice]);
    }

    async fn nothing_is_claimed_twice_by_many_at_once(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let nodes = [database.store().await, database.store().await];
        for minutes in 0..60 {
            put(&nodes[0], minutes % 2, minutes).await;
        }
        let workers: Vec<_> = (0..6)
            .map(|number: usize| {
                let store = nodes[number % 2].clone();
                tokio::spawn(async move {
                    let mut all = Vec::new();
                    loop {
                        let claimed = take(&store, &format!("worker {number}"), 4).await;
                        if claimed.is_empty() {
                            return all;
                        }
                        all.extend(accounts(&claimed));
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.expect("no panic"));
        }
        // Who is passed over while another claims finds the rest the next time.
        all.extend(accounts(&take(&nodes[0], "last", 100).await));
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (60, 60));
    }

    async fn whoever_lost_the_lease_changes_nothing(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = put(&store, 1, 1).await;
        let late = take(&store, "late", 1).await.remove(0);
        assert_eq!(take(&store, "other", 1).await.len(), 0, "it is held");
        // The lease has run out, as after a crash: somebody else gets it.
        let mut tx = store.database().begin().await.expect("begins");
        let ended = DateTime::from_timestamp(1_000_000_000, 0).expect("a time");
        sql("UPDATE work_v1 SET leased_until = $1").bind(ended).execute(&mut tx).await.expect("set");
        tx.commit().await.expect("commits");
        let other = take(&store, "other", 1).await.remove(0);
        assert_eq!(other.account, id);
        assert!(!end(&store, &late, None).await);
        retry(store.database(), &late, failed(now(), "late")).await.expect("no error");
        assert_eq!(Worker::new(store.database(), "late").release().await.expect("no error"), 0);
        assert!(end(&store, &other, Some(now() + TimeDelta::hours(1))).await);
        assert_eq!(take(&store, "next", 1).await.len(), 0, "it is due in an hour");
    }

    async fn what_failed_is_tried_again_later_and_what_is_given_back_at_once(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        put(&store, 1, 1).await;
        let claimed = take(&store, "a", 1).await.remove(0);
        retry(store.database(), &claimed, failed(now() + TimeDelta::minutes(1), "Meta could not answer")).await.expect("noted");
        assert_eq!(take(&store, "a", 1).await.len(), 0);
        let [a, b] = ["a", "b"].map(|node| Worker::new(store.database(), node));
        let later = a.claim(now() + TimeDelta::minutes(2), Room::of(1)).await.expect("claims");
        assert_eq!(later[0].attempts, 1);
        assert_eq!(b.release().await.expect("nothing"), 0, "it is another's");
        assert_eq!(a.release().await.expect("given back"), 1);
        assert_eq!(b.claim(now() + TimeDelta::minutes(2), Room::of(1)).await.expect("claims").len(), 1);
    }

    async fn what_is_put_in_line_waits_behind_what_somebody_waits_for(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = put(&store, 0, 1).await;
        let claimed = take(&store, "a", 1).await.remove(0);
        assert!(claimed.first);
        retry(store.database(), &claimed, failed(now(), "Meta could not answer")).await.expect("noted");
        let claimed = take(&store, "a", 1).await.remove(0);
        assert!(claimed.first, "the first tries are as urgent");
        let in_line = Retry { in_line: true, ..failed(now(), "not sure") };
        retry(store.database(), &claimed, in_line).await.expect("noted");
        let mut claimed = take(&store, "a", 1).await.remove(0);
        assert!(!claimed.first);
        let noted = tries(store.database(), id).await.expect("read");
        assert_eq!(noted.iter().map(|noted| noted.kind.as_str()).collect::<Vec<_>>(), ["pull", "pull"]);
        // With Meta away for days, the latest are kept.
        for minute in 0..30 {
            let at = now() + TimeDelta::minutes(minute);
            retry(store.database(), &claimed, Retry { at, ..failed(now(), "away") }).await.expect("noted");
            claimed = take(&store, "a", 1).await.remove(0);
        }
        let noted = tries(store.database(), id).await.expect("read");
        assert_eq!((noted.len(), noted[0].at), (20, now() + TimeDelta::minutes(29)));
        forget_tries(store.database(), now() + TimeDelta::minutes(20)).await.expect("forgotten");
        assert_eq!(tries(store.database(), id).await.expect("read").len(), 10);
        forget_tries(store.database(), now() + TimeDelta::hours(1)).await.expect("forgotten");
        assert_eq!(tries(store.database(), id).await.expect("read").len(), 0);
    }

    async fn what_comes_with_an_earlier_due_time_is_found_too(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let worker = Worker::new(store.database(), "a");
        let mut put_last = put(&store, 1, 1).await;
        for minutes in 2..30 {
            let claimed = loop {
                let claimed = worker.claim(now(), Room::of(8)).await.expect("claims");
                if !claimed.is_empty() {
                    break claimed;
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(accounts(&claimed), [put_last]);
            assert!(end(&store, &claimed[0], None).await);
            put_last = put(&store, minutes % 2, minutes).await;
        }
    }

    async fn rows_are_locked_in_one_order_so_that_two_never_wait_for_each_other(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let Database::Postgres(pool) = store.database() else { return };
        for minutes in 1..=2 {
            put(&store, 1, minutes).await;
        }
        let mut claimed = take(&store, "a", 2).await;
        claimed.sort_by_key(|claimed| std::cmp::Reverse(claimed.account));
        let row = async |on: &mut PgConnection, claimed: &Claimed| {
            let sql = "SELECT cause FROM work_v1 WHERE key = $1 FOR UPDATE NOWAIT";
            sqlx::query_scalar::<_, i64>(sql).bind(claimed.account.to_string()).fetch_one(on).await
        };
        let mut other = pool.begin().await.expect("begins");
        row(&mut other, &claimed[1]).await.expect("nobody has it");
        let mut tx = store.database().begin().await.expect("begins");
        let done: Vec<_> = claimed.iter().map(|claimed| (claimed, Some(now()))).collect();
        tokio::select! {
            held = complete(&mut tx, &done) => panic!("it doesn't wait: {held:?}"),
            () = waits_for_a_lock(pool) => {}
        }
        let mut third = pool.begin().await.expect("begins");
        row(&mut third, &claimed[0]).await.expect("who waits for the first row doesn't hold the second");
    }
}

async fn waits_for_a_lock(pool: &PgPool) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until("a lock", async || sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.expect("counted") > 0).await;
}
