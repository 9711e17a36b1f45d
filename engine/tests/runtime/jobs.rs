//! The job queue: what goes first, who holds what, and what becomes of it.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use engine::{
    Database, MIGRATIONS, Metadata, Store,
    jobs::{self, Completer, End, Job, Priority, Room, Scheduled, Worker},
    on_both_engines, sql,
    sqlx::{self, PgConnection, PgPool},
    testing::{TestDatabase, until},
};
use uuid::Uuid;

const QUEUE: &str = "calls";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

async fn store(database: &TestDatabase) -> Store {
    Store::new(database.open().await, Vec::new)
}

/// Adds a job that has been due for so many minutes; its key.
async fn put(store: &Store, priority: Priority, minutes: i64) -> String {
    put_into(store, QUEUE, priority, minutes).await
}

async fn put_into(store: &Store, queue: &str, priority: Priority, minutes: i64) -> String {
    let key = Uuid::now_v7().to_string();
    let due_at = Some(now() - TimeDelta::minutes(minutes));
    let job = Scheduled { queue, kind: "call", key: &key, priority, due_at, cause: 1 };
    let mut tx = store.database().begin().await.expect("begins");
    jobs::set(&mut tx, engine::Target::Serving, &[job]).await.expect("scheduled");
    tx.commit().await.expect("commits");
    key
}

fn worker(store: &Store, node: &str) -> Worker {
    Worker::new(store.database(), node)
}

async fn take(store: &Store, node: &str, limit: u32) -> Vec<Job> {
    worker(store, node).claim(QUEUE, now(), Room::of(limit)).await.expect("claims")
}

fn keys(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.held.key()).collect()
}

fn retry(at: DateTime<Utc>) -> End {
    End::Retry { at, why: "it could not answer".to_owned(), in_line: false }
}

/// Ends a job; whether it was held.
async fn end(store: &Store, job: &Job, end: End) -> bool {
    let mut tx = store.database().begin().await.expect("begins");
    let ended = job.held.end(&mut tx, end).await.expect("ends");
    tx.commit().await.expect("commits");
    ended.is_some()
}

/// All leases have run out, as after a crash.
async fn leases_end(store: &Store) {
    let past = DateTime::from_timestamp(1_000_000_000, 0).expect("a time");
    sql("UPDATE jobs SET leased_until = $1").bind(past).execute(store.database()).await.expect("set");
}

