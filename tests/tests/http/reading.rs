//! The posts are read once with a login's token before it becomes an account's token: what fails there replaces nothing.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use commands::attempt;
use domain::{AccountId, Connection};
use engine::{on_both_engines, sql};
use sandbox::{
    Action, FaultKind,
    person::{Consent, values_of},
};
use secrecy::ExposeSecret;
use serde_json::json;
use tests::{browser::Browser, relight::Relight};
use tokio::task::JoinHandle;

const LUMA: &str = "luma.ceramics";
const AGAIN: [(&str, &str); 2] = [("connection", "consumer"), ("ask", "usual")];

/// Every read of posts meets this.
fn media(kind: FaultKind) -> Action {
    Action::Fail { kind, calls: 1_000, holder: None, path: Some("/media".to_owned()) }
}

fn luma(relight: &Relight) -> Consent {
    Consent::of(relight.holder(LUMA))
}

/// The string that Relight keeps for an account.
async fn kept(relight: &Relight, account: &str) -> String {
    let account: AccountId = account.parse().expect("an id");
    relight.commands().open_token(account).await.expect("a token").token.expose_secret().to_owned()
}

/// The attempts whose grants are kept.
async fn grants(relight: &Relight) -> Vec<String> {
    sql("SELECT reference FROM attempts WHERE sealed IS NOT NULL")
        .scalars(relight.store().database())
        .await
        .expect("attempts")
}

/// Sets out on a login; when this returns, Meta takes its time over the posts. The answer: the page, once there is one.
async fn being_read(relight: &Relight, owner: &Browser) -> JoinHandle<String> {
    relight.act(media(FaultKind::Timeout));
    let (browser, luma) = (owner.clone(), luma(relight));
    let login = async move { browser.log_in("/connect/consumer", &[], &luma).await.expect("a result page") };
    let login = tokio::spawn(login);
    tests::until("a grant that is kept", async || !grants(relight).await.is_empty()).await;
    login
}

async fn expired(relight: &Relight, owner: &Browser, account: &str) {
    relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
    owner.press(&format!("/accounts/{account}/check"), &[]).await;
    owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
}

