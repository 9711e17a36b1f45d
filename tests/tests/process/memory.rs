//! What strangers can make the program use: memory and sockets.

use std::net::Ipv4Addr;

use api::{config::Config, server::Bounds};
use engine::testing::Engine;
use futures::future::join_all;
use reqwest::StatusCode;
use store::testing::TestDatabase;
use tests::{
    browser::Browser,
    process::Settings,
    raw::{ELSEWHERE, answer, connect, half_open, health},
    until,
};

#[tokio::test]
async fn sign_ins_by_strangers_take_little_memory_and_give_it_back() {
    let (sandbox, database) = (tests::sandbox().await, TestDatabase::new(Engine::Sqlite).await);
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::new(&sandbox, &database, folder.path());
    let process = settings.set("HTTP__TRUSTED_PROXIES", "127.0.0.1").start().await;
    let idle = process.resident_mib();
    let tries = (0..100).map(|number| {
        let stranger = Browser::at(&settings.base, Ipv4Addr::new(10, 0, 0, number));
        async move {
            let email = format!("nobody{number}@example.com");
            let form = [("email", email.as_str()), ("password", "not the password")];
            // A try that is refused is repeated.
            until("a place in the queue", async || {
                stranger.post("/login", &form).await.status() != StatusCode::TOO_MANY_REQUESTS
            })
            .await;
        }
    });
    join_all(tries).await;
    let said = process.said();
    // Failures have lines of their own, which are bounded.
    let others = said.lines().filter(|line| !line.contains("door.failed")).count();
    assert!(others < 20, "refusals aren't logged one by one: {said}");
    let peak = process.peak_mib();
    assert!(peak < 256.0, "{peak} MiB at the peak");
    until("the memory of idle again", async || process.resident_mib() < idle + 40.0).await;
}

#[tokio::test]
async fn clients_that_do_not_read_cost_no_copy_of_what_they_ask_for() {
    let (sandbox, database) = (tests::sandbox().await, TestDatabase::new(Engine::Sqlite).await);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(&sandbox, &database, folder.path());
    let process = settings.start().await;
    let size = |path: &str| {
        let url = format!("{}{path}", settings.base);
        async move { reqwest::get(url).await.expect("an answer").bytes().await.expect("a body").len() }
    };
    // The largest file that is served.
    let path = "/docs/swagger-ui-bundle.js";
    assert!(size(path).await > 300_000, "there is something to copy");
    let idle = process.resident_mib();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut silent = Vec::new();
    for number in 0..300_u16 {
        let [_, host] = (number / 50 + 10).to_be_bytes();
        let mut connection = connect(&settings.base, Ipv4Addr::new(127, 0, 0, host)).await;
        let begun = answer(&mut connection, &request).await;
        assert!(begun.starts_with("HTTP/1.1 200 OK"), "{begun}");
        silent.push(connection);
    }
    let used = process.peak_mib() - idle;
    assert!(used < 48.0, "{used} MiB for {} clients", silent.len());
}

#[tokio::test]
async fn half_open_requests_that_use_up_all_sockets_keep_nobody_out() {
    let (sandbox, database) = (tests::sandbox().await, TestDatabase::new(Engine::Sqlite).await);
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::new(&sandbox, &database, folder.path());
    // More than the system lets it have: the bounds make do with what there is.
    settings.set("HTTP__CONNECTIONS_PER_ADDRESS", "5000").set("HTTP__CONNECTIONS", "5000");
    let process = settings.limit_open_files(1_024).start().await;
    // This process needs as many sockets.
    Bounds::of(&Config::default());
    let mut half_opens = Vec::new();
    for number in 0..1_100_u32 {
        let from = if number.is_multiple_of(2) { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 0, 0, 3) };
        half_opens.push(half_open(&settings.base, from).await);
    }
    // Connections that are being closed may take a moment to be gone.
    for from in [ELSEWHERE, Ipv4Addr::LOCALHOST] {
        until("an answer", async || health(&settings.base, from).await == "HTTP/1.1 200 OK").await;
    }
    drop(half_opens);
    let (ended, said) = process.terminate().await;
    assert!(ended.success(), "{said}");
}
