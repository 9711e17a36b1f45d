//! What goes wrong at a login: each its own page and code, nothing changed, and a way on.

use ::api::sign_in::Role;
use domain::Connection;
use engine::on_both_engines;
use reqwest::StatusCode;
use sandbox::{
    Action, FaultKind,
    person::{Consent, consent},
};
use tests::{
    browser::{Browser, Page, location},
    relight::Relight,
};
use url::Url;

async fn connected(relight: &Relight, connection: Connection, holder: &str) -> (Browser, String) {
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = owner.connect(connection, relight.holder(holder)).await;
    (owner, account)
}

/// Where *try again* on a result page leads.
async fn again(browser: &Browser, path: &str, connection: &str, ask: &str) -> Url {
    let page = browser.open(path).await;
    assert!(page.html.contains(&format!("value=\"{ask}\"")), "no such button: {}", page.text());
    let answer = browser.press(&format!("{path}/again"), &[("connection", connection), ("ask", ask)]).await;
    Url::parse(&location(&answer)).expect("a URL")
}

fn asks(login: &Url, name: &str) -> Option<String> {
    login.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

on_both_engines! {
    async fn the_wrong_person_changes_nothing_and_is_named(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight, Connection::Consumer, "luma.ceramics").await;
        let events = relight.event_count().await;
        let other = Consent::of(relight.holder("oakandiron"));
        let path = owner.log_in(&format!("/accounts/{account}/refresh"), &[], &other).await.expect("a result");
        owner.open(&path).await.says("You meant @luma.ceramics").says("@oakandiron").says("Code 1070").says("Reference");
        assert_eq!(relight.event_count().await, events);
        let login = again(&owner, &path, "consumer", "other_person").await;
        assert_eq!(asks(&login, "force_reauth").as_deref(), Some("true"));
        let back = consent(&owner.client, &login, &Consent::of(relight.holder("luma.ceramics"))).await.expect("back");
        let path = owner.come_back(&back).await.expect("a result");
        owner.open(&path).await.says("@luma.ceramics is refreshed");
        owner.open(&format!("/accounts/{account}")).await.says("That was another Instagram account (1070)");
    }

    async fn a_declined_permission_is_named_and_asked_for_again(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let declined = ["pages_show_list".to_owned()].into();
        let answer = Consent { declined, ..Consent::of(relight.holder("Ken Sato")) };
        let path = owner.log_in("/connect/business", &[], &answer).await.expect("a result");
        owner.open(&path).await.says("Without pages_show_list").says("Code 1071");
        assert_eq!(relight.event_count().await, 0);
        let login = again(&owner, &path, "business", "permissions").await;
        assert_eq!(asks(&login, "auth_type").as_deref(), Some("rerequest"));
    }

    async fn an_account_that_was_never_connected_is_error_1075(engine: Engine) {
        let relight = Relight::start(engine).await;
        let visitor = relight.browser();
        let page = visitor.result("/token/consumer", &[], &Consent::of(relight.holder("never.seen.before"))).await;
        page.says("Unable to refresh the access token. It seems that this Instagram account was never connected before.");
        page.says("Code 1075").says("@never.seen.before").says("connect it first");
        assert_eq!(relight.event_count().await, 0);
    }

    async fn the_wrong_button_is_no_dead_end(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = connected(&relight, Connection::Business, "Ken Sato").await;
        let visitor = relight.browser();
        let answer = Consent::of(relight.holder("hoshi.tea"));
        let path = visitor.log_in("/token/consumer", &[], &answer).await.expect("a result");
        visitor.open(&path).await.says("@hoshi.tea uses the business connection").says("Code 1072").says("Log in with Facebook");
        let login = again(&visitor, &path, "business", "usual").await;
        let back = consent(&visitor.client, &login, &Consent::of(relight.holder("Ken Sato"))).await.expect("back");
        let path = visitor.come_back(&back).await.expect("a result");
        visitor.open(&path).await.says("@hoshi.tea is refreshed");
        assert_eq!(relight.events(&account).await.last().map(String::as_str), Some("Refreshed"));
    }

    async fn the_reverse_wrong_button_is_none_either(engine: Engine) {
        let relight = Relight::start(engine).await;
        connected(&relight, Connection::Consumer, "hoshi.tea").await;
        let page = relight.browser().result("/token/business", &[], &Consent::of(relight.holder("Ken Sato"))).await;
        page.says("@hoshi.tea uses the consumer connection").says("Log in with Instagram");
    }

    async fn logins_without_a_usable_account_each_have_a_page(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight, Connection::Business, "Ken Sato").await;
        let events = relight.event_count().await;
        let page = owner.result("/connect/business", &[], &Consent::of(relight.holder("Nora Nopage"))).await;
        page.says("no Facebook Page").says("Code 1073");
        let page = owner.result("/connect/business", &[], &Consent::of(relight.holder("Tom Unlinked"))).await;
        page.says("No Instagram account is linked").says("Tom's Garage").says("Code 1074");
        let page = owner.result("/connect/consumer", &[], &Consent::of(relight.holder("just.a.person"))).await;
        page.says("@just.a.person is a personal account").says("Code 1077");
        let unticked = Consent { pages: Some(["none".to_owned()].into()), ..Consent::of(relight.holder("Ken Sato")) };
        let page = owner.result(&format!("/accounts/{account}/refresh"), &[], &unticked).await;
        page.says("Code 1073");
        let page = owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder("Mia Berg"))).await;
        page.says("did not reach @hoshi.tea").says("tick the Page").says("Code 1076");
        assert_eq!(relight.event_count().await, events);
    }

    async fn cancelled_at_meta(engine: Engine) {
        let relight = Relight::start(engine).await;
        let page = relight.browser().result("/token/consumer", &[], &Consent { cancel: true, ..Consent::of("") }).await;
        page.says("The login was cancelled").says("Code 1060").says("Try again");
    }

    async fn meta_down_or_refusing_the_code(engine: Engine) {
        let relight = Relight::start(engine).await;
        let visitor = relight.browser();
        let answer = Consent::of(relight.holder("luma.ceramics"));
        relight.act(Action::Fail { kind: FaultKind::Unavailable, calls: 50, holder: None, path: None });
        visitor.result("/token/consumer", &[], &answer).await.says("Meta could not complete").says("Code 1067");
        relight.act(Action::StopFailing);
        let login = Url::parse(&location(&visitor.press("/token/consumer", &[]).await)).expect("a URL");
        let mut back = consent(&visitor.client, &login, &answer).await.expect("back");
        let state = asks(&back, "state").expect("a state");
        back.query_pairs_mut().clear().append_pair("code", "made up").append_pair("state", &state);
        let path = visitor.come_back(&back).await.expect("a result");
        visitor.open(&path).await.says("Meta did not accept the login").says("Code 1066");
    }

    async fn a_disconnected_account_is_told_from_one_that_never_was(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight, Connection::Consumer, "luma.ceramics").await;
        owner.press(&format!("/accounts/{account}/disconnect"), &[("sure", "yes")]).await;
        let page = relight.browser().result("/token/consumer", &[], &Consent::of(relight.holder("luma.ceramics"))).await;
        page.says("@luma.ceramics was disconnected").says("Code 1078");
    }

    async fn a_state_works_once_in_its_own_browser_for_an_hour(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight, Connection::Consumer, "luma.ceramics").await;
        let visitor = relight.browser();
        let answer = Consent::of(relight.holder("luma.ceramics"));
        let start = async || Url::parse(&location(&visitor.press("/token/consumer", &[]).await)).expect("a URL");
        let refused = |page: Result<String, Page>, code: &str| {
            let page = page.expect_err("refused");
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            page.says(code);
        };
        let back = consent(&visitor.client, &start().await, &answer).await.expect("back");
        let events = relight.event_count().await;
        refused(relight.browser().come_back(&back).await, "Code 1064");
        refused(owner.come_back(&back).await, "Code 1064");
        let mut unknown = back.clone();
        unknown.query_pairs_mut().clear().append_pair("code", "x").append_pair("state", "made-up");
        refused(visitor.come_back(&unknown).await, "Code 1061");
        let other_login = Url::parse(&back.as_str().replace("/oauth/consumer/", "/oauth/business/")).expect("a URL");
        refused(visitor.come_back(&other_login).await, "Code 1061");
        assert_eq!(relight.event_count().await, events);
        let path = visitor.come_back(&back).await.expect("works once");
        assert_eq!(relight.events(&account).await.last().map(String::as_str), Some("Refreshed"));
        let events = relight.event_count().await;
        assert_eq!(visitor.come_back(&back).await.expect("the same result"), path);
        assert_eq!(relight.event_count().await, events);
        let late = consent(&visitor.client, &start().await, &answer).await.expect("back");
        relight.clock.forward(chrono::TimeDelta::minutes(61));
        refused(visitor.come_back(&late).await, "Code 1063");
        // The result page is for the browser that set out.
        assert_eq!(relight.browser().open(&path).await.status, StatusCode::NOT_FOUND);
    }

    async fn who_signed_out_meanwhile_is_told_so(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight, Connection::Consumer, "luma.ceramics").await;
        let login = location(&owner.press(&format!("/accounts/{account}/refresh"), &[]).await);
        let answer = Consent::of(relight.holder("luma.ceramics"));
        let back = consent(&owner.client, &Url::parse(&login).expect("a URL"), &answer).await.expect("back");
        owner.press("/logout", &[]).await;
        let events = relight.event_count().await;
        owner.come_back(&back).await.expect_err("refused").says("Code 1065");
        assert_eq!(relight.event_count().await, events);
    }
}
