//! The table of routes, walked by every role: who is let in where, and what the API's description says.

use std::collections::{BTreeMap, BTreeSet};

use ::api::{
    routes::{Route, Surface, Who, table},
    sign_in::Role,
};
use domain::{Connection, account::Plan};
use engine::on_both_engines;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use sandbox::person::Consent;
use serde_json::Value;
use tests::relight::Relight;

const PEOPLE: [Role; 4] = [Role::Owner, Role::Support, Role::Auditor, Role::Admin];
const KEYS: [Role; 4] = [Role::Service, Role::Support, Role::Auditor, Role::Admin];

/// Somebody who calls.
enum Caller {
    Visitor(Client),
    Person(Role, Client),
    Key(Role, Client, String),
}

impl Caller {
    fn name(&self) -> String {
        match self {
            Self::Visitor(_) => "a visitor".to_owned(),
            Self::Person(role, _) => format!("a signed-in {}", role.name()),
            Self::Key(role, ..) => format!("a key of {}", role.name()),
        }
    }

    fn request(&self, method: &Method, url: &str) -> RequestBuilder {
        match self {
            Self::Visitor(client) | Self::Person(_, client) => client.request(method.clone(), url),
            Self::Key(_, client, key) => client.request(method.clone(), url).bearer_auth(key),
        }
    }

    /// What the gate answers where the caller isn't let in.
    fn refusal(&self, route: &Route) -> Option<StatusCode> {
        match (route.who, self) {
            (Who::Anyone, _) => None,
            (Who::People(roles), Self::Person(role, _)) => (!roles.contains(role)).then_some(StatusCode::NOT_FOUND),
            (Who::People(_), _) if route.method == Method::GET && route.surface == Surface::Page => {
                Some(StatusCode::SEE_OTHER)
            }
            (Who::Keys(roles), Self::Key(role, ..)) => (!roles.contains(role)).then_some(StatusCode::FORBIDDEN),
            (Who::People(_) | Who::Keys(_), _) => Some(StatusCode::UNAUTHORIZED),
        }
    }
}

/// A route's path with things that exist.
fn filled(route: &Route, account: &str, widget: &str) -> String {
    let about_widgets = route.path.starts_with("/api/v1/widgets") || route.path.starts_with("/w/");
    route
        .path
        .replace("{widget}", widget)
        .replace("{id}", if about_widgets { widget } else { account })
        .replace("{connection}", "consumer")
        .replace("{file}", "index.html")
}

