//! `relight demo`: what it prints leads somewhere, and time that passes on its controls is lived through.

use engine::testing::Engine;
use sandbox::Action;
use serde_json::Value;
use store::testing::TestDatabase;
use tests::{browser::Browser, process::Settings, until};

const LUMA: &str = "@luma.ceramics";

/// Two free ports, ten apart.
fn port() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(tests::relight::free_port)
        .take(100)
        .find(|port| port.checked_add(10).is_some_and(is_free))
        .expect("two ports")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_passes_in_the_demo_and_everything_lives_through_it() {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(Engine::Sqlite).await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(&sandbox, &database, folder.path());
    let port = port();
    let process = settings.spawn_with(&["demo", "--port", &port.to_string()]);
    let password = process.until_said("sign in as").await;
    let password = password.rsplit(' ').next().expect("a password");
    process.until_said("Ctrl-C ends it").await;
    let owner = Browser::new(&format!("http://127.0.0.1:{port}"));
    owner.sign_in("you@relight.example", password).await;
    owner.open("/accounts").await.says(LUMA);
    let list = owner.open("/accounts?q=luma").await.html;
    let account = list.split("href=\"/accounts/").nth(1).and_then(|rest| rest.split('"').next()).expect("an account");

    let controls = format!("http://localhost:{}", port + 10);
    let client = owner.client.clone();
    let act = async |action: Action| {
        let answer = client.post(format!("{controls}/control")).json(&action).send().await.expect("answers");
        assert!(answer.status().is_success(), "{answer:?}");
    };
    let now = async || -> chrono::DateTime<chrono::Utc> {
        let state: Value =
            client.get(format!("{controls}/control")).send().await.expect("answers").json().await.expect("JSON");
        state["now"].as_str().expect("a time").parse().expect("a time")
    };
    let begun = now().await;
    act(Action::PassTime { seconds: 85 * 86_400 }).await;
    until("its end", async || (now().await - begun).num_days() >= 85).await;
    let here = format!("/accounts/{account}");
    until("a renewal", async || owner.open(&here).await.text().contains("The session was extended")).await;
    owner.open(&here).await.says("luma.ceramics Expiring soon");
    until("a reminder", async || {
        let mails =
            client.get(format!("{controls}/mails")).send().await.expect("answers").text().await.expect("a page");
        mails.contains("please log in again soon")
    })
    .await;
    // Beyond the end of what a machine can do.
    act(Action::MoveClock { seconds: 61 * 86_400 }).await;
    until("the end", async || owner.open(&here).await.text().contains("Expired")).await;
    let (status, said) = process.terminate().await;
    assert!(status.success(), "{said}");
    assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
}