on_both_engines! {
    async fn urgent_jobs_go_first_and_then_what_is_due_longest(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let normal = put(&store, Priority::Normal, 2).await;
        let older = put(&store, Priority::Normal, 3).await;
        let urgent = put(&store, Priority::Urgent, 1).await;
        put(&store, Priority::Normal, -1).await;
        put(&store, Priority::Urgent, -1).await;
        put_into(&store, "another queue", Priority::Urgent, 9).await;
        assert_eq!(keys(&take(&store, "a", 2).await), [urgent, older]);
        assert_eq!(keys(&take(&store, "a", 2).await), [normal]);
        assert_eq!(take(&store, "a", 2).await.len(), 0, "what isn't due waits");
    }

    async fn jobs_of_normal_priority_never_starve(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let mut aged = HashSet::new();
        for minutes in 0..6 {
            aged.insert(put(&store, Priority::Normal, 60 + minutes).await);
        }
        let mut rounds = 0;
        while !aged.is_empty() {
            // There are always more urgent ones than are claimed at once.
            for _ in 0..8 {
                put(&store, Priority::Urgent, 1).await;
            }
            let claimed = take(&store, "a", 8).await;
            assert_eq!(claimed.len(), 8);
            assert_eq!(claimed.iter().filter(|job| job.is_urgent).count(), 6);
            for job in &claimed {
                aged.remove(job.held.key());
                assert!(end(&store, job, End::Done).await);
            }
            rounds += 1;
            assert!(rounds <= 3, "{aged:?} starve");
        }
    }

    async fn a_queue_waits_only_for_what_nobody_works_on(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        put(&store, Priority::Normal, 1).await;
        let looks = worker(&store, "b");
        let waits = async |until| looks.waits(QUEUE, until).await.expect("looks");
        assert!(waits(now()).await);
        assert!(!waits(now() - TimeDelta::minutes(2)).await, "it was not due then");
        assert_eq!(worker(&store, "a").claim_in_order(QUEUE, now(), 8).await.expect("claims").len(), 1);
        assert!(!waits(now()).await);
    }

    async fn no_job_is_claimed_twice_by_many_at_once(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let nodes = [store(&database).await, store(&database).await];
        for minutes in 0..60 {
            let priority = if minutes % 2 == 0 { Priority::Urgent } else { Priority::Normal };
            put(&nodes[0], priority, minutes).await;
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
                        all.extend(claimed);
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.expect("no panic"));
        }
        // Who is passed over while another claims finds the rest the next time.
        all.extend(take(&nodes[0], "last", 100).await);
        assert_eq!((all.len(), keys(&all).into_iter().collect::<HashSet<_>>().len()), (60, 60));
    }

    async fn a_worker_whose_lease_has_ended_changes_nothing(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let key = put(&store, Priority::Normal, 1).await;
        let late = take(&store, "late", 1).await.remove(0);
        assert_eq!(take(&store, "other", 1).await.len(), 0, "it is held");
        leases_end(&store).await;
        let other = take(&store, "other", 1).await.remove(0);
        assert_eq!((other.held.key(), other.was_held, late.was_held), (key.as_str(), true, false));
        for late_end in [End::Done, End::Discard("late".to_owned()), End::Next(Some(now())), retry(now())] {
            assert!(!end(&store, &late, late_end).await);
        }
        let completer = Completer::start(store.database().clone());
        assert!(!completer.end(late.held.clone(), End::Done).await.expect("no error"));
        let mut unit = store.unit(Metadata::new(now(), &[].into()));
        unit.end(late.held.clone(), End::Done);
        unit.write(jobs::add("results", "result", "of a late worker", now()));
        assert!(matches!(unit.commit().await, Err(engine::CommitError::Refused)));
        let results = jobs::waiting(store.database(), jobs::Of::Queue("results"), 1).await.expect("looks");
        assert_eq!(results.len(), 0, "nor is its result stored");
        assert_eq!(worker(&store, "late").release().await.expect("no error"), 0);
        assert!(end(&store, &other, End::Next(Some(now() + TimeDelta::hours(1)))).await);
        assert_eq!(take(&store, "next", 1).await.len(), 0, "it is due in an hour");
    }

    async fn a_unit_ends_its_job_and_stores_its_result_or_neither(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        for _ in 0..20 {
            put(&store, Priority::Normal, 1).await;
        }
        let claimed = take(&store, "a", 20).await;
        let late = take(&store, "b", 1).await;
        assert!(late.is_empty());
        sql("UPDATE jobs SET lease = 'of another' WHERE key = $1")
            .bind(claimed[7].held.key())
            .execute(store.database())
            .await
            .expect("set");
        // They share a commit; the one that is late is refused alone.
        let units = claimed.iter().map(|job| {
            let mut unit = store.unit(Metadata::new(now(), &[].into()));
            unit.end(job.held.clone(), End::Done);
            unit.write(jobs::add("results", "result", job.held.key(), now()));
            unit.commit()
        });
        let committed = futures::future::join_all(units).await;
        let refused: Vec<_> = committed.iter().map(Result::is_err).enumerate().filter(|(_, refused)| *refused).collect();
        assert_eq!(refused, [(7, true)]);
        let results = jobs::waiting(store.database(), jobs::Of::Queue("results"), 100).await.expect("looks");
        assert_eq!(results.len(), 19);
        let left = jobs::waiting(store.database(), jobs::Of::Queue(QUEUE), 100).await.expect("looks");
        assert_eq!(left.iter().map(|job| job.key.as_str()).collect::<Vec<_>>(), [claimed[7].held.key()]);
    }

    async fn many_that_end_at_once_are_each_told_whether_they_were_held(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        for _ in 0..50 {
            put(&store, Priority::Normal, 1).await;
        }
        let (mine, completer) = (take(&store, "a", 25).await, Completer::start(store.database().clone()));
        leases_end(&store).await;
        let theirs = take(&store, "b", 50).await;
        let taken: HashSet<_> = keys(&theirs).into_iter().collect();
        let ends = mine.iter().chain(&theirs).map(|job| completer.end(job.held.clone(), End::Done));
        for (job, held) in mine.iter().chain(&theirs).zip(futures::future::join_all(ends).await) {
            let is_last = theirs.iter().any(|other| std::ptr::eq(other, job));
            assert_eq!(held.expect("no error"), is_last || !taken.contains(job.held.key()));
        }
        assert_eq!(jobs::waiting(store.database(), jobs::Of::Queue(QUEUE), 100).await.expect("looks").len(), 0);
    }

    async fn a_job_that_failed_is_tried_again_later_and_one_that_is_given_back_at_once(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        put(&store, Priority::Normal, 1).await;
        let claimed = take(&store, "a", 1).await.remove(0);
        assert!(end(&store, &claimed, retry(now() + TimeDelta::minutes(1))).await);
        assert_eq!(take(&store, "a", 1).await.len(), 0);
        let [a, b] = ["a", "b"].map(|node| worker(&store, node));
        let later = a.claim(QUEUE, now() + TimeDelta::minutes(2), Room::of(1)).await.expect("claims");
        assert_eq!(later[0].attempts, 1);
        assert_eq!(b.release().await.expect("nothing"), 0, "it is another's");
        assert_eq!(a.release().await.expect("given back"), 1);
        let again = b.claim(QUEUE, now() + TimeDelta::minutes(2), Room::of(1)).await.expect("claims").remove(0);
        assert_eq!(again.attempts, 1);
        let put_off = End::Postpone { at: now() + TimeDelta::minutes(3), why: "too many calls".to_owned() };
        assert!(end(&store, &again, put_off).await);
        let again = b.claim(QUEUE, now() + TimeDelta::minutes(4), Room::of(1)).await.expect("claims").remove(0);
        assert_eq!(again.attempts, 1, "that was no try");
        assert!(end(&store, &again, End::Next(Some(now()))).await);
        assert_eq!(take(&store, "a", 1).await[0].attempts, 0, "it is new");
    }

    async fn a_worker_leaves_kinds_that_it_does_not_know(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        put(&store, Priority::Urgent, 1).await;
        let old = worker(&store, "a").knowing(["fax", "letter"]);
        assert_eq!(old.claim(QUEUE, now(), Room::of(8)).await.expect("claims").len(), 0);
        put(&store, Priority::Normal, 1).await;
        assert!(!old.waits(QUEUE, now()).await.expect("looks"), "nothing that it could do");
        let new = worker(&store, "b").knowing(["fax", "call"]);
        assert!(new.waits(QUEUE, now()).await.expect("looks"));
        assert_eq!(new.claim(QUEUE, now(), Room::of(8)).await.expect("claims").len(), 2);
    }

    async fn what_is_set_aside_stays_until_it_is_scheduled_again(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let key = put(&store, Priority::Normal, 1).await;
        let claimed = take(&store, "a", 1).await.remove(0);
        assert!(end(&store, &claimed, End::SetAside("it can't be read".to_owned())).await);
        assert_eq!(worker(&store, "a").claim(QUEUE, now() + TimeDelta::days(900), Room::of(1)).await.expect("claims").len(), 0);
        let waiting = jobs::waiting(store.database(), jobs::Of::Key(&key), 9).await.expect("read");
        assert_eq!((waiting[0].due_at, waiting[0].last_error.as_deref()), (None, Some("it can't be read")));
        let again = Scheduled { queue: QUEUE, kind: "call", key: &key, priority: Priority::Normal, due_at: Some(now()), cause: 2 };
        let mut tx = store.database().begin().await.expect("begins");
        jobs::set(&mut tx, engine::Target::Serving, &[again]).await.expect("scheduled");
        tx.commit().await.expect("commits");
        assert_eq!(take(&store, "a", 1).await.len(), 1);
    }

    async fn an_urgent_job_that_fails_is_normal_after_a_few_tries(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        put(&store, Priority::Urgent, 1).await;
        for tries in 0..5 {
            let claimed = take(&store, "a", 1).await.remove(0);
            assert_eq!((claimed.is_urgent, claimed.attempts), (tries < 4, tries));
            assert!(end(&store, &claimed, retry(now())).await);
        }
        put(&store, Priority::Urgent, 9).await;
        let claimed = take(&store, "a", 1).await.remove(0);
        assert!(claimed.is_urgent);
        let in_line = End::Retry { at: now() - TimeDelta::minutes(20), why: "not sure".to_owned(), in_line: true };
        assert!(end(&store, &claimed, in_line).await);
        let claimed = take(&store, "a", 1).await.remove(0);
        assert_eq!((claimed.is_urgent, claimed.attempts), (false, 1), "it is put in line");
    }

    async fn what_comes_with_an_earlier_due_time_is_found_too(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let worker = worker(&store, "a");
        let mut put_last = put(&store, Priority::Normal, 1).await;
        for minutes in 2..30 {
            let claimed = loop {
                let claimed = worker.claim(QUEUE, now(), Room::of(8)).await.expect("claims");
                if !claimed.is_empty() {
                    break claimed;
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(keys(&claimed), [put_last]);
            assert!(end(&store, &claimed[0], End::Done).await);
            let priority = if minutes % 2 == 0 { Priority::Urgent } else { Priority::Normal };
            put_last = put(&store, priority, minutes).await;
        }
    }

    async fn a_newer_cause_voids_the_lease_and_an_older_one_changes_nothing(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let key = put(&store, Priority::Normal, 1).await;
        let schedule = async |cause, bring: bool| {
            let (priority, due_at) = (Priority::Normal, Some(now() - TimeDelta::minutes(cause)));
            let job = [Scheduled { queue: QUEUE, kind: "call", key: &key, priority, due_at, cause }];
            let mut tx = store.database().begin().await.expect("begins");
            let target = engine::Target::Serving;
            let done = if bring { jobs::bring_forward(&mut tx, target, &job).await } else { jobs::set(&mut tx, target, &job).await };
            done.expect("scheduled");
            tx.commit().await.expect("commits");
        };
        let held = take(&store, "a", 1).await.remove(0);
        for bring in [true, false] {
            schedule(1, bring).await;
            assert_eq!(take(&store, "b", 1).await.len(), 0, "it is the same cause: the lease holds");
        }
        schedule(2, true).await;
        assert!(!end(&store, &held, End::Done).await);
        let held = take(&store, "a", 1).await.remove(0);
        assert_eq!(held.cause, 2);
        schedule(3, false).await;
        assert!(!end(&store, &held, End::Done).await);
        assert!(end(&store, &take(&store, "a", 1).await[0], End::Next(None)).await);
        schedule(4, true).await;
        assert_eq!(take(&store, "a", 1).await.len(), 0, "what isn't due at any time is not brought forward");
        schedule(4, false).await;
        assert_eq!(take(&store, "a", 1).await.len(), 1);
    }

    async fn rows_are_locked_in_one_order_so_that_two_never_wait_for_each_other(engine: Engine) {
        let database = TestDatabase::new(engine, &MIGRATIONS).await;
        let store = store(&database).await;
        let Database::Postgres(pool) = store.database() else { return };
        for minutes in 1..=2 {
            put(&store, Priority::Normal, minutes).await;
        }
        let mut claimed = take(&store, "a", 2).await;
        claimed.sort_by_key(|job| std::cmp::Reverse(job.held.key().to_owned()));
        let row = async |on: &mut PgConnection, job: &Job| {
            let select = "SELECT cause FROM jobs WHERE key = $1 FOR UPDATE NOWAIT";
            sql(select).bind(job.held.key()).scalar::<i64>(on).await
        };
        let mut other = pool.begin().await.expect("begins");
        row(&mut other, &claimed[1]).await.expect("nobody has it");
        let mut tx = store.database().begin().await.expect("begins");
        let ends: Vec<_> = claimed.iter().map(|job| (&job.held, End::Done)).collect();
        tokio::select! {
            ended = jobs::end(&mut tx, &ends) => panic!("it doesn't wait: {ended:?}"),
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
