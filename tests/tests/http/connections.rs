//! Clients that are slow, silent or many: each wait for a client ends, and none of them keeps the others out.

use std::{net::Ipv4Addr, time::Duration};

use api::{server::Timeouts, sign_in::Role};
use domain::Connection;
use engine::testing::Engine;
use reqwest::{StatusCode, header};
use tests::{
    raw::{ELSEWHERE, answer, connect, half_open, health, send_until_closed, until_closed},
    relight::Relight,
    until,
};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_mins(10);
/// Only what a test shortens runs out.
const PATIENT: Timeouts =
    Timeouts { header: LONG, idle: LONG, body_piece: LONG, body: LONG, write: LONG, goodbye: LONG };

async fn relight(timeouts: Timeouts) -> Relight {
    Relight::start_timed(Engine::Sqlite, timeouts, |_, _| {}).await
}

#[tokio::test]
async fn half_open_requests_of_one_address_keep_nobody_out() {
    let relight = relight(PATIENT).await;
    let mut half_opens = Vec::new();
    for _ in 0..1_100 {
        half_opens.push(half_open(&relight.base, HERE).await);
    }
    assert_eq!(health(&relight.base, ELSEWHERE).await, "HTTP/1.1 200 OK");
    assert_eq!(health(&relight.base, HERE).await, "HTTP/1.1 200 OK");
    until_closed(&mut half_opens[0]).await;
}

#[tokio::test]
async fn a_header_that_drips_is_cut() {
    let relight = relight(Timeouts { header: SHORT, ..PATIENT }).await;
    until_closed(&mut connect(&relight.base, HERE).await).await;
    until_closed(&mut half_open(&relight.base, HERE).await).await;
    send_until_closed(&mut half_open(&relight.base, HERE).await, b"X-Drip: 1\r\n", Duration::from_millis(20)).await;
    let mut second = connect(&relight.base, HERE).await;
    let first = answer(&mut second, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(first.starts_with("HTTP/1.1 200 OK"), "{first}");
    send_until_closed(&mut second, b"GET /healthz HTTP/1.1\r", LONG / 600).await;
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let relight = relight(PATIENT).await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    let said = answer(&mut connect(&relight.base, HERE).await, &request).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
}

#[tokio::test]
async fn a_body_that_drips_or_stops_is_cut() {
    let header = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                  Content-Length: 100000\r\n\r\n";
    let drips = relight(Timeouts { body: SHORT, ..PATIENT }).await;
    let mut connection = connect(&drips.base, HERE).await;
    send_until_closed(&mut connection, header.as_bytes(), Duration::from_millis(20)).await;
    let stops = relight(Timeouts { body_piece: SHORT, ..PATIENT }).await;
    let mut connection = connect(&stops.base, HERE).await;
    let said = answer(&mut connection, &format!("{header}email=")).await;
    assert_eq!(said, "", "closed without an answer");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let relight = relight(Timeouts { write: SHORT, ..PATIENT }).await;
    let mut connection = connect(&relight.base, HERE).await;
    let requests = "GET /assets/style.css HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    send_until_closed(&mut connection, requests.as_bytes(), Duration::from_millis(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_all_timeouts() {
    let short = Timeouts { header: SHORT, idle: SHORT, body_piece: SHORT, body: SHORT, write: SHORT, goodbye: LONG };
    let relight = relight(short).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let mut stream = owner.ask("/accounts/live?shown=0").await;
    assert_eq!(stream.status(), StatusCode::OK);
    // Others come and go meanwhile.
    for _ in 0..5 {
        let mut idle = connect(&relight.base, HERE).await;
        answer(&mut idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until_closed(&mut idle).await;
    }
    owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
    let event = stream.chunk().await.expect("still open").expect("an event");
    assert!(String::from_utf8_lossy(&event).contains("event: changed"), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_bound_get_503_with_retry_after() {
    let set = |config: &mut api::config::Config| config.http.connections_per_address = 4;
    let relight = Relight::start_with(Engine::Sqlite, set).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let open = async || owner.ask("/accounts/live").await;
    let (first, second) = (open().await, open().await);
    assert_eq!([first.status(), second.status()], [StatusCode::OK; 2]);
    let third = open().await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(third.headers().contains_key(header::RETRY_AFTER));
    drop(first);
    until("a place for a stream", async || open().await.status() == StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_closes_idle_and_half_open_connections_at_once() {
    let relight = relight(PATIENT).await;
    let mut idle = connect(&relight.base, HERE).await;
    answer(&mut idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut half = half_open(&relight.base, HERE).await;
    let mut silent = connect(&relight.base, HERE).await;
    relight.stop().await;
    for connection in [&mut idle, &mut half, &mut silent] {
        until_closed(connection).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_a_request_under_way_no_longer_than_it_may() {
    let relight = relight(Timeouts { goodbye: SHORT, ..PATIENT }).await;
    let mut connection = connect(&relight.base, HERE).await;
    let begun = "POST /login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n";
    let said = answer(&mut connection, begun).await;
    assert!(said.starts_with("HTTP/1.1 100 "), "its body is read: {said}");
    relight.stop().await;
    until_closed(&mut connection).await;
}
