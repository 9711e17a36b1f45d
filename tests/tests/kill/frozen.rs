//! A node is frozen inside a call of Meta, for longer than its lease, and another one does the job: nothing is done twice.

use chrono::TimeDelta;
use domain::Connection;
use engine::{Store, sql, testing::Engine};
use sandbox::{Action, FaultKind};
use tests::{browser::Browser, process::Settings, relight::PASSWORD, until};

use crate::{chaos::signal, holder, prepare, until_views_reach};

/// Makes a job of this kind due now.
async fn make_due(store: &Store, kind: &str) {
    let due = sql("UPDATE jobs SET due_at = CURRENT_TIMESTAMP - interval '1 second' WHERE kind = $1").bind(kind);
    assert_eq!(due.execute(store.database()).await.expect("made due"), 1);
}

/// How many jobs of this kind are due or held.
async fn open(store: &Store, kind: &str) -> i64 {
    sql("SELECT count(*) FROM jobs WHERE kind = $1 AND (due_at <= CURRENT_TIMESTAMP OR lease IS NOT NULL)")
        .bind(kind)
        .scalar(store.database())
        .await
        .expect("counted")
}

async fn renewals(store: &Store) -> i64 {
    let renewed = sql("SELECT count(*) FROM events WHERE event_type = 'Renewed'");
    renewed.scalar(store.database()).await.expect("counted")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_frozen_inside_a_call_comes_too_late() {
    let _alone = crate::ALONE.lock().await;
    let (sandbox, database, folder, settings) = prepare(Engine::Postgres).await;
    let second = Settings::new(&sandbox, &database, folder.path());
    let store = database.store().await;
    let mut node = settings.start().await;
    let ann = Browser::new(&settings.base);
    ann.sign_in("ann@example.com", PASSWORD).await;
    let account = ann.connect(Connection::Consumer, holder(0)).await;
    until("the first pull", async || open(&store, "pull").await == 0).await;
    // Old enough to be extended at Meta.
    sandbox.world().clock.forward(TimeDelta::hours(25));
    for (kind, path, others) in [("renew", "/refresh_access_token", &second), ("pull", "/media", &settings)] {
        sandbox
            .act(Action::Fail { kind: FaultKind::Slow, calls: 1, holder: None, path: Some(path.to_owned()) })
            .expect("acted");
        let before = sandbox.world().calls;
        make_due(&store, kind).await;
        until("the call", async || sandbox.world().calls > before).await;
        signal(&node, "-STOP");
        // Its lease ends, as it would after three minutes, and another node takes the job.
        let ended = "UPDATE jobs SET leased_until = CURRENT_TIMESTAMP - interval '1 second' WHERE kind = $1 AND lease IS NOT NULL";
        assert_eq!(sql(ended).bind(kind).execute(store.database()).await.expect("ended"), 1);
        let other = others.start().await;
        until("it is done", async || open(&store, kind).await == 0).await;
        let fed: Option<String> =
            sql("SELECT fetched_at::text FROM feeds").scalar_optional(store.database()).await.expect("read");
        signal(&node, "-CONT");
        // It finishes what it was doing, in vain.
        let (status, said) = node.terminate().await;
        assert!(status.success() && !said.contains("panicked") && !said.contains("ERROR"), "{said}");
        let now: Option<String> =
            sql("SELECT fetched_at::text FROM feeds").scalar_optional(store.database()).await.expect("read");
        assert_eq!((renewals(&store).await, now), (1, fed), "{kind}");
        node = other;
    }
    until_views_reach(&store, store.head().await.expect("a head")).await;
    // The token that is kept is the one that works.
    ann.press(&format!("/accounts/{account}/check"), &[]).await;
    until("the check", async || open(&store, "check").await == 0).await;
    let failed: i64 = sql("SELECT count(*) FROM tries").scalar(store.database()).await.expect("counted");
    assert_eq!(failed, 0);
    node.terminate().await;
}
