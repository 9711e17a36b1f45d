//! Answers that are odd in one detail: what is believed of them, and what isn't.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use engine::on_both_engines;
use sandbox::{Action, FaultKind, person::Consent};
use serde_json::Value;
use tests::{browser::Browser, relight::Relight, until};

const LUMA: &str = "luma.ceramics";
const SALT: &str = "sol.y.sal";
const KEN: &str = "Ken Sato";

/// The account of a Facebook user who has one.
async fn business(relight: &Relight, owner: &Browser, name: &str) -> String {
    let before = relight.accounts().await;
    owner.connect_all(relight.holder(name)).await;
    until("the account", async || relight.accounts().await.len() > before.len()).await;
    relight.accounts().await.into_iter().find(|account| !before.contains(account)).expect("a new one")
}

async fn has(relight: &Relight, account: &str, event: &str) -> bool {
    relight.events(account).await.iter().any(|name| name == event)
}

async fn payload(relight: &Relight, account: &str, event: &str) -> Value {
    let journal = relight.journal(account).await;
    let last = journal.iter().rev().find(|recorded| recorded.event_type == event).expect("there");
    engine::json(&last.payload)[event].clone()
}

fn fail(kind: FaultKind, holder: &str, path: &str) -> Action {
    let calls = 100_000;
    Action::Fail { kind, calls, holder: Some(holder.to_owned()), path: Some(path.to_owned()) }
}

on_both_engines! {
    async fn a_renewal_that_leaves_its_end_out_gets_it_from_the_tokens_facts(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = business(&relight, &owner, KEN).await;
        relight.act(fail(FaultKind::NoEnd, "", "/oauth/access_token"));
        relight.pass(TimeDelta::hours(42 * 24));
        until("the renewal", async || has(&relight, &account, "Renewed").await).await;
        let renewed = payload(&relight, &account, "Renewed").await;
        let ends = renewed["expires_at"].as_str().unwrap_or_else(|| panic!("no end: {renewed}"));
        let ends: chrono::DateTime<chrono::Utc> = ends.parse().expect("a time");
        assert_eq!((ends - relight.clock.now()).num_days(), 59);
    }

    async fn a_token_that_facebook_calls_invalid_without_a_reason_is_held_and_expires(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = business(&relight, &owner, KEN).await;
        let other = business(&relight, &owner, "Mia Berg").await;
        relight.act(fail(FaultKind::Invalid, KEN, "/debug_token"));
        relight.pass(TimeDelta::minutes(6));
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        until("a verdict", async || relight.held().await == 1).await;
        assert!(!has(&relight, &account, "Expired").await, "once is not enough");
        until("the expiry", async || {
            relight.pass(TimeDelta::minutes(2));
            has(&relight, &account, "Expired").await
        }).await;
        assert_eq!(payload(&relight, &account, "Expired").await["reason"], "unknown");
        assert!(!has(&relight, &other, "Expired").await);
    }

    async fn a_bad_request_counts_when_the_check_meets_it_again(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let other = relight.connected(&owner, SALT).await;
        relight.pass(TimeDelta::minutes(6));
        // Its posts can't be found, but it can: it isn't the token.
        relight.act(fail(FaultKind::BadRequest, LUMA, "/media"));
        relight.pass(TimeDelta::minutes(31));
        owner.until(&format!("/accounts/{account}"), "may not mean the token").await;
        assert!(!has(&relight, &account, "Expired").await);
        // Nor can the account itself: that counts anew.
        relight.act(fail(FaultKind::BadRequest, LUMA, "/me"));
        relight.pass_and_settle(TimeDelta::minutes(2)).await;
        assert!(!has(&relight, &account, "Expired").await, "once is not enough");
        until("the expiry", async || {
            relight.pass(TimeDelta::minutes(2));
            has(&relight, &account, "Expired").await
        }).await;
        assert_eq!(payload(&relight, &account, "Expired").await["evidence"]["code"], 100);
        assert!(!has(&relight, &other, "Expired").await);
    }

    async fn a_login_that_does_not_restart_data_access_says_so_and_leads_on(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = business(&relight, &owner, KEN).await;
        relight.act(Action::EndDataAccess { holder: KEN.to_owned(), strictly: true });
        // From the access token page nobody knows whose login it will be: it asks as usual.
        let visitor = relight.browser();
        let path = visitor.log_in("/token/business", &[], &Consent::of(relight.holder(KEN))).await.expect("a result");
        visitor.open(&path).await.says("Facebook did not renew the access to your data").says("Code 1081");
        assert!(!has(&relight, &account, "Refreshed").await);
        let again = [("connection", "business"), ("ask", "data_access")];
        visitor.result(&format!("{path}/again"), &again, &Consent::of(relight.holder(KEN))).await.says("is refreshed");
        assert!(has(&relight, &account, "Refreshed").await);
    }

    async fn a_login_asks_for_data_access_when_that_has_ended_whatever_expired_the_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = business(&relight, &owner, KEN).await;
        relight.act(Action::ChangePassword { holder: KEN.to_owned() });
        relight.pass(TimeDelta::hours(25));
        until("the password change", async || has(&relight, &account, "PasswordChanged").await).await;
        let login = async || tests::browser::location(&owner.press(&format!("/accounts/{account}/refresh"), &[]).await);
        let usual = login().await;
        assert!(!usual.contains("auth_type"), "{usual}");
        relight.pass(TimeDelta::days(90));
        let asking = login().await;
        assert!(asking.contains("auth_type=reauthorize"), "{asking}");
    }

    async fn each_failed_try_is_on_the_accounts_page_and_none_is_an_event(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let before = relight.event_count().await;
        relight.act(fail(FaultKind::Unavailable, LUMA, "/media"));
        for tries in 1..4 {
            until("another failed try", async || {
                relight.pass(TimeDelta::minutes(31));
                let page = owner.open(&format!("/accounts/{account}")).await;
                page.html.matches("<li>Fetching the posts, ").count() >= tries
            }).await;
        }
        assert_eq!(relight.event_count().await, before);
    }
}