on_both_engines! {
    async fn a_login_that_reads_no_posts_replaces_no_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let (events, string) = (relight.event_count().await, kept(&relight, &account).await);
        relight.act(media(FaultKind::BadRequest));
        for button in [format!("/accounts/{account}/refresh"), "/connect/consumer".to_owned(), "/token/consumer".to_owned()] {
            let page = owner.result(&button, &[], &luma(&relight)).await;
            page.says("Meta does not let us read the posts of @luma.ceramics").says("Code 1083");
        }
        assert_eq!((relight.event_count().await, kept(&relight, &account).await), (events, string));
        owner.open(&format!("/accounts/{account}")).await.says("Active");
    }

    async fn a_read_that_fails_in_passing_lets_the_login_wait(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        expired(&relight, &owner, &account).await;
        let events = relight.event_count().await;
        relight.act(media(FaultKind::Unavailable));
        let path = owner.log_in(&format!("/accounts/{account}/refresh"), &[], &luma(&relight)).await.expect("a result");
        owner.open(&path).await.says("We could not read the posts of @luma.ceramics yet").says("Code 1082");
        owner.open(&format!("/accounts/{account}")).await.says("Expired").says("Waiting to be tried again");
        assert_eq!(relight.event_count().await, events, "no token that can't read makes it active");
        relight.act(Action::StopFailing);
        let strings = relight.sandbox.world().tokens.len();
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("@luma.ceramics is refreshed");
        assert_eq!(relight.sandbox.world().tokens.len(), strings, "nobody logged in again");
        owner.until_fresh(&format!("/accounts/{account}"), 1).await.says("Active");
    }

    async fn a_limit_of_calls_lets_the_login_wait_until_it_is_over(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        expired(&relight, &owner, &account).await;
        let error = json!({"message": "(#4) Application request limit reached", "type": "OAuthException", "code": 4});
        let (status, body, path) = (400, json!({ "error": error }), Some("/media".to_owned()));
        relight.act(Action::Answer { status, body, calls: None, holder: None, path });
        // The next full minute after the pause, which begins in between.
        let over = || (relight.clock.now() + TimeDelta::minutes(15) + TimeDelta::seconds(59)).format("%H:%M UTC").to_string();
        let first = over();
        let path = owner.log_in(&format!("/accounts/{account}/refresh"), &[], &luma(&relight)).await.expect("a result");
        let last = over();
        relight.act(Action::StopFailing);
        let page = owner.open(&path).await;
        page.says("Meta limits how often it answers us").says("Code 1082");
        let says = |when: &str| page.text().contains(&format!("Try again after {when}"));
        assert!(says(&first) || says(&last), "{first} to {last}: {}", page.text());
        let strings = relight.sandbox.world().tokens.len();
        // Too early: it waits on.
        relight.pass(TimeDelta::minutes(12));
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("Code 1082");
        relight.pass(TimeDelta::minutes(11));
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("@luma.ceramics is refreshed");
        assert_eq!(relight.sandbox.world().tokens.len(), strings, "nobody logged in again");
    }

    async fn a_stop_in_the_middle_of_a_login_costs_no_other_login(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let login = being_read(&relight, &owner).await;
        let relight = relight.restarted().await;
        relight.act(Action::StopFailing);
        let path = login.await.expect("an answer");
        owner.open(&path).await.says("The login was interrupted").says("Code 1068");
        let strings = relight.sandbox.world().tokens.len();
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("@luma.ceramics is connected");
        assert_eq!(relight.sandbox.world().tokens.len(), strings, "nobody logged in again");
    }

    async fn a_login_whose_program_died_can_be_tried_again_and_its_grant_is_not_kept_for_long(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let login = being_read(&relight, &owner).await;
        // What a program leaves behind that is killed now; this one goes on, like one that was only thought dead.
        let path = format!("/attempts/{}", grants(&relight).await[0]);
        owner.open(&path).await.says("Just a moment");
        relight.pass(TimeDelta::minutes(9));
        relight.act(Action::StopFailing);
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("@luma.ceramics is connected");
        login.abort();

        being_read(&relight, &owner).await.abort();
        relight.pass(TimeDelta::minutes(19));
        let ended = attempt::forget_unchosen(relight.store().database(), relight.clock.now()).await;
        assert_eq!((ended.expect("done"), grants(&relight).await.len()), (1, 0));
    }

    async fn a_grant_is_kept_while_it_is_tried_again(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.act(media(FaultKind::Unavailable));
        let path = owner.log_in("/connect/consumer", &[], &luma(&relight)).await.expect("a result");
        owner.open(&path).await.says("Code 1082");
        relight.act(Action::StopFailing);
        let strings = relight.sandbox.world().tokens.len();
        // Pressed in the last moment, and Meta takes its time.
        relight.pass(TimeDelta::seconds(9 * 60 + 50));
        relight.act(Action::Fail { kind: FaultKind::Slow, calls: 1, holder: None, path: Some("/media".to_owned()) });
        let press = {
            let (browser, path) = (owner.clone(), path.clone());
            tokio::spawn(async move { browser.press(&format!("{path}/again"), &AGAIN).await.status() })
        };
        tests::until("the call", async || relight.sandbox.faults() == 0).await;
        relight.pass(TimeDelta::seconds(30));
        let ended = attempt::forget_unchosen(relight.store().database(), relight.clock.now()).await;
        assert_eq!(ended.expect("done"), 0);
        owner.open(&path).await.says("Just a moment");
        // Pressed once more, it is asked once.
        assert_eq!(owner.press(&format!("{path}/again"), &AGAIN).await.status(), 303);
        assert_eq!(press.await.expect("an answer"), 303);
        owner.open(&path).await.says("@luma.ceramics is connected");
        assert_eq!(relight.sandbox.world().tokens.len(), strings, "nobody logged in again");
    }

    async fn a_login_whose_work_failed_waits_at_once(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let rename = async |from: &str, to: &str| {
            sql(format!("ALTER TABLE {from} RENAME TO {to}"))
                .execute(relight.store().database())
                .await
                .expect("renamed");
        };
        rename("profiles", "profiles_away").await;
        let failed = owner.log_in("/connect/consumer", &[], &luma(&relight)).await;
        assert_eq!(failed.expect_err("an error page").status, 500);
        let path = format!("/attempts/{}", grants(&relight).await[0]);
        rename("profiles_away", "profiles").await;
        owner.open(&path).await.says("The login was interrupted");
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("@luma.ceramics is connected");
    }

    async fn a_throttled_read_pauses_the_app_and_lets_the_login_wait(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.act(media(FaultKind::AppThrottled));
        let path = owner.log_in("/connect/consumer", &[], &luma(&relight)).await.expect("a result");
        owner.open(&path).await.says("Code 1082");
        relight.act(Action::StopFailing);
        let calls = relight.sandbox.world().calls;
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("Code 1082");
        assert_eq!(relight.sandbox.world().calls, calls, "calling while throttled lengthens it");
    }

    async fn an_account_is_first_connected_by_a_token_that_reads(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.act(media(FaultKind::BadRequest));
        owner.result("/connect/consumer", &[], &luma(&relight)).await.says("Code 1083");
        relight.act(Action::StopFailing);
        relight.act(media(FaultKind::Html));
        let path = owner.log_in("/connect/consumer", &[], &luma(&relight)).await.expect("a result");
        owner.open(&path).await.says("Code 1082");
        assert_eq!(relight.event_count().await, 0);
        relight.act(Action::StopFailing);
        owner.press(&format!("{path}/again"), &AGAIN).await;
        owner.open(&path).await.says("@luma.ceramics is connected");
    }

    async fn of_several_chosen_accounts_those_are_connected_that_can_be_read(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let path = owner.log_in("/connect/business", &[], &Consent::of(relight.holder("Mia Berg"))).await.expect("a choice");
        let ids = values_of(&owner.open(&path).await.html, "account");
        let chosen: Vec<_> = ids.iter().take(2).map(|id| ("account", id.as_str())).collect();
        relight.act(media(FaultKind::Unavailable));
        owner.press(&format!("{path}/choose"), &chosen).await;
        owner.open(&path).await.says("Code 1082").says("@tiny.harbor");
        assert_eq!(relight.event_count().await, 0);
        relight.act(Action::StopFailing);
        let path_of_one = Some(format!("{}/media", relight.holder("tiny.harbor")));
        relight.act(Action::Fail { kind: FaultKind::BadRequest, calls: 1_000, holder: None, path: path_of_one });
        owner.press(&format!("{path}/choose"), &chosen).await;
        owner.open(&path).await.says("@fern.and.fog is connected").says("could not read the posts of @tiny.harbor");
        assert!(!owner.open("/accounts").await.text().contains("tiny.harbor"));
    }

    async fn the_connection_is_switched_only_by_a_token_that_reads(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("hoshi.tea")).await;
        let events = relight.event_count().await;
        relight.act(media(FaultKind::BadRequest));
        let here = format!("/accounts/{account}");
        owner.result(&format!("{here}/switch"), &[], &Consent::of(relight.holder("Ken Sato"))).await.says("Code 1083");
        assert_eq!(relight.event_count().await, events);
        owner.open(&here).await.says("consumer (Instagram)").says("Active");
    }
}
