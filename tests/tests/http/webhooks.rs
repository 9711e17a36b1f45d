//! Web hooks out: signed, once an event and endpoint, tried again, and never into our own network.

use std::sync::{Arc, Mutex};

use ::api::sign_in::Role;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use chrono::TimeDelta;
use domain::{Connection, account::Plan};
use engine::on_both_engines;
use reqwest::Method;
use sandbox::{Action, person::Consent};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tests::{found, relight::Relight};

const LUMA: &str = "luma.ceramics";

/// A widget service that listens.
#[derive(Clone)]
struct Service {
    url: String,
    heard: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<StatusCode>>,
}

impl Service {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let service = Self { url, heard: Arc::default(), answers: Arc::new(Mutex::new(StatusCode::NO_CONTENT)) };
        let hear = async |State(service): State<Self>, headers: HeaderMap, body: Bytes| {
            service.heard.lock().expect("unbroken").push((headers, body));
            *service.answers.lock().expect("unbroken")
        };
        let router = Router::new().route("/hooks", post(hear)).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    fn answer(&self, status: StatusCode) {
        *self.answers.lock().expect("unbroken") = status;
    }

    /// Waits until it has heard so often; what it heard, and the messages' types.
    async fn heard(&self, times: usize) -> (Vec<(HeaderMap, Bytes)>, Vec<String>) {
        let enough = async || {
            let heard = self.heard.lock().expect("unbroken").clone();
            if heard.len() >= times { Ok(heard) } else { Err(format!("only {}", heard.len())) }
        };
        let heard = found(&format!("{times} messages"), enough).await;
        let kind = |(_, body): &(HeaderMap, Bytes)| {
            let body: Value = serde_json::from_slice(body).expect("JSON");
            body["type"].as_str().expect("a type").to_owned()
        };
        let kinds = heard.iter().map(kind).collect();
        (heard, kinds)
    }
}

/// The address of one that sends everybody on to another.
async fn leading_to(url: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    let url = url.to_owned();
    let lead = async move || axum::response::Redirect::temporary(&url);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(lead))).await });
    address
}

async fn api(relight: &Relight, key: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let url = format!("{}/api/v1{path}", relight.base);
    let mut request = relight.browser().client.request(method, url).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("answers");
    let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
    (status, answer.json().await.unwrap_or_default())
}

async fn started(engine: engine::testing::Engine) -> (Relight, Service, String, String) {
    let relight = Relight::start_with(engine, |config| config.webhooks.private = true).await;
    let (service, key) = (Service::start().await, relight.api_key(Role::Service).await);
    let (status, added) = api(&relight, &key, Method::POST, "/webhooks", Some(json!({"url": service.url}))).await;
    assert_eq!(status, StatusCode::CREATED, "{added}");
    let secret = added["secret"].as_str().expect("a secret").to_owned();
    (relight, service, key, secret)
}

