//! No header, however odd, makes a request fail.

use engine::on_both_engines;
use proptest::{prelude::*, sample::Index, strategy::BoxedStrategy};
use reqwest::{Method, header::HeaderValue};
use tests::relight::PASSWORD;

use super::{
    running::{SERVICE, holds_async},
    service::{Service, is_answered},
};

/// Headers that the service or a layer of it reads.
const NAMES: [&str; 17] = [
    "authorization",
    "x-forwarded-for",
    "x-forwarded-for",
    "forwarded",
    "idempotency-key",
    "if-none-match",
    "if-modified-since",
    "content-type",
    "origin",
    "sec-fetch-site",
    "accept-encoding",
    "accept-language",
    "last-event-id",
    "x-request-id",
    "range",
    "expect",
    "host",
];

/// Values that one of them may have, or nearly.
const NEARLY: [&str; 22] = [
    "Bearer",
    "bearer ",
    "Basic eDp5",
    "*",
    "W/\"",
    "\"abc",
    "null",
    "http://127.0.0.1",
    "https://evil.example",
    "same-origin",
    "unknown",
    "203.0.113.9:99999",
    "[::1]:80, 127.0.0.1",
    "::ffff:203.0.113.9",
    ",,,",
    "for=\"[2001:db8::1]\"",
    "application/json",
    "application/json; charset=",
    "multipart/form-data; boundary=",
    "gzip;q=2, br;q=x",
    "bytes=9-1",
    "Thu, 01 Jan 1970 00:00:00 GMT",
];

/// A cookie's value: one that was given out with some bytes changed, or anything.
#[derive(Debug, Clone)]
enum Value {
    Given(Index, Option<(Index, u8)>),
    Any(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Input {
    target: Index,
    cookies: Vec<(Index, Value)>,
    headers: Vec<(&'static str, Vec<u8>)>,
    has_key: bool,
}

fn inputs() -> BoxedStrategy<Input> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let value = prop_oneof![
        2 => (any::<Index>(), prop::option::of((any::<Index>(), any::<u8>()))).prop_map(|(given, change)| Value::Given(given, change)),
        1 => bytes().prop_map(Value::Any),
    ];
    let header = prop_oneof![
        3 => prop::sample::select(&NEARLY[..]).prop_map(|text| text.as_bytes().to_vec()),
        2 => bytes(),
        1 => "[ -~]{0,300}".prop_map(String::into_bytes),
    ];
    let headers = prop::collection::vec((prop::sample::select(&NAMES[..]), header), 0..4);
    let cookies = prop::collection::vec((any::<Index>(), value), 0..4);
    (any::<Index>(), cookies, headers, any::<bool>())
        .prop_map(|(target, cookies, headers, has_key)| Input { target, cookies, headers, has_key })
        .boxed()
}

/// The cookies that a sign-in and a login's button give: names and values.
async fn given(service: &Service) -> Vec<(String, String)> {
    let browser = service.relight.browser();
    let signed_in = browser.post("/login", &[("email", "root@example.com"), ("password", PASSWORD)]).await;
    let set_out = browser.press("/token/consumer", &[]).await;
    let answers = [signed_in, set_out];
    let lines = answers.iter().flat_map(|answer| answer.headers().get_all("set-cookie"));
    let pairs = lines.filter_map(|line| line.to_str().ok()?.split(';').next()?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn cookie(given: &[(String, String)], cookies: &[(Index, Value)]) -> Option<HeaderValue> {
    let mut header = Vec::new();
    for (name, value) in cookies {
        header.extend_from_slice(name.get(given).0.as_bytes());
        header.push(b'=');
        match value {
            Value::Any(bytes) => header.extend_from_slice(bytes),
            Value::Given(index, change) => {
                let mut value = index.get(given).1.clone().into_bytes();
                if let Some((place, byte)) = change.as_ref().filter(|_| !value.is_empty()) {
                    let place = place.index(value.len());
                    value[place] = *byte;
                }
                header.extend_from_slice(&value);
            }
        }
        header.extend_from_slice(b"; ");
    }
    HeaderValue::from_bytes(&header).ok().filter(|header| !header.is_empty())
}

on_both_engines! {
    async fn cookies_and_headers_of_any_bytes_are_answered_without_a_5xx(engine: Engine) {
        let service = Service::start(engine).await;
        let given = given(&service).await;
        assert!(given.len() >= 3, "a session, a known browser and a login's browser: {given:?}");
        let api = format!("/api/v1/accounts/{}", service.account());
        let targets = [
            (Method::GET, "/accounts".to_owned()),
            (Method::GET, format!("/accounts/{}", service.account())),
            (Method::GET, "/accounts/live".to_owned()),
            (Method::GET, "/login".to_owned()),
            (Method::GET, "/token".to_owned()),
            (Method::GET, "/oauth/consumer/callback?state=x&code=y".to_owned()),
            (Method::GET, format!("/w/{}", service.widget)),
            (Method::GET, format!("/w/{}/feed.json", service.widget)),
            (Method::GET, "/assets/style.css".to_owned()),
            (Method::GET, "/docs/index.html".to_owned()),
            (Method::GET, api.clone()),
            (Method::POST, format!("{api}/widgets")),
            (Method::POST, format!("{api}/reconnect-link")),
            (Method::POST, "/login".to_owned()),
            (Method::POST, "/token/business".to_owned()),
            (Method::POST, "/settings".to_owned()),
            (Method::POST, "/meta/consumer/deauthorize".to_owned()),
        ];
        let client = meta::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        holds_async(SERVICE, &inputs(), async |input| {
            let (method, path) = input.target.get(&targets);
            let mut request = client.request(method.clone(), format!("{}{path}", service.relight.base));
            if input.has_key {
                request = request.bearer_auth(&service.key);
            }
            if *method == Method::POST {
                request = request.body("email=a%40example.com&password=x");
            }
            if let Some(cookie) = cookie(&given, &input.cookies) {
                request = request.header("cookie", cookie);
            }
            for (name, value) in input.headers {
                // What no header may hold is never sent.
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    request = request.header(name, value);
                }
            }
            let answered = is_answered(request).await;
            answered.map_err(|error| TestCaseError::fail(format!("{method} {path}: {error}")))
        });
        service.relight.stop().await;
    }
}
