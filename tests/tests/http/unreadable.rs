//! One account whose events can't be read, or one job's row, and everybody else.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use domain::Connection;
use engine::{Bulk, on_both_engines, sql, testing::until};
use reqwest::{Method, StatusCode};
use sandbox::person::Consent;
use serde_json::Value;
use tests::relight::Relight;

/// What no program knows, and what no text can be: the libraries that load aggregates panic at it.
const UNKNOWN: &str = "{\"Expired\":{\"reason\":\"the moon\"}}";
const NO_TEXT: &str = "{\"Expired\":{\"reason\":\"\\ud800\"}}";

/// Appends an event to an account's stream of tokens that nobody can decode.
async fn damage(relight: &Relight, account: &str, payload: &'static str) -> i64 {
    let database = relight.store().database();
    let sequence: i64 = sql("SELECT max(sequence) FROM events WHERE aggregate_type = 'token' AND aggregate_id = $1")
        .bind(account)
        .scalar(database)
        .await
        .expect("a stream");
    let one = |text: &'static str| std::iter::once(text);
    let row = Bulk::new()
        .text("aggregate_type", one("token"))
        .text("aggregate_id", std::iter::once(account))
        .int("sequence", std::iter::once(sequence + 1))
        .text("event_type", one("Expired"))
        .text("event_version", one("1"))
        .json("payload", one(payload))
        .json("metadata", one("{\"actor\":\"relight\"}"))
        .time("at", std::iter::once(relight.clock.now()));
    let names = row.names();
    let mut tx = database.begin().await.expect("begins");
    row.execute(&mut tx, |row| format!("INSERT INTO events ({names}) {row}")).await.expect("appended");
    tx.commit().await.expect("commits");
    relight.store().head().await.expect("a head")
}

async fn call(
    client: &reqwest::Client,
    base: &str,
    method: Method,
    path: &str,
    key: &str,
) -> (reqwest::StatusCode, Option<String>, Value) {
    let answer = client.request(method, format!("{base}{path}")).bearer_auth(key).send().await.expect("an answer");
    let (status, retry) = (answer.status(), answer.headers().get("retry-after").cloned());
    let body = answer.text().await.expect("a text");
    let retry = retry.map(|seconds| seconds.to_str().expect("a text").to_owned());
    (status, retry, serde_json::from_str(&body).unwrap_or(Value::Null))
}

