//! The command line's other commands, the first start, and the end.

use domain::{Connection, account::Plan};
use engine::{on_both_engines, testing::Engine};
use sandbox::{Action, Sandbox, person::Consent};
use store::testing::TestDatabase;
use tempfile::TempDir;
use tests::{
    browser::{Browser, location},
    process::Settings,
    relight::PASSWORD,
};

struct Place {
    settings: Settings,
    sandbox: Sandbox,
    _database: TestDatabase,
    _folder: TempDir,
}

async fn place(engine: Engine) -> Place {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(engine).await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(&sandbox, &database, folder.path());
    Place { settings, sandbox, _database: database, _folder: folder }
}

impl Place {
    /// What a command printed; it must have done well.
    fn run(&self, arguments: &[&str], input: &str) -> String {
        let output = self.settings.run(arguments, input);
        let (said, logged) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}{logged}");
        said.into_owned()
    }

    fn holder(&self, name: &str) -> String {
        self.sandbox.world().account_id(name).expect("in the cast")
    }
}

on_both_engines! {
    async fn people_keys_and_histories(engine: Engine) {
        let place = place(engine).await;
        assert!(place.run(&["migrate"], "").contains("up to date"));
        let add = ["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"];
        let id = place.run(&add, &format!("{PASSWORD}\n"));
        assert!(id.trim().parse::<domain::UserId>().is_ok(), "{id}");
        let again = place.settings.run(&add, &format!("{PASSWORD}\n"));
        assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
        let short = ["user", "add", "--email", "ben@example.com", "--role", "owner", "--password-stdin"];
        assert!(String::from_utf8_lossy(&place.settings.run(&short, "short").stderr).contains("at least"));
        let key = place.run(&["api-key", "create", "--name", "widgets", "--role", "service"], "");
        let key = key.trim();
        assert!(key.starts_with("relight_") && !key.contains(char::is_whitespace), "the key alone");

        let process = place.settings.start().await;
        let ann = Browser::new(&place.settings.base);
        ann.sign_in("ann@example.com", PASSWORD).await;
        let account = ann.connect(Connection::Consumer, place.holder("luma.ceramics")).await;
        ann.add_widget(&account, Plan::Upgraded).await;
        let url = format!("{}/api/v1/accounts/{account}", place.settings.base);
        let answer = ann.client.get(&url).bearer_auth(key).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("x-request-id"));
        let between = chrono::DateTime::parse_from_rfc3339(
            answer.json::<serde_json::Value>().await.expect("JSON")["since"].as_str().expect("a time"),
        )
        .expect("a time");
        place.sandbox.act(Action::ChangePassword { holder: "luma.ceramics".to_owned() }).expect("done");
        ann.press(&format!("/accounts/{account}/check"), &[]).await;
        ann.until(&format!("/accounts/{account}"), "Expired — password changed").await;
        process.terminate().await;

        let story = place.run(&["history", &account], "");
        for words in ["Connected through Instagram", "Access granted, generation 1", "was added (Upgraded)",
            "Meta says that the password was changed", "Token expired: the password was changed", "by relight,", "by user:",
            "then: expired (password_changed)"] {
            assert!(story.contains(words), "{words}: {story}");
        }
        let at = between.to_rfc3339();
        let then = place.run(&["history", &account, "--at", &at], "");
        assert!(then.contains("then: active") && !then.contains("expired"), "{then}");
        let lines = place.run(&["history", &account, "--json"], "");
        let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(types, ["Connected", "AccessGranted", "Issued", "WidgetAdded", "PasswordChanged", "Expired"]);
        assert_eq!(events[5]["state"], "expired (password_changed)");
        assert_eq!(events[3]["metadata"]["request"], events[3]["metadata"]["correlation"]);
        assert!(!place.settings.run(&["history", "odd"], "").status.success());
        // Instants that a parser takes and a calendar doesn't.
        for impossible in ["+262142-12-31T23:59:59.999999Z", "-262143-01-01T00:00:00Z"] {
            let refused = place.settings.run(&["history", &account, &format!("--at={impossible}")], "");
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && !said.contains("panicked") && said.contains("must be"), "{said}");
        }
        let status = place.run(&["projections", "status"], "");
        assert!(status.contains("account_status") && status.contains("work") && status.contains("follows"), "{status}");
        assert!(place.run(&["projections", "rebuild", "account_status"], "").contains("rebuilt up to position 6"));
        assert!(!place.settings.run(&["projections", "rebuild", "odd"], "").status.success());
        let unknown = place.settings.run(&["history", "01900000-0000-7000-8000-000000000000"], "");
        assert!(String::from_utf8_lossy(&unknown.stderr).contains("no event of this account"));
    }

    async fn support_gets_a_reconnect_link_that_works_and_nothing_else(engine: Engine) {
        let place = place(engine).await;
        let add = ["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"];
        place.run(&add, PASSWORD);
        let process = place.settings.start().await;
        let ann = Browser::new(&place.settings.base);
        ann.sign_in("ann@example.com", PASSWORD).await;
        let account = ann.connect(Connection::Consumer, place.holder("luma.ceramics")).await;
        let link = place.run(&["reconnect-link", &account], "");
        let link = link.trim().strip_prefix(&place.settings.base).expect("ours, and it alone");
        let visitor = Browser::new(&place.settings.base);
        visitor.open(link).await.says("Reconnect @luma.ceramics");
        visitor.result(link, &[], &Consent::of(place.holder("luma.ceramics"))).await.says("is refreshed");
        let unknown = place.settings.run(&["reconnect-link", "01900000-0000-7000-8000-000000000000"], "");
        assert!(String::from_utf8_lossy(&unknown.stderr).contains("can't be refreshed"));
        process.terminate().await;
    }

    async fn the_first_start_prints_a_link_that_makes_the_first_admin_once(engine: Engine) {
        let place = place(engine).await;
        let process = place.settings.start().await;
        let link = process.until_said("/setup/").await;
        let link = link.strip_prefix(&place.settings.base).expect("ours").to_owned();
        let first = Browser::new(&place.settings.base);
        first.open(&link).await.says("Welcome to Relight");
        assert_eq!(first.ask("/setup/guessed").await.status(), 404);
        let weak = [("email", "root@example.com"), ("password", "short")];
        assert!(first.post(&link, &weak).await.text().await.expect("a page").contains("at least"));
        let made = first.post(&link, &[("email", "root@example.com"), ("password", PASSWORD)]).await;
        assert_eq!(location(&made), "/operations");
        first.open("/operations").await.says("/oauth/consumer/callback").says("not https");
        assert_eq!(first.ask(&link).await.status(), 404, "once");
        drop(process);
        let process = place.settings.start().await;
        let (_, said) = process.terminate().await;
        assert!(said.contains("ready") && !said.contains("/setup/"), "{said}");
    }

    async fn the_doctor_says_what_works_and_what_to_enter_at_meta(engine: Engine) {
        let place = place(engine).await;
        let said = place.run(&["doctor"], "");
        for words in ["answers", "Meta answers", "not https", "/oauth/consumer/callback", "/oauth/business/callback"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let mut ill = place.settings.clone();
        ill.set("FACEBOOK__GRAPH_URL", "http://127.0.0.1:1/graph");
        let output = ill.run(&["doctor"], "");
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("WRONG Meta does not answer"));
        for app in ["INSTAGRAM", "FACEBOOK"] {
            let mut ill = place.settings.clone();
            ill.set(&format!("{app}__APP_SECRET"), "another-secret");
            let output = ill.run(&["doctor"], "");
            assert!(!output.status.success(), "{app}");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("WRONG Meta refuses the app with"), "{app}: {said}");
        }
    }

    async fn told_to_end_it_finishes_a_login_and_its_pulls(engine: Engine) {
        let place = place(engine).await;
        place.run(
            &["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"],
            &format!("{PASSWORD}\n"),
        );
        let process = place.settings.start().await;
        let ann = Browser::new(&place.settings.base);
        ann.sign_in("ann@example.com", PASSWORD).await;
        let account = ann.connect(Connection::Consumer, place.holder("luma.ceramics")).await;
        // The browser goes away in the middle of the callback, and the program is told to end.
        let login = location(&ann.press(&format!("/accounts/{account}/refresh"), &[]).await);
        let login = url::Url::parse(&login).expect("a URL");
        let answer = sandbox::person::Consent::of(place.holder("luma.ceramics"));
        let back = sandbox::person::consent(&ann.client, &login, &answer).await.expect("back");
        let kind = sandbox::FaultKind::Slow;
        place.sandbox.act(Action::Fail { kind, calls: 1, holder: None, path: Some("access_token".to_owned()) }).expect("done");
        let calls = place.sandbox.world().calls;
        let callback = tokio::spawn(ann.client.get(back).send());
        tests::until("the exchange", async || place.sandbox.world().calls > calls).await;
        callback.abort();
        let (status, said) = process.terminate().await;
        assert!(status.success(), "{said}");
        let story = place.run(&["history", &account], "");
        assert!(story.contains("Token refreshed, generation 2"), "{story}{said}");
        let process = place.settings.start().await;
        ann.until(&format!("/accounts/{account}"), "Refreshed").await;
        drop(process);
    }
}
