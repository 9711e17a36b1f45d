//! A running Relight with something of everything, and who calls it.

use std::net::Ipv4Addr;

use api::{
    routes::{Route, Surface},
    sign_in::Role,
};
use domain::{Connection, account::Plan};
use engine::testing::Engine;
use proptest::{prelude::*, sample::Index};
use reqwest::{Client, Method, RequestBuilder};
use sandbox::person::{Consent, values_of};
use serde_json::{Value, json};
use tests::{browser::Browser, relight::Relight};

use super::{inputs::encoded, json::text, running::Held};

/// Relight behind a trusted proxy, with accounts, a widget, a web hook, a finished login and a link.
pub(crate) struct Service {
    pub(crate) relight: Relight,
    /// Signed in as admin.
    pub(crate) admin: Browser,
    /// The token that forms of the admin's session carry.
    pub(crate) csrf: String,
    /// An admin's key.
    pub(crate) key: String,
    visitor: Client,
    accounts: Vec<String>,
    pub(crate) widget: String,
    webhook: String,
    reference: String,
    link: String,
}

impl Service {
    pub(crate) async fn start(engine: Engine) -> Self {
        let proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        let relight = Relight::start_with(engine, |config| config.http.trusted_proxies = proxies).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let mut accounts = Vec::new();
        for name in ["luma.ceramics", "nordlicht.bakery"] {
            accounts.push(admin.connect(Connection::Consumer, relight.holder(name)).await);
        }
        let widget = admin.add_widget(&accounts[0], Plan::Upgraded).await;
        let login = admin.log_in("/connect/consumer", &[], &Consent::of(relight.holder("luma.ceramics"))).await;
        let reference = login.expect("a result page").replace("/attempts/", "");
        let key = relight.api_key(Role::Admin).await;
        let visitor = relight.browser().client;
        let made = async |path: &str, body: Value| {
            let request = visitor.post(format!("{}/api/v1{path}", relight.base)).bearer_auth(&key).json(&body);
            let text = request.send().await.expect("an answer").text().await.expect("a text");
            serde_json::from_str::<Value>(&text).unwrap_or_else(|_| panic!("{text}"))
        };
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
        let link = made(&format!("/accounts/{}/reconnect-link", accounts[0]), json!({})).await;
        let link = text(&link["url"]).rsplit('/').next().expect("a segment").to_owned();
        let webhook = text(&made("/webhooks", json!({"url": "https://hooks.example.com/"})).await["id"]);
        let csrf = values_of(&admin.open("/token").await.html, "csrf").into_iter().next().expect("a token");
        Self { relight, admin, csrf, key, visitor, accounts, widget, webhook, reference, link }
    }

    /// The account that nothing disconnects.
    pub(crate) fn account(&self) -> &str {
        &self.accounts[0]
    }

    /// What exists for a placeholder of a route.
    fn known(&self, route: &Route, placeholder: &str) -> Vec<&str> {
        match placeholder {
            "connection" => vec!["consumer", "business"],
            "widget" => vec![&self.widget],
            "reference" => vec![&self.reference],
            "link" => vec![&self.link],
            "how" => vec!["release", "expire", "confirm"],
            "file" => vec!["index.html", "swagger-ui.css"],
            _ if route.path.contains("webhooks") => vec![&self.webhook],
            _ if route.path.starts_with("/api/v1/widgets") => vec![&self.widget],
            // One account stays connected.
            _ if route.path.ends_with("disconnect") => vec![&self.accounts[1]],
            _ => self.accounts.iter().map(String::as_str).collect(),
        }
    }

    /// A route's address with something for each placeholder.
    pub(crate) fn url(&self, route: &Route, segments: &[Segment]) -> String {
        let mut segments = segments.iter().cycle();
        let mut url = self.relight.base.clone();
        for part in route.path.split('/').skip(1) {
            url.push('/');
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                None => url.push_str(part),
                Some(placeholder) => match segments.next() {
                    Some(Segment::Known(index)) => url.push_str(index.get::<&str>(&self.known(route, placeholder))),
                    Some(Segment::Any(bytes)) => url.push_str(&encoded(bytes)),
                    None => {}
                },
            }
        }
        url
    }

    /// A request of somebody.
    pub(crate) fn request(&self, caller: &Caller, method: Method, url: &str, surface: Surface) -> RequestBuilder {
        let request = match (caller.who, surface) {
            (Who::Key, _) | (Who::Fitting, Surface::Api) => self.visitor.request(method, url).bearer_auth(&self.key),
            (Who::Visitor, _) => self.visitor.request(method, url),
            (Who::Admin | Who::Fitting, _) => self.admin.client.request(method, url),
        };
        // From everywhere: limits for one address would end most requests early.
        request.header("x-forwarded-for", caller.from.to_string())
    }
}

/// Sends a request: any answer is right but one that says that the service failed. Streams aren't read.
///
/// # Errors
/// When it is a 5xx, or there is none.
pub(crate) async fn is_answered(request: RequestBuilder) -> Held {
    let answer = request.send().await.map_err(|error| TestCaseError::fail(format!("no answer: {error:?}")))?;
    let status = answer.status();
    let is_stream = answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let text = if is_stream { Ok(String::new()) } else { answer.text().await };
    prop_assert!(text.is_ok(), "the answer is cut off: {text:?}");
    prop_assert!(!status.is_server_error(), "{status} {text:?}");
    Ok(())
}

/// What stands for a placeholder.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Known(Index),
    Any(Vec<u8>),
}

/// What stands for placeholders: mostly what exists.
pub(crate) fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let segment = prop_oneof![
        5 => any::<Index>().prop_map(Segment::Known),
        1 => text().prop_map(|text| Segment::Any(text.into_bytes())),
        1 => any::<u128>().prop_map(|id| Segment::Any(uuid::Uuid::from_u128(id).to_string().into())),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Segment::Any),
    ];
    prop::collection::vec(segment, 1..3)
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
enum Who {
    Visitor,
    Admin,
    Key,
    /// The admin on pages, the key at the API.
    Fitting,
}

/// Who calls, and from where a proxy says they do.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    who: Who,
    from: Ipv4Addr,
}

/// Anybody; mostly with rights.
pub(crate) fn caller() -> impl Strategy<Value = Caller> {
    let who = prop_oneof![1 => Just(Who::Visitor), 1 => Just(Who::Admin), 1 => Just(Who::Key), 6 => Just(Who::Fitting)];
    (who, any::<[u8; 3]>()).prop_map(|(who, [a, b, c])| Caller { who, from: Ipv4Addr::new(11, a, b, c) })
}