on_both_engines! {
    async fn an_account_that_cannot_be_read_is_told_apart_and_all_others_go_on(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let bad = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let position = damage(&relight, &bad, UNKNOWN).await;
        let good = ann.connect(Connection::Consumer, relight.holder("hoshi.tea")).await;
        // Whom the views can't show further is on Operations, with the event; the service is ready all the while.
        let admin = relight.signed_in("adm@example.com", Role::Admin).await;
        let operations = admin.until("/operations", "without 1 account").await;
        operations.says("Set aside").says(&position.to_string()).says("relight projections retry");
        assert_eq!(relight.browser().ask("/readyz").await.status(), StatusCode::OK);
        assert_eq!(ann.open(&format!("/accounts/{good}")).await.says("@hoshi.tea").fresh_widgets(), 0);
        // Nothing can be decided on it, and who asks is told so with a code.
        let key = relight.api_key(Role::Service).await;
        let link = format!("/api/v1/accounts/{bad}/reconnect-link");
        // On a node that has not seen the account yet.
        let client = relight.browser().client;
        let other = relight.second_node().await;
        let (status, retry, problem) = call(&client, &format!("http://{}", other.address), Method::POST, &link, &key).await;
        other.stop().await;
        assert_eq!((status, retry.as_deref()), (StatusCode::SERVICE_UNAVAILABLE, Some("300")), "{problem}");
        assert_eq!(problem["code"], 1086);
        let refused = ann.press(&format!("/accounts/{bad}/disconnect"), &[("sure", "yes")]).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let words = refused.text().await.expect("a page");
        assert!(words.contains("be changed just now") && words.contains("1086"), "{words}");
        assert_eq!(ann.press(&format!("/accounts/{good}/disconnect"), &[("sure", "yes")]).await.status(), StatusCode::SEE_OTHER);
        let widgets = format!("/api/v1/accounts/{bad}/widgets");
        let client = relight.browser().client;
        let request = client.post(format!("{}{widgets}", relight.base)).bearer_auth(&key).json(&serde_json::json!({"plan": "free"}));
        assert_eq!(request.send().await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE, "no view could show it");
        ann.open(&format!("/accounts/{bad}")).await.says("This account is not up to date");
        // Its history and the event log show the event as it is stored.
        ann.open(&format!("/accounts/{bad}")).await.says("which this version of Relight can't read");
        admin.open("/events").await.says("which this version of Relight can't read").says("the moon");
        let staff = relight.api_key(Role::Support).await;
        let (status, _, history) = call(&client, &relight.base, Method::GET, &format!("/api/v1/accounts/{bad}/history"), &staff).await;
        assert_eq!(status, StatusCode::OK);
        assert!(history["data"].as_array().is_some_and(|events| events.iter().any(|event| event["position"] == position)), "{history}");
    }

    async fn a_login_reaches_all_accounts_but_the_one_that_cannot_be_read(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        ann.connect_all(relight.holder("Mia Berg")).await;
        let accounts = relight.accounts().await;
        damage(&relight, &accounts[0], UNKNOWN).await;
        relight.browser().result("/token/business", &[], &Consent::of(relight.holder("Mia Berg"))).await;
        for account in &accounts[1..] {
            assert!(relight.events(account).await.contains(&"Refreshed".to_owned()), "it is refreshed");
        }
        assert!(!relight.events(&accounts[0]).await.contains(&"Refreshed".to_owned()));
        // Connecting them again leaves out that one as well.
        ann.connect_all(relight.holder("Mia Berg")).await;
        ann.open("/accounts").await;
    }

    async fn a_deauthorization_reaches_all_accounts_but_the_unreadable_one(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let person = relight.holder("Mia Berg");
        ann.connect_all(person.clone()).await;
        let accounts = relight.accounts().await;
        damage(&relight, &accounts[0], UNKNOWN).await;
        let soon = relight.clock.now().timestamp() + 1;
        let signed = relight.sandbox.signed_request(sandbox::Login::Facebook, &person, soon);
        // On a node that has not seen the accounts yet.
        let other = relight.second_node().await;
        let url = format!("http://{}/meta/business/deauthorize", other.address);
        let request = relight.browser().client.post(url).form(&[("signed_request", signed.as_str())]);
        // Meta may send it again: one is left.
        assert!(request.send().await.expect("answers").status().is_server_error());
        other.stop().await;
        for account in &accounts[1..] {
            assert!(relight.events(account).await.contains(&"Deauthorized".to_owned()));
        }
    }

    async fn a_rebuild_that_stopped_takes_no_node_out_of_service(engine: Engine) {
        let relight = Relight::start(engine).await;
        sql("INSERT INTO checkpoints (name, version, failed_position, failure) VALUES ('work_rebuild', 99, 1, 'of a test')")
            .execute(relight.store().database()).await.expect("inserted");
        assert_eq!(relight.browser().ask("/readyz").await.status(), StatusCode::OK, "the old rows serve");
        // By this program: what another one has stopped is tried again.
        sql("UPDATE checkpoints SET failed_position = 1, failure = 'of a test', stopped_by = $1 WHERE name = 'account_status'")
            .bind(::api::service::PROGRAM)
            .execute(relight.store().database()).await.expect("updated");
        assert_eq!(relight.browser().ask("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    async fn jobs_of_an_account_that_cannot_be_read_rest(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let bad = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let good = ann.connect(Connection::Consumer, relight.holder("hoshi.tea")).await;
        relight.settled().await;
        damage(&relight, &bad, NO_TEXT).await;
        // As on a node that has not seen the account yet.
        let relight = relight.restarted().await;
        relight.settled().await;
        relight.pass_and_settle(TimeDelta::days(61)).await;
        let resting: Vec<(String, i64)> = sql("SELECT kind, attempts FROM jobs WHERE key = $1 AND last_error = $2 ORDER BY kind")
            .bind(&bad).bind("its history can't be read").fetch_all(relight.store().database()).await.expect("rows");
        assert!(resting.iter().any(|(kind, attempts)| kind == "expire" && *attempts == 0), "{resting:?}");
        assert!(relight.events(&good).await.contains(&"Expired".to_owned()), "the other one's time ran out");
    }

    async fn a_job_whose_row_cannot_be_read_keeps_up_no_other(engine: Engine) {
        let relight = Relight::start(engine).await;
        let database = relight.store().database();
        let due = relight.clock.now() - TimeDelta::days(1);
        for n in 0..40 {
            let insert = sql("INSERT INTO jobs (queue, kind, key, priority, due_at) VALUES ('meta', $1, $2, 0, $3)");
            let kind = if n % 2 == 0 { "pull" } else { "a kind of the next version" };
            insert.bind(kind).bind(format!("not an account {n}")).bind(due).execute(database).await.expect("inserted");
        }
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        ann.add_widget(&account, domain::account::Plan::Free).await;
        ann.until_fresh(&format!("/accounts/{account}"), 1).await;
        until("they are set aside", async || {
            let aside: i64 = sql("SELECT count(*) FROM jobs WHERE due_at IS NULL AND last_error = $1")
                .bind("its row can't be read").scalar(database).await.expect("a number");
            aside == 20
        }).await;
        let left: (i64, i64) = sql("SELECT count(*), COALESCE(sum(CASE WHEN lease IS NULL THEN 0 ELSE 1 END), 0) FROM jobs WHERE kind = $1")
            .bind("a kind of the next version").fetch_one(database).await.expect("a row");
        assert_eq!(left, (20, 0), "they are left to the program that knows them");
    }
}
