//! What Meta allows: calls slow down before the limit and pause at it; who waits goes first.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use domain::{Connection, account::Plan};
use engine::{on_both_engines, sql};
use sandbox::{Action, FaultKind, person::Consent};
use tests::{relight::Relight, until};

const LUMA: &str = "luma.ceramics";

on_both_engines! {
    async fn a_throttled_app_pauses_and_goes_on(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let here = format!("/accounts/{account}");
        owner.add_widget(&account, Plan::Upgraded).await;
        owner.until_fresh(&here, 1).await;
        relight.act(Action::Fail { kind: FaultKind::AppThrottled, calls: 1, holder: None, path: None });
        relight.pass(TimeDelta::minutes(31));
        owner.until(&here, "Meta limits our calls").await;
        admin.open("/operations").await.says("Paused: calls go on in 15 minutes");
        // Whatever becomes due waits.
        let before = relight.sandbox.world().calls;
        owner.press(&format!("{here}/check"), &[]).await;
        relight.settled().await;
        assert_eq!(relight.sandbox.world().calls, before);
        relight.pass(TimeDelta::minutes(45));
        engine::testing::until("calls that go on", async || relight.sandbox.world().calls > before).await;
        assert!(!relight.events(&account).await.contains(&"Expired".to_owned()));
    }

    async fn a_business_that_is_used_up_waits_alone_as_long_as_the_header_says(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let mut pages = Vec::new();
        for name in [LUMA, "oakandiron"] {
            let account = owner.connect(Connection::Consumer, relight.holder(name)).await;
            owner.add_widget(&account, Plan::Upgraded).await;
            pages.push(format!("/accounts/{account}"));
            owner.until_fresh(&pages[pages.len() - 1], 1).await;
        }
        // The answer is good, and says that its business has nothing left for half an hour.
        let path = Some("/media".to_owned());
        relight.act(Action::Fail { kind: FaultKind::BusinessUsedUp, calls: 1, holder: Some(LUMA.to_owned()), path });
        relight.pass(TimeDelta::minutes(31));
        let calls = || relight.sandbox.world().calls;
        until("the answer", async || relight.sandbox.faults() == 0 && relight.due().await == 0).await;
        admin.open("/operations").await.says("Business 178414, alone.").says("Paused: calls go on in 30 minutes");
        relight.pass(TimeDelta::minutes(2));
        let before = calls();
        owner.press(&format!("{}/check", pages[0]), &[]).await;
        relight.settled().await;
        assert_eq!(calls(), before, "also who waits, waits: calling sooner lengthens it");
        owner.press(&format!("{}/check", pages[1]), &[]).await;
        until("its call", async || calls() > before).await;
        relight.settled().await;
        assert_eq!(calls(), before + 2, "whose token it is, and a post: the other account's business is its own");
        relight.pass(TimeDelta::minutes(40));
        owner.until_fresh(&pages[0], 1).await;
    }

    async fn near_the_limit_only_what_somebody_waits_for_goes_on(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let mut here = String::new();
        // Their pulls are minutes apart: after the first, the others wait.
        for name in ["nordlicht.bakery", "oakandiron", "bluebird.bikes", "alta.climbing", LUMA] {
            let account = owner.connect(Connection::Consumer, relight.holder(name)).await;
            here = format!("/accounts/{account}");
            owner.add_widget(&account, Plan::Upgraded).await;
            owner.until_fresh(&here, 1).await;
        }
        relight.act(Action::UseUp { percent: 97 });
        relight.pass(TimeDelta::minutes(26));
        let waits = async || {
            let waiting = sql("SELECT count(*) FROM jobs WHERE last_error LIKE '%limit of calls is near%'");
            waiting.scalar::<i64>(relight.store().database()).await.expect("counted") > 0
        };
        // The call before told how near it is; from then on they wait.
        relight.pass_until("something that waits", TimeDelta::seconds(20), waits).await;
        // Somebody who logs in doesn't.
        owner.result(&format!("{here}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await.says("is refreshed");
        owner.until_fresh(&here, 1).await;
    }
}
