//! A token that works is replaced by nobody else's login: what a person with a role on the Page can and can't do.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use domain::{Connection, account::Plan};
use engine::{on_both_engines, sql};
use sandbox::{Action, FaultKind, person::Consent};
use tests::{browser::Browser, relight::Relight};

const HOSHI: &str = "hoshi.tea";
const KEN: &str = "Ken Sato";
const NORA: &str = "Nora Nopage";
const AGAIN: [(&str, &str); 2] = [("connection", "business"), ("ask", "usual")];

/// Ann's account, which Ken connected and whose Page Nora has a role on as well. The answer: Ann, the account.
async fn shared_page(relight: &Relight) -> (Browser, String) {
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = owner.connect(Connection::Business, relight.holder(KEN)).await;
    owner.add_widget(&account, Plan::Upgraded).await;
    owner.until_fresh(&format!("/accounts/{account}"), 1).await;
    relight.act(Action::GivePageRole { holder: NORA.to_owned(), account: HOSHI.to_owned() });
    (owner, account)
}

fn login(relight: &Relight, name: &str) -> Consent {
    Consent::of(relight.holder(name))
}

fn fail(kind: FaultKind, holder: &str, path: Option<&str>) -> Action {
    let (holder, path) = (Some(holder.to_owned()), path.map(str::to_owned));
    Action::Fail { kind, calls: 1_000, holder, path }
}

async fn last(relight: &Relight, account: &str, count: usize) -> Vec<String> {
    let events = relight.events(account).await;
    events[events.len().saturating_sub(count)..].to_vec()
}