on_both_engines! {
    async fn every_route_lets_in_whom_the_table_names_and_nobody_else(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        let mut callers = vec![Caller::Visitor(relight.browser().client), Caller::Person(Role::Owner, owner.client.clone())];
        for role in &PEOPLE[1..] {
            let person = relight.signed_in(&format!("{}@example.com", role.name()), *role).await;
            callers.push(Caller::Person(*role, person.client));
        }
        for role in KEYS {
            callers.push(Caller::Key(role, relight.browser().client, relight.api_key(role).await));
        }
        let events = relight.event_count().await;
        for route in table() {
            let url = format!("{}{}", relight.base, filled(&route, &account, &widget));
            // A key that is let in would change something: a body that can't be read ends it behind the gate.
            for caller in &callers {
                let mut request = caller.request(&route.method, &url);
                if route.method != Method::GET && route.surface == Surface::Api {
                    request = request.header("idempotency-key", "x".repeat(300)).header("content-type", "text/plain");
                }
                if route.method == Method::DELETE {
                    continue;
                }
                let answer = request.send().await.expect("an answer");
                let (status, what) = (answer.status(), format!("{} {} by {}", route.method, route.path, caller.name()));
                match caller.refusal(&route) {
                    Some(refusal) => assert_eq!(status, refusal, "{what}"),
                    // A form without the token of its session is refused behind the gate; nothing was changed by it.
                    None if route.method == Method::GET => {
                        let exists = !route.path.contains("{key}") && !route.path.contains("{reference}") && !route.path.contains("{link}") && !route.path.contains("{code}");
                        // Links and keys that are guessed count as failures of the address.
                        let guessed = !exists && status == StatusCode::TOO_MANY_REQUESTS;
                        let seen = guessed || status.is_success() || status.is_redirection() || (!exists && status == StatusCode::NOT_FOUND)
                            || route.path.contains("callback") || route.path.contains("/api/v1/webhooks/");
                        assert!(seen, "{what}: {status}");
                    }
                    None => {
                        let behind = ![StatusCode::UNAUTHORIZED, StatusCode::SEE_OTHER, StatusCode::METHOD_NOT_ALLOWED].contains(&status)
                            || matches!(caller, Caller::Visitor(_) | Caller::Key(..)) && route.who == Who::Anyone;
                        assert!(behind && !status.is_server_error(), "{what}: {status}");
                    }
                }
            }
        }
        assert_eq!(relight.event_count().await, events, "walking changes nothing");
    }

    async fn keys_that_only_look_delete_nothing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        for (role, expected) in [(Role::Auditor, 403), (Role::Support, 403), (Role::Service, 204)] {
            let key = relight.api_key(role).await;
            let url = format!("{}/api/v1/widgets/{widget}", relight.base);
            let answer = relight.browser().client.delete(url).bearer_auth(key).send().await.expect("an answer");
            assert_eq!(answer.status(), expected, "{}", role.name());
        }
    }

    async fn what_is_offered_can_be_done_and_what_is_unknown_is_missing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("fern.and.fog")).await;
        let here = format!("/accounts/{account}");
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        admin.open(&here).await.says("Switch to Facebook");
        // Mia has a role on the account's Page: an admin may switch a connection that works, to its end.
        let mia = Consent::of(relight.holder("Mia Berg"));
        admin.result(&format!("{here}/switch"), &[], &mia).await.says("@fern.and.fog is switched");
        let unknown = "01900000-0000-7000-8000-000000000000";
        let answer = admin.press(&format!("/operations/incidents/{unknown}/release"), &[]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(admin.press(&format!("/webhooks/{unknown}/remove"), &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(owner.press(&format!("{here}/access/revoke"), &[("user", unknown)]).await.status(), StatusCode::NOT_FOUND);
        let key = relight.api_key(Role::Service).await;
        let url = format!("{}/api/v1/webhooks/{unknown}/deliveries", relight.base);
        let answer = relight.browser().client.get(url).bearer_auth(key).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        // A disconnected account has no token to ask Meta about.
        let other = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        owner.press(&format!("/accounts/{other}/disconnect"), &[("sure", "yes")]).await;
        let key = relight.api_key(Role::Service).await;
        let url = format!("{}/api/v1/accounts/{other}/check", relight.base);
        let answer = relight.browser().client.post(url).bearer_auth(key).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        // An auditor who looks has nobody asked, and is offered nothing that changes.
        let auditor = relight.signed_in("aud@example.com", Role::Auditor).await;
        let page = auditor.open(&here).await;
        for offered in ["Check now", "Make a link", "Refresh token", "Disconnect"] {
            assert!(!page.text().contains(offered), "{offered}");
        }
        assert_eq!(auditor.press(&format!("{here}/check"), &[]).await.status(), StatusCode::NOT_FOUND);
    }
}

/// The table is what people read to know who may do what: each change of it is a change of this list.
#[test]
fn the_table_is_documented() {
    let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    for route in table() {
        route.check().expect("agrees with its handler");
        let (who, trail) = (
            match route.who {
                Who::Anyone => "anybody".to_owned(),
                Who::People(roles) => format!("people: {}", names(roles)),
                Who::Keys(roles) => format!("keys: {}", names(roles)),
            },
            match route.audit {
                ::api::routes::Audit::Event(events) => format!("events: {events}"),
                ::api::routes::Audit::None(why) => format!("none: {why}"),
            },
        );
        lines.push(format!("| `{} {}` | {who} | {trail} |", route.method, route.path));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/routes.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let text = format!(
        "# Routes\n\nEvery route of the service, who may call it, and what trail a call leaves. Made from the table in \
         `api/src/routes/table.rs`; `RELIGHT_TEST_WRITE=1 cargo test -p tests --test http the_table_is_documented` writes \
         it anew.\n\nRights on a single account come on top: a customer sees the accounts that they own or develop.\n\n\
         | route | who | trail |\n|---|---|---|\n{}\n",
        lines.join("\n")
    );
    if std::env::var_os("RELIGHT_TEST_WRITE").is_some() {
        std::fs::write(path, &text).expect("written");
    } else {
        assert!(written == text, "docs/routes.md differs from the table of routes");
    }
}

#[tokio::test]
async fn the_description_is_true() {
    let relight = Relight::start(engine::testing::Engine::Sqlite).await;
    let document: Value =
        serde_json::from_str(&relight.browser().open("/api/v1/openapi.json").await.html).expect("JSON");
    let mut described = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            described.insert(format!("{} /api/v1{path}", method.to_uppercase()), operation.clone());
        }
    }
    let routes: Vec<_> = table().into_iter().filter(|route| route.surface == Surface::Api).collect();
    assert_eq!(described.len(), routes.len(), "every route is described, and nothing else");
    let names: BTreeSet<_> = described.values().map(|operation| operation["operationId"].to_string()).collect();
    assert_eq!(names.len(), routes.len(), "an operation's id is its own (OpenAPI 3.1, section 4.8.10)");
    for route in routes {
        let operation = &described[&format!("{} {}", route.method, route.path)];
        let what = format!("{} {}", route.method, route.path);
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let placed = |place: &str| {
            parameters
                .iter()
                .filter(|given| given["in"] == place)
                .map(|given| given["name"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(placed("path").len(), route.path.matches('{').count(), "{what}");
        for given in parameters.iter().filter(|given| given["in"] == "query") {
            assert_eq!(given["required"], false, "{what} {given}");
        }
        assert_eq!(placed("query").contains(&"min_position".into()), route.method == Method::GET, "{what}");
        assert_eq!(placed("header").contains(&"Idempotency-Key".into()), route.method == Method::POST, "{what}");
        for status in ["400", "401", "429", "500", "503"] {
            let schema = &operation["responses"][status]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{what} {status}");
        }
        let fine =
            operation["responses"].as_object().expect("answers").iter().find(|(status, _)| status.starts_with('2'));
        let (status, fine) = fine.expect("an answer");
        assert!(
            status == "204" || status == "202" || fine["content"]["application/json"]["schema"].is_object(),
            "{what}"
        );
        assert!(fine["headers"]["Relight-Position"].is_object(), "{what}");
    }
    for schema in ["Problem", "List_Event", "List_Account", "List_Job"] {
        assert!(
            document["components"]["schemas"][schema].is_object(),
            "{schema}: {:?}",
            document["components"]["schemas"].as_object().expect("schemas").keys().collect::<Vec<_>>()
        );
    }
}

/// All routes stand in the table: nothing else makes a router.
#[test]
fn there_is_no_other_way_to_register_a_route() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../api/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains("/routes/") {
                let text = std::fs::read_to_string(&path).expect("a text");
                assert!(!text.contains(".route(") && !text.contains("Router::new"), "{}", path.display());
            }
        }
    }
}
