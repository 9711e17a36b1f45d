//! A connection's life: it is lost, and refreshed in three ways.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::on_both_engines;
use sandbox::{Action, person::Consent};
use tests::{
    browser::{Browser, location},
    relight::Relight,
    until,
};

const LUMA: &str = "luma.ceramics";

/// An account with a widget of each plan, both fresh.
async fn connected(relight: &Relight) -> (Browser, String) {
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
    owner.add_widget(&account, Plan::Upgraded).await;
    owner.add_widget(&account, Plan::Free).await;
    owner.until_fresh(&format!("/accounts/{account}"), 2).await;
    (owner, account)
}

/// The password is changed, and somebody looks.
async fn expired(relight: &Relight, owner: &Browser, account: &str) {
    relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
    owner.press(&format!("/accounts/{account}/check"), &[]).await;
    let page = owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
    page.says("Refresh token").says("or there was a security reset");
}

/// A reconnect link that was made on the account's page.
async fn made_link(owner: &Browser, account: &str) -> String {
    owner.press(&format!("/accounts/{account}/link"), &[]).await;
    let page = owner.open(&format!("/accounts/{account}")).await;
    page.text().split("/r/").nth(1).and_then(|rest| rest.split(' ').next()).expect("a link").to_owned()
}

on_both_engines! {
    async fn a_changed_password_is_noticed_and_healed_from_the_accounts_page(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight).await;
        let widgets = owner.widgets(&account).await;
        let before = owner.open(&format!("/w/{}/feed.json", widgets[0])).await.html;
        expired(&relight, &owner, &account).await;
        relight.act(Action::AddPosts { holder: LUMA.to_owned(), count: 1 });
        assert!(before.contains("active"));
        let resting = owner.until(&format!("/w/{}/feed.json", widgets[0]), "expired").await.html;
        assert_eq!(posts(&before), posts(&resting), "the old feed is served meanwhile");
        let page = owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        page.says("@luma.ceramics is refreshed").says("2 widgets are ").says("Browsers of visitors");
        owner.until_fresh(&format!("/accounts/{account}"), 2).await;
        assert_eq!(owner.widgets(&account).await, widgets);
        let types = relight.events(&account).await;
        assert_eq!(types[types.len() - 3..], ["PasswordChanged", "Expired", "Refreshed"]);
        let evidence = &engine::json(&relight.journal(&account).await[types.len() - 2].payload)["Expired"]["evidence"];
        assert_eq!((evidence["code"].as_i64(), evidence["subcode"].as_i64()), (Some(190), Some(460)));
    }

    async fn anybody_with_the_login_refreshes_from_the_access_token_page(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight).await;
        expired(&relight, &owner, &account).await;
        let stranger = relight.browser();
        let page = stranger.result("/token/consumer", &[], &Consent::of(relight.holder(LUMA))).await;
        page.says("@luma.ceramics is refreshed").says("2 widgets are ");
        owner.until_fresh(&format!("/accounts/{account}"), 2).await;
        // It gave neither a session nor a right.
        assert_eq!(location(&stranger.ask(&format!("/accounts/{account}")).await), format!("/login?next=%2Faccounts%2F{account}"));
        assert!(!page.html.contains(&format!("/accounts/{account}\"")));
        owner.open(&format!("/accounts/{account}")).await.says("Active").says("from the access token page. somebody with the login");
    }

    async fn one_business_login_refreshes_all_accounts_that_it_reaches(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let mia = || Consent::of(relight.holder("Mia Berg"));
        let path = owner.log_in("/connect/business", &[], &mia()).await.expect("a choice");
        let ids = sandbox::person::values_of(&owner.open(&path).await.html, "account");
        owner.press(&format!("{path}/choose"), &[("account", &ids[0]), ("account", &ids[1])]).await;
        let page = relight.browser().result("/token/business", &[], &mia()).await;
        page.says("2 accounts are refreshed").says("@fern.and.fog").says("@tiny.harbor");
    }

    async fn a_reconnect_link_leads_to_the_right_login_once(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight).await;
        let link = made_link(&owner, &account).await;
        expired(&relight, &owner, &account).await;
        let events = relight.event_count().await;
        let stranger = relight.browser();
        stranger.open(&format!("/r/{link}")).await.says("Reconnect @luma.ceramics").says("Log in with Instagram");
        assert_eq!(relight.event_count().await, events, "opening it changes nothing");
        let page = stranger.result(&format!("/r/{link}"), &[], &Consent::of(relight.holder(LUMA))).await;
        page.says("@luma.ceramics is refreshed");
        stranger.open(&format!("/r/{link}")).await.says("has done its work").says("access token page");
        let last = relight.journal(&account).await.pop().expect("an event");
        assert_eq!(engine::json(&last.payload)["Refreshed"]["grant"]["way"], "link");
        assert!(engine::json(&last.metadata)["causation"].as_str().is_some_and(|cause| cause.starts_with("link ")));
    }

    async fn a_trip_that_began_with_a_link_does_not_outlive_it(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight).await;
        let link = made_link(&owner, &account).await;
        let stranger = relight.browser();
        let page = stranger.result(&format!("/r/{link}"), &[], &Consent::of(relight.holder("hoshi.tea"))).await;
        let reference = page.html.split("/attempts/").nth(1).and_then(|rest| rest.split('/').next()).expect("an attempt");
        let (again, fields) = (format!("/attempts/{reference}/again"), [("connection", "consumer"), ("ask", "usual")]);
        stranger.result(&again, &fields, &Consent::of(relight.holder(LUMA))).await.says("@luma.ceramics is refreshed");
        let answer = stranger.press(&again, &fields).await;
        assert_eq!(answer.status(), reqwest::StatusCode::NOT_FOUND, "the link has done its work");
    }

    async fn a_reconnect_link_runs_out_and_a_broken_one_says_so(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight).await;
        let link = made_link(&owner, &account).await;
        relight.browser().open(&format!("/r/{}", &link[1..])).await.says("is not complete");
        relight.clock.forward(chrono::TimeDelta::days(31));
        relight.browser().open(&format!("/r/{link}")).await.says("has run out");
    }

    async fn looking_at_an_account_asks_meta_in_the_background(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = connected(&relight).await;
        relight.act(Action::RemoveApp { holder: LUMA.to_owned() });
        owner.open(&format!("/accounts/{account}")).await.says("@luma.ceramics Active");
        relight.clock.forward(chrono::TimeDelta::seconds(61));
        owner.until(&format!("/accounts/{account}"), "Expired — the app was removed").await;
    }

    async fn an_owner_switches_the_connection(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("hoshi.tea")).await;
        let here = format!("/accounts/{account}");
        let page = owner.result(&format!("{here}/switch"), &[], &Consent::of(relight.holder("Ken Sato"))).await;
        page.says("@hoshi.tea is switched");
        owner.open(&here).await.says("business (Facebook)").says("Active");
        let types = relight.events(&account).await;
        assert_eq!(types[types.len() - 2..], ["ConnectionChanged", "Refreshed"]);
    }

    async fn passing_errors_change_nothing_and_are_tried_again(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        owner.add_widget(&account, Plan::Free).await;
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        let events = relight.event_count().await;
        let kind = sandbox::FaultKind::Html;
        relight.act(Action::Fail { kind, calls: 100, holder: Some(LUMA.to_owned()), path: None });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        relight.clock.forward(chrono::TimeDelta::hours(6));
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        admin.until("/operations", "Meta could not answer").await;
        assert_eq!(relight.event_count().await, events);
        relight.act(Action::StopFailing);
        relight.act(Action::AddPosts { holder: LUMA.to_owned(), count: 1 });
        relight.clock.forward(chrono::TimeDelta::hours(1));
        let widget = owner.widgets(&account).await.remove(0);
        let feed = format!("/w/{widget}/feed.json");
        until("the pull", async || owner.open(&feed).await.html.matches("\"id\"").count() == 13).await;
    }
}

/// The posts of a feed.
fn posts(feed: &str) -> serde_json::Value {
    let feed: serde_json::Value = serde_json::from_str(feed).expect("JSON");
    feed["posts"].clone()
}
