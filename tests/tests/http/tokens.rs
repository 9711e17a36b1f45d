//! Tokens that look after themselves: extended in time, ended at their moment, asked about daily; and nothing held against
//! them that isn't sure.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use engine::on_both_engines;
use sandbox::{Action, FaultKind, Login, person::Consent};
use serde_json::Value;
use tests::{found, relight::Relight};

const LUMA: &str = "luma.ceramics";
const SALT: &str = "sol.y.sal";

/// Waits until the account's events end with these, and the views show them.
async fn until(relight: &Relight, account: &str, last: &[&str]) {
    let ended = async || {
        let events = relight.events(account).await;
        let end = events.ends_with(&last.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        if end { Ok(()) } else { Err(format!("{events:?}")) }
    };
    found(&format!("{last:?}"), ended).await;
    relight.settled().await;
}

/// Lets time pass, and waits until Meta was called so often after that.
async fn pass_and_call(relight: &Relight, time: TimeDelta, more: u64) {
    let before = relight.sandbox.world().calls;
    relight.pass(time);
    tests::until("a call of Meta", async || relight.sandbox.world().calls >= before + more).await;
    relight.settled().await;
}

/// Lets time pass, again and again, until the account's token expires: who is asked first is a matter of luck.
async fn pass_until_expired(relight: &Relight, account: &str, time: TimeDelta) {
    let is_expired = async || relight.events(account).await.last().is_some_and(|last| last == "Expired");
    relight.pass_until("the token's end", time, is_expired).await;
}

/// The string of the latest token that Meta gave out for the first of them.
fn latest(relight: &Relight) -> String {
    let holder = relight.holder(LUMA);
    relight.sandbox.world().latest_token(&holder).expect("a token").0.clone()
}

async fn account_json(relight: &Relight, key: &str, account: &str) -> Value {
    let url = format!("{}/api/v1/accounts/{account}", relight.base);
    let answer = relight.browser().client.get(url).bearer_auth(key).send().await.expect("answers");
    answer.json().await.expect("JSON")
}

fn last_payload(journal: &[engine::Recorded]) -> Value {
    engine::json(&journal.last().expect("an event").payload)
}

on_both_engines! {
    async fn a_machine_extends_the_session_and_not_data_access(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = relight.connected(&owner, LUMA).await;
        let first = account_json(&relight, &key, &account).await;
        let string = latest(&relight);
        pass_and_call(&relight, TimeDelta::days(39), 1).await;
        assert!(!relight.events(&account).await.contains(&"Renewed".to_owned()), "too early");
        relight.pass(TimeDelta::hours(61));
        until(&relight, &account, &["Renewed"]).await;
        assert_ne!(latest(&relight), string);
        // It lives on with the new string, when the old one has long run out.
        relight.pass(TimeDelta::days(25));
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        let now = account_json(&relight, &key, &account).await;
        assert_eq!((&now["status"], &now["generation"]), (&"active".into(), &1.into()));
        assert_eq!(now["data_access_expires_at"], first["data_access_expires_at"]);
        assert!(now["expires_at"].as_str() > first["expires_at"].as_str(), "{now}");
    }

    async fn while_meta_is_away_a_renewal_is_tried_again_until_the_end(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(Action::Fail { kind: FaultKind::Unavailable, calls: 100_000, holder: None, path: None });
        pass_and_call(&relight, TimeDelta::hours(42 * 24), 3).await;
        owner.until(&format!("/accounts/{account}"), "Extending the session failed").await;
        assert!(!relight.events(&account).await.contains(&"Expired".to_owned()), "no answer is no word on the token");
        relight.act(Action::StopFailing);
        relight.pass(TimeDelta::hours(1));
        until(&relight, &account, &["Renewed"]).await;
    }

    async fn a_token_whose_time_ran_out_is_marked_at_its_moment_without_a_call(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(Action::Fail { kind: FaultKind::Unavailable, calls: 100_000, holder: None, path: None });
        relight.pass(TimeDelta::days(60) + TimeDelta::seconds(1));
        until(&relight, &account, &["Expired"]).await;
        let payload = last_payload(&relight.journal(&account).await);
        assert_eq!((&payload["Expired"]["reason"], &payload["Expired"]["evidence"]), (&"lifetime".into(), &Value::Null));
        owner.until(&format!("/accounts/{account}"), "Expired — it ran out").await;
        let work = owner.open(&format!("/accounts/{account}")).await;
        assert!(!work.text().contains("Extending the session failed"), "nothing is tried any more");
    }

    async fn data_access_ends_a_business_token_though_its_session_goes_on(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let person = relight.sandbox.world().people.keys().next().cloned().expect("a person");
        let Ok(choice) = owner.log_in("/connect/business", &[], &Consent::of(person.clone())).await else {
            panic!("refused")
        };
        let ids = sandbox::person::values_of(&owner.open(&choice).await.html, "account");
        let chosen: Vec<_> = ids.iter().take(1).map(|id| ("account", id.as_str())).collect();
        owner.press(&format!("{choice}/choose"), &chosen).await;
        let list = relight.browser().client.get(format!("{}/api/v1/accounts", relight.base)).bearer_auth(&key);
        let list: Value = list.send().await.expect("answers").json().await.expect("JSON");
        let account = list["data"][0]["id"].as_str().expect("an account").to_owned();
        relight.pass(TimeDelta::hours(42 * 24));
        until(&relight, &account, &["Renewed"]).await;
        relight.pass(TimeDelta::days(49));
        until(&relight, &account, &["Expired"]).await;
        let now = account_json(&relight, &key, &account).await;
        assert_eq!((&now["reason"], &now["needs_person"]), (&"data_access_ended".into(), &true.into()));
        assert!(now["expires_at"].as_str() > now["data_access_expires_at"].as_str(), "the session goes on: {now}");
        // Only a login that asks for it restarts that clock.
        let login = tests::browser::location(&owner.press(&format!("/accounts/{account}/refresh"), &[]).await);
        assert!(login.contains("auth_type=reauthorize"), "{login}");
    }

    async fn each_token_is_asked_about_daily_though_nothing_is_pulled(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let media = Some("/media".to_owned());
        relight.act(Action::Fail { kind: FaultKind::Unavailable, calls: 100_000, holder: None, path: media });
        relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
        relight.pass(TimeDelta::hours(25));
        until(&relight, &account, &["PasswordChanged", "Expired"]).await;
        assert_eq!(last_payload(&relight.journal(&account).await)["Expired"]["evidence"]["call"], "check");
    }

    async fn an_unclear_failure_counts_when_others_work_and_it_comes_again(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let luma = relight.connected(&owner, LUMA).await;
        relight.connected(&owner, SALT).await;
        let permission = "instagram_business_basic".to_owned();
        relight.act(Action::DeclinePermission { holder: LUMA.to_owned(), permission });
        relight.pass(TimeDelta::minutes(31));
        owner.until(&format!("/accounts/{luma}"), "may not mean the token").await;
        assert!(!relight.events(&luma).await.contains(&"Expired".to_owned()), "once is not enough");
        pass_until_expired(&relight, &luma, TimeDelta::minutes(2)).await;
        let payload = last_payload(&relight.journal(&luma).await);
        assert_eq!((&payload["Expired"]["reason"], &payload["Expired"]["evidence"]["code"]), (&"permission_missing".into(), &10.into()));
        // Meta's answer names none, so none is named.
        assert_eq!(payload["Expired"]["evidence"]["permission"], Value::Null);
        owner.until(&format!("/accounts/{luma}"), "A permission is missing").await;
    }

    async fn with_nobody_else_to_ask_it_counts_after_a_while(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let luma = relight.connected(&owner, LUMA).await;
        let error = serde_json::json!({"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190});
        let (body, path) = (serde_json::json!({ "error": error }), Some("/instagram/".to_owned()));
        relight.act(Action::Answer { status: 400, body, calls: None, holder: None, path });
        relight.pass(TimeDelta::minutes(31));
        owner.until(&format!("/accounts/{luma}"), "may not mean the token").await;
        for _ in 0..2 {
            pass_and_call(&relight, TimeDelta::minutes(2), 1).await;
        }
        assert!(!relight.events(&luma).await.contains(&"Expired".to_owned()), "not yet ten minutes");
        pass_until_expired(&relight, &luma, TimeDelta::minutes(20)).await;
    }

    async fn a_restricted_app_expires_nobody(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let accounts = [relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await];
        relight.act(Action::Restrict { login: Login::Instagram, restricted: true });
        // Hours of it, in which Meta is asked again and again.
        let before = relight.sandbox.world().calls;
        let asked = async || relight.sandbox.world().calls >= before + 12;
        relight.pass_until("Meta's refusals", TimeDelta::minutes(31), asked).await;
        relight.act(Action::Restrict { login: Login::Instagram, restricted: false });
        relight.pass(TimeDelta::minutes(31));
        for account in &accounts {
            owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        }
        // Both were refused, which is an incident: what is held is asked about once more, and forgotten.
        relight.pass_until("the end of what is held", TimeDelta::minutes(1), async || relight.held().await == 0).await;
        for account in &accounts {
            assert!(!relight.events(account).await.contains(&"Expired".to_owned()));
        }
    }
}
