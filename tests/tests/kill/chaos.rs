//! Two nodes and a database that are frozen, killed and restarted, while clients repeat each request until it is answered: no
//! acknowledged command is lost, none counts twice, no stream has a gap, and the views are what is made anew from the events.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use domain::Connection;
use engine::{Database, testing::Engine};
use futures::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::{
    browser::Browser,
    fault_after,
    process::{Process, Settings},
    relight::PASSWORD,
    until,
};

use crate::{holder, like_a_fresh_rebuild, postgres::crash, prepare, until_views_reach, widgets_added};

/// How many clients there are, each with an account of its own.
const CLIENTS: u32 = 4;
/// So many requests of a client at most: machines may add 10,000 events a day to an account.
const MOST: usize = 8_000;

/// For how long: `RELIGHT_TEST_CHAOS` seconds, as in `./check long`, or a moment.
fn lasts() -> Duration {
    let seconds = std::env::var("RELIGHT_TEST_CHAOS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

pub(crate) fn signal(process: &Process, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// Somebody who adds widgets, and asks again under the same key until there is an answer.
struct Machine {
    client: Client,
    nodes: [String; 2],
    key: String,
    account: String,
    number: u32,
}

impl Machine {
    /// The id of the widget that each request brought.
    async fn work(&self, is_over: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
        let mut widgets = Vec::new();
        while !is_over.load(Ordering::Relaxed) && widgets.len() < MOST {
            widgets.push(self.add(widgets.len()).await);
            answered.fetch_add(1, Ordering::Relaxed);
        }
        widgets
    }

    async fn add(&self, request: usize) -> String {
        let (mut attempt, mut added) = (request, None);
        until("an answer", async || {
            let node = &self.nodes[attempt % 2];
            attempt += 1;
            let post = self.client.post(format!("{node}/api/v1/accounts/{}/widgets", self.account));
            let post = post.bearer_auth(&self.key).header("Idempotency-Key", format!("{}-{request}", self.number));
            let Ok(answer) = post.json(&json!({"plan": "free"})).send().await else { return false };
            match answer.status() {
                StatusCode::CREATED => {
                    // An answer that breaks off is asked for again.
                    let widget = answer.json::<Value>().await.unwrap_or_default();
                    added = widget["id"].as_str().map(str::to_owned);
                    added.is_some()
                }
                StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => false,
                status => {
                    assert!(status.is_server_error(), "{status}: {:?}", answer.text().await);
                    false
                }
            }
        })
        .await;
        added.expect("added")
    }
}

/// Freezes, kills and restarts for a while.
async fn faults(nodes: &mut [Option<Process>; 2], settings: [&Settings; 2], data: &str, answered: &AtomicUsize) {
    let (mut dice, begun) = (Dice(17), Instant::now());
    while begun.elapsed() < lasts() {
        // Between two faults there is work.
        let before = answered.load(Ordering::Relaxed);
        until("work", async || answered.load(Ordering::Relaxed) > before + 20).await;
        fault_after(Duration::from_millis(dice.below(300))).await;
        let hit = usize::try_from(dice.below(2)).expect("small");
        match dice.below(7) {
            0 => {
                let data = data.to_owned();
                tokio::task::spawn_blocking(move || crash(&data)).await.expect("no panic");
            }
            1 | 2 => {
                if let Some(node) = nodes[hit].take() {
                    node.kill();
                }
                nodes[hit] = Some(settings[hit].start().await);
            }
            _ => {
                let Some(node) = &nodes[hit] else { continue };
                signal(node, "-STOP");
                // Longer than a transaction may idle, now and then.
                fault_after(Duration::from_millis(200 + dice.below(6_000))).await;
                signal(node, "-CONT");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_killed_and_restarted_nodes_lose_and_double_nothing() {
    let _alone = crate::ALONE.lock().await;
    let (sandbox, database, folder, settings) = prepare(Engine::Postgres).await;
    let mut second = Settings::new(&sandbox, &database, folder.path());
    second.set("DATABASE__CONNECTIONS", "4");
    let mut nodes = [Some(settings.start().await), Some(second.start().await)];
    let ann = Browser::new(&settings.base);
    ann.sign_in("ann@example.com", PASSWORD).await;
    let made = settings.run(&["api-key", "create", "--name", "chaos", "--role", "service"], "");
    let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let client = meta::builder().timeout(Duration::from_secs(8)).build().expect("a client");
    let mut machines = Vec::new();
    for number in 0..CLIENTS {
        let account = ann.connect(Connection::Consumer, holder(number)).await;
        let (client, nodes, key) = (client.clone(), [settings.base.clone(), second.base.clone()], key.clone());
        machines.push(Machine { client, nodes, key, account, number });
    }
    let store = database.store().await;
    let Database::Postgres(pool) = store.database() else { unreachable!("PostgreSQL was asked for") };
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(pool).await.expect("a folder");
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let working = join_all(machines.iter().map(|machine| machine.work(&is_over, &answered)));
    let (brought, ()) = tokio::join!(working, async {
        faults(&mut nodes, [&settings, &second], &data, &answered).await;
        is_over.store(true, Ordering::Relaxed);
    });
    let head = store.head().await.expect("a head");
    until_views_reach(&store, head).await;
    for node in nodes.into_iter().flatten() {
        let (status, said) = node.terminate().await;
        assert!(status.success() && !said.contains("panicked"), "{said}");
    }
    let mut added = widgets_added(&store).await;
    for (machine, widgets) in machines.iter().zip(brought) {
        for widget in widgets {
            let there = added.remove(&(machine.account.clone(), widget));
            assert_eq!(there, Some(1), "acknowledged once, and there once");
        }
    }
    assert_eq!(added, BTreeMap::new(), "nobody was told of these");
    like_a_fresh_rebuild(&store).await;
}
