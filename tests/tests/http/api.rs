//! The JSON API.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::{on_both_engines, sql};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tests::relight::Relight;

/// A machine that calls with a key.
struct Machine<'a> {
    relight: &'a Relight,
    key: String,
}

impl Machine<'_> {
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let client = self.relight.browser().client;
        client.request(method, format!("{}/api/v1{path}", self.relight.base)).bearer_auth(&self.key)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.call(Method::GET, path)).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.call(method, path).json(body)).await
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn machine(relight: &Relight, role: Role) -> Machine<'_> {
    Machine { relight, key: relight.api_key(role).await }
}

on_both_engines! {
    async fn accounts_are_listed_in_pages_with_search_and_filter(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        for name in ["oakandiron", "luma.ceramics", "alta.climbing"] {
            owner.connect(Connection::Consumer, relight.holder(name)).await;
        }
        let service = machine(&relight, Role::Service).await;
        let names = |page: &Value| {
            let data = page["data"].as_array().expect("a list");
            data.iter().map(|account| account["username"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        let (_, page) = service.get("/accounts?limit=2").await;
        assert_eq!(names(&page), ["alta.climbing", "luma.ceramics"]);
        let next = page["next"].as_str().expect("more");
        let (_, page) = service.get(&format!("/accounts?limit=2&after={next}")).await;
        assert_eq!((names(&page), &page["next"]), (vec!["oakandiron".to_owned()], &Value::Null));
        assert_eq!(names(&service.get("/accounts?q=LUMA").await.1), ["luma.ceramics"]);
        assert_eq!(names(&service.get("/accounts?q=%25").await.1), Vec::<String>::new(), "a text, not a pattern");
        assert_eq!(names(&service.get("/accounts?status=expired").await.1), Vec::<String>::new());
        for bad in ["limit=0", "limit=201", "limit=x", "status=odd", "after=odd", "q=%00"] {
            let (status, body) = service.get(&format!("/accounts?{bad}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {body}");
        }
    }

    async fn an_account_has_the_agreed_shape(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        owner.add_widget(&id, Plan::Upgraded).await;
        let service = machine(&relight, Role::Service).await;
        let (status, account) = service.get(&format!("/accounts/{id}")).await;
        assert_eq!(status, StatusCode::OK);
        let mut keys: Vec<_> = account.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, [
            "certainty", "checked_at", "connection", "data_access_estimated", "data_access_expires_at", "ends_first", "expires_at",
            "generation", "id", "instagram_id", "needs_person", "position", "reading", "reading_refused_since", "reason",
            "renewal", "renewal_failing_since", "since", "status", "username", "widgets",
        ]);
        assert_eq!(account["instagram_id"], relight.holder("luma.ceramics"));
        assert_eq!(account["widgets"], json!({"free": 0, "upgraded": 1}));
        assert_eq!((&account["status"], &account["reason"]), (&json!("active"), &Value::Null));
        assert_eq!((&account["data_access_estimated"], &account["generation"]), (&json!(true), &json!(1)));
        assert_eq!(account["ends_first"], "session");
    }

    async fn widgets_are_added_changed_and_removed(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let service = machine(&relight, Role::Service).await;
        let widgets = format!("/accounts/{id}/widgets");
        let (status, widget) = service.send(Method::POST, &widgets, &json!({"plan": "free"})).await;
        assert_eq!((status, &widget["plan"]), (StatusCode::CREATED, &json!("free")));
        let path = format!("/widgets/{}", widget["id"].as_str().expect("an id"));
        let (status, widget) = service.send(Method::PATCH, &path, &json!({"plan": "upgraded"})).await;
        assert_eq!((status, &widget["plan"]), (StatusCode::OK, &json!("upgraded")));
        assert_eq!(service.get(&widgets).await.1["data"].as_array().map(Vec::len), Some(1));
        let removals = (0..6).map(|_| service.send(Method::DELETE, &path, &Value::Null));
        let mut answers: Vec<_> = futures::future::join_all(removals).await.iter().map(|(status, _)| *status).collect();
        answers.sort();
        assert_eq!(answers[0], StatusCode::NO_CONTENT, "one is told that it removed it");
        assert_eq!(answers[1..], [StatusCode::NOT_FOUND; 5]);
        for bad in [json!({"plan": "gold"}), json!({}), json!({"plan": "free", "more": 1}), json!([])] {
            assert_eq!(service.send(Method::POST, &widgets, &bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
        }
        let types = relight.events(&id).await;
        assert_eq!(types[3..], ["WidgetAdded", "WidgetPlanChanged", "WidgetRemoved"]);
    }

    async fn history_and_events_are_for_staffs_keys(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let auditor = machine(&relight, Role::Auditor).await;
        let (_, history) = auditor.get(&format!("/accounts/{id}/history")).await;
        let events = history["data"].as_array().expect("a list");
        let mut keys: Vec<_> = events[0].as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, [
            "account_id", "actor", "aggregate", "at", "metadata", "payload", "position", "recorded_at", "sequence",
            "type", "version",
        ]);
        assert_eq!(events.len(), 3);
        let (_, none) = auditor.get(&format!("/accounts/{id}/history?at=2020-01-01T00:00:00Z")).await;
        assert_eq!(none["data"], json!([]));
        let (_, page) = auditor.get("/events?limit=2").await;
        let (_, rest) = auditor.get(&format!("/events?after={}", page["next"].as_str().expect("more"))).await;
        assert_eq!(rest["data"][0]["type"], "Issued");
        assert_eq!(auditor.get("/events?type=Connected").await.1["data"].as_array().map(Vec::len), Some(1));
        assert!(auditor.get("/work").await.1["data"].is_array());
        assert_eq!(auditor.get("/events?account=odd").await.0, StatusCode::BAD_REQUEST);
        let service = machine(&relight, Role::Service).await;
        for path in [format!("/accounts/{id}/history"), "/events".to_owned(), "/work".to_owned()] {
            assert_eq!(service.get(&path).await.0, StatusCode::FORBIDDEN, "{path}");
        }
        let widgets = format!("/accounts/{id}/widgets");
        assert_eq!(auditor.send(Method::POST, &widgets, &json!({"plan": "free"})).await.0, StatusCode::FORBIDDEN);
    }

    async fn checks_are_bounded_and_links_are_made(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let service = machine(&relight, Role::Service).await;
        let check = format!("/accounts/{id}/check");
        for _ in 0..6 {
            assert_eq!(service.send(Method::POST, &check, &Value::Null).await.0, StatusCode::ACCEPTED);
        }
        let limited = service.call(Method::POST, &check).send().await.expect("an answer");
        assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(limited.headers().contains_key("retry-after"));
        let (status, link) = service.send(Method::POST, &format!("/accounts/{id}/reconnect-link"), &Value::Null).await;
        assert_eq!(status, StatusCode::CREATED);
        let url = link["url"].as_str().expect("a link");
        relight.browser().open(url).await.says("Reconnect @luma.ceramics");
    }

    async fn a_repeated_request_gives_the_first_answer(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let service = machine(&relight, Role::Service).await;
        let widgets = format!("/accounts/{id}/widgets");
        let post = async |path: &str, key: &str, body: Value| {
            let request = service.call(Method::POST, path).header("idempotency-key", key).json(&body);
            let answer = request.send().await.expect("an answer");
            let (status, again) = (answer.status(), answer.headers().contains_key("idempotency-replayed"));
            (status, again, answer.json::<Value>().await.unwrap_or(Value::Null))
        };
        let free = || json!({"plan": "free"});
        let (status, again, first) = post(&widgets, "order-7", free()).await;
        assert_eq!((status, again), (StatusCode::CREATED, false));
        for _ in 0..3 {
            assert_eq!(post(&widgets, "order-7", free()).await, (StatusCode::CREATED, true, first.clone()));
        }
        // Several at once, too: the widget's id is the key's.
        let at_once = (0..5).map(|_| post(&widgets, "order-8", free()));
        let answers = futures::future::join_all(at_once).await;
        assert!(answers.iter().all(|(status, _, body)| *status == StatusCode::CREATED && body["id"] == answers[0].2["id"]));
        assert_eq!(owner.widgets(&id).await.len(), 2);
        let (status, _, body) = post(&widgets, "order-7", json!({"plan": "upgraded"})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let links = format!("/accounts/{id}/reconnect-link");
        let (status, _, link) = post(&links, "link-1", Value::Null).await;
        assert_eq!((status, post(&links, "link-1", Value::Null).await.2), (StatusCode::CREATED, link));
        // The key is the caller's own, and refusals are answers too.
        let other = machine(&relight, Role::Service).await;
        let request = other.call(Method::POST, &widgets).header("idempotency-key", "order-7").json(&free());
        assert_ne!(answer(request).await.1["id"], first["id"]);
        let auditor = machine(&relight, Role::Auditor).await;
        let request = || auditor.call(Method::POST, &widgets).header("idempotency-key", "x").json(&free());
        assert_eq!(answer(request()).await.0, StatusCode::FORBIDDEN);
        assert_eq!(answer(request()).await.0, StatusCode::FORBIDDEN);
        for bad in ["x".repeat(256), "a b".to_owned()] {
            assert_eq!(post(&widgets, &bad, free()).await.0, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    async fn a_key_is_for_one_request_from_its_arrival_on(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let ids = [owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await, owner.connect(Connection::Consumer, relight.holder("hoshi.tea")).await];
        let service = machine(&relight, Role::Service).await;
        let post = async |id: &str| {
            let request = service.call(Method::POST, &format!("/accounts/{id}/widgets")).header("idempotency-key", "order-1");
            answer(request.json(&json!({"plan": "free"}))).await
        };
        // At once for two accounts: one of them has it.
        let (one, other) = tokio::join!(post(&ids[0]), post(&ids[1]));
        let mut statuses = [one.0, other.0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::CREATED, StatusCode::UNPROCESSABLE_ENTITY]);
        // One after the other, when the first answer is forgotten: that is another widget.
        let (first, second) = if one.0 == StatusCode::CREATED { (&ids[0], &ids[1]) } else { (&ids[1], &ids[0]) };
        let database = relight.store().database();
        sql("DELETE FROM answers").execute(database).await.expect("deleted");
        assert_eq!(post(second).await.0, StatusCode::CREATED);
        assert_eq!((owner.widgets(first).await.len(), owner.widgets(second).await.len()), (1, 1));
        assert_ne!(owner.widgets(first).await, owner.widgets(second).await);
        // What is under way for another request is refused at once.
        sql("INSERT INTO keyed_requests (caller_id, key, request_hash, lease, leased_until, asked_at) SELECT caller_id, 'order-2', $1, 'of a node', $2, $2 FROM answers")
            .bind(vec![1_u8]).bind(chrono::DateTime::from_timestamp(9_000_000_000, 0).expect("a time")).execute(database).await.expect("inserted");
        let request = service.call(Method::POST, &format!("/accounts/{first}/widgets")).header("idempotency-key", "order-2");
        assert_eq!(answer(request.json(&json!({"plan": "free"}))).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn the_same_request_at_once_is_carried_out_once(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let service = machine(&relight, Role::Service).await;
        let post = async |_: u32| {
            let request = service.call(Method::POST, &format!("/accounts/{id}/widgets")).header("idempotency-key", "order-1");
            let answer = request.json(&json!({"plan": "free"})).send().await.expect("an answer");
            let again = answer.headers().contains_key("idempotency-replayed");
            (answer.status(), again, answer.text().await.expect("a text"))
        };
        let all = futures::future::join_all((0..12).map(post)).await;
        assert!(all.iter().all(|(status, _, body)| *status == StatusCode::CREATED && *body == all[0].2), "{all:?}");
        assert_eq!(all.iter().filter(|(_, again, _)| !again).count(), 1, "the others waited for its answer");
        assert_eq!(owner.widgets(&id).await.len(), 1);
    }

    async fn commands_do_not_wait_for_a_view(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let other = owner.connect(Connection::Consumer, relight.holder("hoshi.tea")).await;
        let service = machine(&relight, Role::Service).await;
        // The view stops before it has seen anything of what follows.
        sql("UPDATE checkpoints SET failed_position = 1, failure = 'of a test' WHERE name = 'account_status'")
            .execute(relight.store().database()).await.expect("updated");
        let (status, widget) = service.send(Method::POST, &format!("/accounts/{id}/widgets"), &json!({"plan": "free"})).await;
        assert_eq!(status, StatusCode::CREATED);
        let name = widget["id"].as_str().expect("an id");
        let path = format!("/widgets/{name}");
        let (status, changed) = service.send(Method::PATCH, &path, &json!({"plan": "upgraded"})).await;
        assert_eq!((status, &changed["plan"], &changed["account_id"]), (StatusCode::OK, &json!("upgraded"), &json!(id)));
        let here = format!("/accounts/{id}/widgets/{name}/plan");
        assert_eq!(owner.press(&here, &[("plan", "free")]).await.status(), StatusCode::SEE_OTHER);
        // An id that one account has is refused for another: no view could show both.
        let context = commands::Context { actor: domain::Actor::Relight, correlation: "test".to_owned(), causation: None, request: None };
        let (account, widget) = (other.parse().expect("an id"), name.parse().expect("an id"));
        let twice = relight.commands().add_widget(account, widget, Plan::Free, domain::Authority::Staff, &context).await;
        assert!(matches!(twice, Err(commands::Error::Account(domain::AccountError::WidgetOfAnother))), "{twice:?}");
        assert_eq!(service.send(Method::DELETE, &path, &Value::Null).await.0, StatusCode::NO_CONTENT);
        assert_eq!(service.send(Method::DELETE, &path, &Value::Null).await.0, StatusCode::NOT_FOUND);
    }

    async fn a_repeated_answer_has_the_type_and_the_body_of_the_first(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let service = machine(&relight, Role::Service).await;
        let cases = [
            (format!("/accounts/{id}/widgets"), json!({"plan": "odd"}), StatusCode::BAD_REQUEST),
            (format!("/accounts/{id}/widgets?"), json!(["free"]), StatusCode::BAD_REQUEST),
            ("/webhooks?".to_owned(), json!(["https://example.com"]), StatusCode::BAD_REQUEST),
            ("/webhooks".to_owned(), json!({"url": "ftp://example.com"}), StatusCode::UNPROCESSABLE_ENTITY),
            ("/accounts/odd/check".to_owned(), json!({}), StatusCode::NOT_FOUND),
            (format!("/accounts/{id}/check"), json!({}), StatusCode::ACCEPTED),
        ];
        for (path, body, status) in cases {
            let mut answers = Vec::new();
            for _ in 0..2 {
                let request = service.call(Method::POST, &path).header("idempotency-key", &path).json(&body);
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), status, "{path}");
                let kind = answer.headers().get("content-type").map(|kind| kind.to_str().expect("a text").to_owned());
                answers.push((kind, answer.text().await.expect("a text")));
            }
            assert_eq!(answers[0], answers[1], "{path}");
            assert_eq!(answers[0].0.as_deref(), (status != StatusCode::ACCEPTED).then_some("application/problem+json"));
        }
    }

    async fn who_wrote_reads_it(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let id = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let service = machine(&relight, Role::Service).await;
        let position = |answer: &reqwest::Response| {
            answer.headers()["relight-position"].to_str().expect("a text").parse::<i64>().expect("a number")
        };
        for count in 1..=5 {
            let request = service.call(Method::POST, &format!("/accounts/{id}/widgets")).json(&json!({"plan": "free"}));
            let written = position(&request.send().await.expect("an answer"));
            let path = format!("/accounts/{id}?min_position={written}");
            let read = service.call(Method::GET, &path).send().await.expect("an answer");
            assert!(position(&read) >= written);
            let account: Value = read.json().await.expect("JSON");
            assert_eq!((account["widgets"]["free"].as_i64(), account["position"].as_i64()), (Some(count), Some(written)));
        }
        for bad in ["x", "-1"] {
            assert_eq!(service.get(&format!("/accounts?min_position={bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    async fn without_a_good_key_nothing_is_told(engine: Engine) {
        let relight = Relight::start(engine).await;
        let client = relight.browser().client;
        let url = format!("{}/api/v1/accounts", relight.base);
        for header in [None, Some("Bearer"), Some("Bearer relight_wrong"), Some("Basic eDp5"), Some("Bearer x")] {
            let mut request = client.get(&url);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let (status, body) = answer(request).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{header:?}");
            assert_eq!(body["type"], "urn:relight:problem:key-required");
        }
        // A signed-in browser's cookie is no key.
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        assert_eq!(owner.ask("/api/v1/accounts").await.status(), StatusCode::UNAUTHORIZED);
        let service = machine(&relight, Role::Service).await;
        assert_eq!(service.get("/accounts/odd").await.0, StatusCode::NOT_FOUND);
        assert_eq!(service.get("/accounts/01900000-0000-7000-8000-000000000000").await.0, StatusCode::NOT_FOUND);
        assert_eq!(service.get("/nothing").await.0, StatusCode::NOT_FOUND);
        let (_, document) = service.get("/openapi.json").await;
        assert!(document["paths"]["/accounts/{id}/history"]["get"].is_object());
        assert_eq!(relight.browser().ask("/docs/").await.status(), StatusCode::OK);
    }
}
