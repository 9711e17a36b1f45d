//! Every form, body and call of Meta's is carried out or refused, whatever its fields.

use api::routes::{Route, Surface, table};
use engine::on_both_engines;
use proptest::{prelude::*, sample::Index, strategy::BoxedStrategy};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{
    inputs::{encoded, fields},
    json::{changed, tree, written},
    running::{SERVICE, holds_async},
    service::{Caller, Segment, Service, caller, is_answered, segments},
    signed_requests::{payloads, signed},
};

const FIELDS: [&str; 20] = [
    "email",
    "password",
    "plan",
    "right",
    "user",
    "url",
    "account",
    "sure",
    "as_owner",
    "as_developer",
    "next",
    "ask",
    "connection",
    "widget",
    "signed_request",
    "csrf",
    "name",
    "again",
    "x",
    "",
];

#[derive(Debug)]
struct Input {
    route: Index,
    caller: Caller,
    segments: Vec<Segment>,
    form: String,
    has_csrf: bool,
    json: Vec<u8>,
    content_type: &'static str,
    idempotency_key: Option<String>,
    signed: Vec<u8>,
}

fn inputs() -> BoxedStrategy<Input> {
    let form = prop_oneof![
        5 => fields(&FIELDS),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| encoded(&bytes)),
    ];
    let bodies =
        vec![json!({"plan": "free"}), json!({"plan": "upgraded"}), json!({"url": "https://hooks.example.com/x"})];
    let json = prop_oneof![
        4 => written(prop::sample::select(bodies).prop_flat_map(changed)),
        1 => written(tree()),
        1 => Just(Vec::new()),
    ];
    let kinds = vec!["application/json", "application/json; charset=utf-8", "application/json", "text/plain", ""];
    let once = prop::option::of("[a-c]{1,2}");
    let place = (any::<Index>(), caller(), segments());
    let body = (form, prop::bool::weighted(0.9), json, prop::sample::select(kinds), once, payloads());
    (place, body)
        .prop_map(|((route, caller, segments), (form, has_csrf, json, content_type, idempotency_key, signed))| Input {
            route,
            caller,
            segments,
            form,
            has_csrf,
            json,
            content_type,
            idempotency_key,
            signed,
        })
        .boxed()
}

fn filled(service: &Service, route: &Route, input: Input, request: RequestBuilder) -> RequestBuilder {
    if route.surface == Surface::Api {
        let request = request.header("content-type", input.content_type).body(input.json);
        return match input.idempotency_key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
    }
    let mut form = input.form;
    if input.has_csrf {
        form = format!("csrf={}&{form}", encoded(service.csrf.as_bytes()));
    }
    if route.path.starts_with("/meta/") {
        let secret = service.relight.sandbox.config().instagram_app.1.clone();
        form = format!("signed_request={}", encoded(signed(&input.signed, &secret).as_bytes()));
    }
    request.header("content-type", "application/x-www-form-urlencoded").body(form)
}

on_both_engines! {
    async fn every_form_and_body_is_answered_without_a_5xx(engine: Engine) {
        let service = Service::start(engine).await;
        let changes = |route: &Route| route.method != Method::GET && route.path != "/logout";
        let routes: Vec<Route> = table().into_iter().filter(changes).collect();
        holds_async(SERVICE, &inputs(), async |input| {
            let route = input.route.get(&routes);
            let url = service.url(route, &input.segments);
            let request = service.request(&input.caller, route.method.clone(), &url, route.surface);
            let answered = is_answered(filled(&service, route, input, request)).await;
            answered.map_err(|error| TestCaseError::fail(format!("{} {url}: {error}", route.method)))
        });
        service.relight.stop().await;
    }
}