on_both_engines! {
    async fn the_widget_service_hears_what_happens_once_and_signed(engine: Engine) {
        let (relight, service, key, secret) = started(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        owner.add_widget(&account, Plan::Upgraded).await;
        let here = format!("/accounts/{account}");
        relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
        owner.press(&format!("{here}/check"), &[]).await;
        let (heard, kinds) = service.heard(1).await;
        assert_eq!(kinds, ["account.expired"]);
        let (headers, body) = &heard[0];
        Webhook::new(&secret).expect("a secret").verify(body, headers).expect("signed");
        let said: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!((&said["data"]["account_id"], &said["data"]["reason"]), (&account.clone().into(), &"password_changed".into()));
        let text = String::from_utf8_lossy(body);
        assert!(!text.contains(LUMA) && !text.contains("IGAA"), "{text}");
        owner.result(&format!("{here}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        let (_, mut kinds) = service.heard(3).await;
        kinds.sort();
        assert_eq!(kinds, ["account.expired", "account.recovered", "token.refreshed"]);
        // Sessions are extended, and data access ends.
        for _ in 0..44 {
            relight.pass_and_settle(TimeDelta::days(2)).await;
        }
        relight.pass(TimeDelta::hours(36));
        let (_, kinds) = service.heard(8).await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "account.expiring").count(), 3, "{kinds:?}");
        assert!(kinds.contains(&"token.renewed".to_owned()), "{kinds:?}");
        let (_, listed) = api(&relight, &key, Method::GET, "/webhooks", None).await;
        assert!(listed["data"][0]["secret"].is_null(), "it is shown once: {listed}");
        let path = format!("/webhooks/{}/deliveries", listed["data"][0]["id"].as_str().expect("an id"));
        let (_, deliveries) = api(&relight, &key, Method::GET, &path, None).await;
        assert!(deliveries["data"].as_array().expect("a list").iter().all(|row| row["outcome"] == "delivered"), "{deliveries}");
    }

    async fn what_was_not_taken_is_tried_again_for_three_days(engine: Engine) {
        let (relight, service, key, _) = started(engine).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        service.answer(StatusCode::INTERNAL_SERVER_ERROR);
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        relight.act(Action::RemoveApp { holder: LUMA.to_owned() });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        service.heard(1).await;
        admin.until("/webhooks", "500; again").await;
        relight.pass(TimeDelta::seconds(6));
        let (heard, _) = service.heard(2).await;
        assert_eq!(heard[0].0["webhook-id"], heard[1].0["webhook-id"]);
        let began = relight.clock.now();
        while !admin.open("/webhooks").await.text().contains("Given up") {
            relight.pass_and_settle(TimeDelta::minutes(90)).await;
            assert!(relight.clock.now() - began < TimeDelta::days(5), "it is never given up");
        }
        assert!(relight.clock.now() - began > TimeDelta::days(2));
        // Gone for good.
        service.answer(StatusCode::GONE);
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        admin.until("/webhooks", "it answered 410").await;
        let (_, listed) = api(&relight, &key, Method::GET, "/webhooks", None).await;
        let path = format!("/webhooks/{}", listed["data"][0]["id"].as_str().expect("an id"));
        assert_eq!(api(&relight, &key, Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(api(&relight, &key, Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
    }

    async fn an_endpoint_that_does_not_answer_holds_up_no_other(engine: Engine) {
        let (relight, service, key, _) = started(engine).await;
        // It takes connections, and says nothing.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", silent.local_addr().expect("an address"));
        let (_, added) = api(&relight, &key, Method::POST, "/webhooks", Some(json!({"url": url}))).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        for heard in 1..=3 {
            owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
            service.heard(heard).await;
        }
        let path = format!("/webhooks/{}/deliveries", added["id"].as_str().expect("an id"));
        let (_, deliveries) = api(&relight, &key, Method::GET, &path, None).await;
        let rows = deliveries["data"].as_array().expect("a list");
        assert!(rows.len() == 3 && rows.iter().all(|row| row["attempts"] == 0), "all heard before it gave up: {deliveries}");
    }

    async fn a_redirect_is_not_followed(engine: Engine) {
        let (relight, service, key, _) = started(engine).await;
        let elsewhere = Service::start().await;
        let leads_on = leading_to(&elsewhere.url).await;
        let (_, added) = api(&relight, &key, Method::POST, "/webhooks", Some(json!({"url": leads_on}))).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        service.heard(1).await;
        let path = format!("/webhooks/{}/deliveries", added["id"].as_str().expect("an id"));
        found("its answer", async || {
            let (_, deliveries) = api(&relight, &key, Method::GET, &path, None).await;
            if deliveries["data"][0]["answer"] == "307" { Ok(()) } else { Err(deliveries) }
        }).await;
        assert_eq!(elsewhere.heard.lock().expect("unbroken").len(), 0);
    }

    async fn two_nodes_tell_each_thing_once(engine: Engine) {
        if engine == engine::testing::Engine::Sqlite {
            return; // One file is one node's.
        }
        let (relight, service, _, _) = started(engine).await;
        let node = relight.second_node().await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        for heard in 1..=10 {
            owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
            service.heard(heard).await;
        }
        relight.settled().await;
        let (heard, _) = service.heard(10).await;
        let ids: std::collections::BTreeSet<_> = heard.iter().map(|(headers, _)| headers["webhook-id"].clone()).map(|id| id.as_bytes().to_vec()).collect();
        assert_eq!((heard.len(), ids.len()), (10, 10));
        node.stop().await;
    }

    async fn endpoints_added_at_once_are_counted_and_none_twice(engine: Engine) {
        let relight = Relight::start(engine).await;
        let key = &relight.api_key(Role::Service).await;
        let add = async |path: String| {
            let url = json!({"url": format!("https://example.com/{path}")});
            api(&relight, key, Method::POST, "/webhooks", Some(url)).await.0
        };
        let same = futures::future::join_all((0..8).map(|_| add("same".to_owned()))).await;
        assert_eq!(same.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{same:?}");
        let many = futures::future::join_all((0..30).map(|n| add(n.to_string()))).await;
        assert_eq!(many.iter().filter(|status| **status == StatusCode::CREATED).count(), 19, "{many:?}");
        let (_, listed) = api(&relight, key, Method::GET, "/webhooks", None).await;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(20));
    }

    async fn no_endpoint_leads_into_our_own_network(engine: Engine) {
        let relight = Relight::start(engine).await;
        let key = relight.api_key(Role::Service).await;
        for url in ["http://example.com/hooks", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://user:pw@example.com/", "odd"] {
            let (status, said) = api(&relight, &key, Method::POST, "/webhooks", Some(json!({"url": url}))).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {said}");
        }
        // A name is looked up when it is called.
        let (status, _) = api(&relight, &key, Method::POST, "/webhooks", Some(json!({"url": "https://localhost/hooks"}))).await;
        assert_eq!(status, StatusCode::CREATED);
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        relight.act(Action::RemoveApp { holder: LUMA.to_owned() });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        admin.until("/webhooks", "leads to an address that is not public").await;
        for role in [Role::Support, Role::Auditor] {
            let key = relight.api_key(role).await;
            assert_eq!(api(&relight, &key, Method::GET, "/webhooks", None).await.0, StatusCode::FORBIDDEN);
        }
        assert_eq!(owner.ask("/webhooks").await.status(), 404);
    }
}