on_both_engines! {
    async fn a_stranger_on_the_access_token_page_replaces_no_token_that_works(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = shared_page(&relight).await;
        let stranger = relight.browser();
        let page = stranger.result("/token/business", &[], &login(&relight, NORA)).await;
        page.says("@hoshi.tea already works until").says("nothing to do").says("Meta has just confirmed it");
        assert!(!page.text().contains("Code 1"), "it is no error: {}", page.text());
        assert!(!page.text().contains("Try again"), "there is nothing to do: {}", page.text());
        assert_eq!(last(&relight, &account, 2).await, ["WidgetAdded", "RefreshDeclined"]);
        // The one who could have replaced it removes the app: nothing happens to the account.
        relight.act(Action::RemoveApp { holder: NORA.to_owned() });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        relight.pass(TimeDelta::minutes(31));
        tests::until("an end of what is due", async || relight.due().await == 0).await;
        let page = owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        page.says("Active").says("Meta confirmed that the token works").says("from the access token page");
        let event = relight.journal(&account).await.pop().expect("an event");
        let payload = engine::json(&event.payload);
        assert_eq!(payload["RefreshDeclined"]["evidence"]["call"], "check");
        let (nora, ken) = (relight.holder(NORA), relight.holder(KEN));
        let text = event.payload.get();
        assert!([HOSHI, NORA, &nora, &ken].iter().all(|personal| !text.contains(*personal)), "{text}");
    }

    async fn a_stranger_adds_to_the_journal_at_most_once_a_day(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        let declined = async || relight.events(&account).await.iter().filter(|event| *event == "RefreshDeclined").count();
        for _ in 0..3 {
            let page = relight.browser().result("/token/business", &[], &login(&relight, NORA)).await;
            page.says("already works until");
        }
        assert_eq!(declined().await, 1);
        relight.pass(TimeDelta::hours(25));
        relight.browser().result("/token/business", &[], &login(&relight, NORA)).await.says("already works until");
        assert_eq!(declined().await, 2);
    }

    async fn a_stranger_with_a_reconnect_link_replaces_no_token_that_works(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = shared_page(&relight).await;
        owner.press(&format!("/accounts/{account}/link"), &[]).await;
        let text = owner.open(&format!("/accounts/{account}")).await.text();
        let link = text.split("/r/").nth(1).and_then(|rest| rest.split(' ').next()).expect("a link").to_owned();
        let stranger = relight.browser();
        let page = stranger.result(&format!("/r/{link}"), &[], &login(&relight, NORA)).await;
        page.says("@hoshi.tea already works until").says("nothing to do");
        stranger.open(&format!("/r/{link}")).await.says("Reconnect @hoshi.tea");
        stranger.result(&format!("/r/{link}"), &[], &login(&relight, KEN)).await.says("@hoshi.tea is refreshed");
        let types = relight.events(&account).await;
        assert_eq!(types[types.len() - 2..], ["RefreshDeclined", "Refreshed"]);
    }

    async fn somebody_new_who_connects_gets_access_and_replaces_no_token_that_works(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = shared_page(&relight).await;
        let ben = relight.signed_in("ben@example.com", Role::Owner).await;
        let page = ben.result("/connect/business", &[], &login(&relight, NORA)).await;
        page.says("@hoshi.tea already works until").says("It is among your accounts now");
        // Events of a unit stand in the order of its commands.
        assert_eq!(last(&relight, &account, 2).await, ["AccessGranted", "RefreshDeclined"]);
        let here = format!("/accounts/{account}");
        ben.open(&here).await.says("Developer");
        // The access that connecting gave is no way around it; the owner may replace what the owner wants to.
        ben.result(&format!("{here}/refresh"), &[], &login(&relight, NORA)).await.says("already works until");
        ben.result("/connect/business", &[], &login(&relight, NORA)).await.says("already works until");
        assert_eq!(last(&relight, &account, 1).await, ["RefreshDeclined"]);
        owner.result(&format!("{here}/refresh"), &[], &login(&relight, NORA)).await.says("@hoshi.tea is refreshed");
        assert_eq!(last(&relight, &account, 1).await, ["Refreshed"]);
    }

    async fn the_same_person_replaces_a_token_that_works(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        relight.browser().result("/token/business", &[], &login(&relight, KEN)).await.says("@hoshi.tea is refreshed");
        assert_eq!(last(&relight, &account, 1).await, ["Refreshed"]);
    }

    async fn logins_at_once_are_told_what_became_of_them(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        // A stranger's login that was declined today is on the record already.
        relight.browser().result("/token/business", &[], &login(&relight, NORA)).await.says("already works until");
        let all = (0..16).map(|n| {
            let (browser, consent) = (relight.browser(), login(&relight, [KEN, NORA][n % 2]));
            async move { browser.result("/token/business", &[], &consent).await.text() }
        });
        for told in futures::future::join_all(all).await {
            let known = ["is refreshed", "already works until", "The login was interrupted"];
            assert!(known.iter().any(|known| told.contains(known)), "{told}");
        }
        assert_eq!(last(&relight, &account, 1).await, ["Refreshed"]);
    }

    async fn an_unknown_grantor_is_another_person(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        sql("UPDATE profiles SET grantor_id = NULL WHERE account_id = $1")
            .bind(&account)
            .execute(relight.store().database())
            .await
            .expect("updated");
        let page = relight.browser().result("/token/business", &[], &login(&relight, KEN)).await;
        page.says("@hoshi.tea already works until");
    }

    async fn near_a_deadline_every_login_that_reaches_the_account_replaces_the_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        relight.pass(TimeDelta::days(42));
        tests::until("the renewal", async || relight.events(&account).await.contains(&"Renewed".to_owned())).await;
        relight.pass(TimeDelta::days(33));
        relight.browser().result("/token/business", &[], &login(&relight, NORA)).await.says("already works until");
        relight.pass(TimeDelta::days(2));
        relight.browser().result("/token/business", &[], &login(&relight, NORA)).await.says("@hoshi.tea is refreshed");
    }

    async fn a_token_that_meta_refuses_now_is_replaced(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = shared_page(&relight).await;
        relight.act(Action::RemoveApp { holder: KEN.to_owned() });
        let page = relight.browser().result("/token/business", &[], &login(&relight, NORA)).await;
        page.says("@hoshi.tea is refreshed");
        assert_eq!(last(&relight, &account, 2).await, ["Expired", "Refreshed"]);
        owner.until_fresh(&format!("/accounts/{account}"), 1).await.says("Active");
    }

    async fn without_an_answer_about_the_present_token_the_login_waits_and_needs_no_second_one(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        relight.act(fail(FaultKind::Unavailable, KEN, None));
        let before = relight.event_count().await;
        let stranger = relight.browser();
        let path = stranger.log_in("/token/business", &[], &login(&relight, NORA)).await.expect("a result");
        stranger.open(&path).await.says("Meta did not say whether @hoshi.tea still works").says("Code 1084");
        stranger.press(&format!("{path}/again"), &AGAIN).await;
        stranger.open(&path).await.says("Code 1084");
        assert_eq!(relight.event_count().await, before);
        let strings = relight.sandbox.world().tokens.len();
        relight.act(Action::StopFailing);
        relight.act(Action::RemoveApp { holder: KEN.to_owned() });
        let answer = stranger.press(&format!("{path}/again"), &AGAIN).await;
        assert_eq!(tests::browser::location(&answer), path);
        stranger.open(&path).await.says("@hoshi.tea is refreshed");
        assert_eq!(relight.sandbox.world().tokens.len(), strings, "nobody logged in again");
        assert_eq!(last(&relight, &account, 2).await, ["Expired", "Refreshed"]);
    }

    async fn a_login_that_waits_is_gone_after_ten_minutes(engine: Engine) {
        let relight = Relight::start(engine).await;
        shared_page(&relight).await;
        relight.act(fail(FaultKind::Unavailable, KEN, None));
        let stranger = relight.browser();
        let path = stranger.log_in("/token/business", &[], &login(&relight, NORA)).await.expect("a result");
        relight.pass(TimeDelta::minutes(11));
        stranger.open(&path).await.says("Code 1084");
        let answer = stranger.press(&format!("{path}/again"), &AGAIN).await;
        assert!(tests::browser::location(&answer).contains("/dialog/oauth"), "it leads to the login");
        let other = relight.browser().press(&format!("{path}/again"), &AGAIN).await;
        assert_eq!(other.status(), 404, "another browser's attempt");
    }

    async fn an_unclear_refusal_makes_room_only_when_it_comes_a_second_time(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        relight.act(Action::DeclinePermission { holder: KEN.to_owned(), permission: "instagram_basic".to_owned() });
        let stranger = relight.browser();
        let path = stranger.log_in("/token/business", &[], &login(&relight, NORA)).await.expect("a result");
        stranger.open(&path).await.says("Code 1084");
        assert!(!relight.events(&account).await.contains(&"Refreshed".to_owned()));
        relight.pass(TimeDelta::minutes(2));
        stranger.press(&format!("{path}/again"), &AGAIN).await;
        stranger.open(&path).await.says("@hoshi.tea is refreshed");
    }

    async fn a_used_up_budget_asks_meta_nothing_and_replaces_nothing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (_, account) = shared_page(&relight).await;
        relight.act(Action::UseUp { percent: 100 });
        let page = relight.browser().result("/token/business", &[], &login(&relight, NORA)).await;
        page.says("Code 1084");
        let page = relight.browser().result("/token/business", &[], &login(&relight, KEN)).await;
        page.says("We could not read the posts of @hoshi.tea yet").says("Code 1082");
        assert_eq!(last(&relight, &account, 1).await, ["WidgetAdded"]);
    }

    async fn a_stranger_whom_the_owner_overtakes_replaces_nothing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let (owner, account) = shared_page(&relight).await;
        relight.act(Action::RemoveApp { holder: KEN.to_owned() });
        // The stranger's login finds the token dead; its own read takes two seconds.
        let (holder, path) = (Some(NORA.to_owned()), Some("/media".to_owned()));
        relight.act(Action::Fail { kind: FaultKind::Slow, calls: 1, holder, path });
        let stranger = relight.browser();
        let nora = login(&relight, NORA);
        let slow = async { stranger.result("/token/business", &[], &nora).await };
        let overtaking = async {
            tests::until("the slow read", async || relight.sandbox.faults() == 0).await;
            owner.result(&format!("/accounts/{account}/refresh"), &[], &login(&relight, KEN)).await
        };
        let (page, owners) = tokio::join!(slow, overtaking);
        owners.says("@hoshi.tea is refreshed");
        page.says("@hoshi.tea already works until");
        assert_eq!(last(&relight, &account, 3).await, ["Expired", "Refreshed", "RefreshDeclined"]);
        let events = relight.journal(&account).await;
        let payload = |back: usize| engine::json(&events[events.len() - back].payload);
        assert_eq!(payload(1)["RefreshDeclined"]["token"], payload(2)["Refreshed"]["grant"]["token"]);
        owner.until_fresh(&format!("/accounts/{account}"), 1).await.says("Active");
    }
}
