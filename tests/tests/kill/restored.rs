//! An older copy of the database is restored under a running node: it decides on what is there, not on what it remembers.

use std::process::Command;

use domain::Connection;
use engine::{Database, testing::Engine};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::{browser::Browser, process::Settings, relight::PASSWORD, until};

use crate::{holder, like_a_fresh_rebuild, postgres::pg_ctl, prepare, until_views_reach, widgets_added};

fn run(command: &str, arguments: &[&str]) {
    assert!(Command::new(command).args(arguments).status().expect("it runs").success(), "{command} {arguments:?}");
}

/// A machine that adds widgets to an account.
struct Machine<'a> {
    client: Client,
    settings: &'a Settings,
    key: String,
    account: String,
}

impl Machine<'_> {
    /// Asks until there is an answer; the widget's id.
    async fn add(&self, request: &str) -> String {
        let mut added = None;
        until("a widget", async || {
            let post = self.client.post(format!("{}/api/v1/accounts/{}/widgets", self.settings.base, self.account));
            let post = post.bearer_auth(&self.key).header("Idempotency-Key", request).json(&json!({"plan": "free"}));
            let Ok(answer) = post.send().await else { return false };
            if answer.status() != StatusCode::CREATED {
                assert!(answer.status().is_server_error() || answer.status() == StatusCode::CONFLICT, "{answer:?}");
                return false;
            }
            let widget: Value = answer.json().await.expect("JSON");
            added = widget["id"].as_str().map(str::to_owned);
            added.is_some()
        })
        .await;
        added.expect("added")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_that_is_restored_is_what_a_node_goes_on_from() {
    let _alone = crate::ALONE.lock().await;
    let (_sandbox, database, _folder, settings) = prepare(Engine::Postgres).await;
    let store = database.store().await;
    let Database::Postgres(pool) = store.database() else { unreachable!("PostgreSQL was asked for") };
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(pool).await.expect("a folder");
    let copy = format!("{data}.copy");
    let mut node = settings.start().await;
    let ann = Browser::new(&settings.base);
    ann.sign_in("ann@example.com", PASSWORD).await;
    let account = ann.connect(Connection::Consumer, holder(0)).await;
    let made = settings.run(&["api-key", "create", "--name", "restored", "--role", "service"], "");
    let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let client = Browser::new(&settings.base).client;
    let machine = Machine { client, settings: &settings, key, account: account.clone() };
    let mut kept = vec![machine.add("one").await, machine.add("two").await];
    pg_ctl(&data, &["stop", "-m", "fast"]);
    run("cp", &["-a", &data, &copy]);
    pg_ctl(&data, &["restart"]);
    node.until_ready().await;
    for request in ["three", "four", "five"] {
        machine.add(request).await;
    }
    // The node remembers five widgets; the copy has two.
    pg_ctl(&data, &["stop", "-m", "immediate"]);
    run("rm", &["-r", &data]);
    run("mv", &[&copy, &data]);
    pg_ctl(&data, &["restart"]);
    node.until_ready().await;
    kept.push(machine.add("six").await);
    node.until_said("journal.lost").await;
    kept.push(machine.add("seven").await);
    let added: Vec<_> = widgets_added(&store).await.into_iter().collect();
    kept.sort_unstable();
    assert_eq!(added, kept.into_iter().map(|widget| ((account.clone(), widget), 1)).collect::<Vec<_>>());
    until_views_reach(&store, store.head().await.expect("a head")).await;
    let (status, said) = node.terminate().await;
    assert!(status.success() && !said.contains("panicked"), "{said}");
    like_a_fresh_rebuild(&store).await;
}
