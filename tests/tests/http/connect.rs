//! Connecting accounts.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::on_both_engines;
use sandbox::person::{Consent, values_of};
use tests::relight::Relight;

on_both_engines! {
    async fn a_consumer_account_is_connected_and_its_widget_turns_fresh(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        owner.add_widget(&account, Plan::Upgraded).await;
        let page = owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        page.says("@luma.ceramics Active").says("(you)").says("Owner");
        assert_eq!(relight.events(&account).await, ["Connected", "AccessGranted", "Issued", "WidgetAdded"]);
        owner.open("/accounts").await.says("@luma.ceramics");
    }

    async fn connecting_a_connected_account_is_a_refresh(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let ben = relight.signed_in("ben@example.com", Role::Owner).await;
        let page = ben.result("/connect/consumer", &[], &Consent::of(relight.holder("luma.ceramics"))).await;
        page.says("@luma.ceramics is refreshed");
        assert_eq!(relight.events(&account).await, ["Connected", "AccessGranted", "Issued", "AccessGranted", "Refreshed"]);
        ben.open(&format!("/accounts/{account}")).await.says("Developer");
    }

    async fn a_business_login_that_reaches_one_account_asks_nothing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Business, relight.holder("Ken Sato")).await;
        owner.open(&format!("/accounts/{account}")).await.says("@hoshi.tea Active").says("business (Facebook)");
    }

    async fn a_business_login_that_reaches_several_lets_choose(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let mia = Consent::of(relight.holder("Mia Berg"));
        let path = owner.log_in("/connect/business", &[], &mia).await.expect("a choice");
        let page = owner.open(&path).await;
        page.says("Which accounts").says("@fern.and.fog").says("@tiny.harbor").says("@paper.moon.press");
        let ids = values_of(&page.html, "account");
        owner.press(&format!("{path}/choose"), &[]).await;
        owner.open(&path).await.says("Tick at least one account");
        let strange = owner.press(&format!("{path}/choose"), &[("account", "17841400000000013")]).await;
        assert_eq!(strange.status(), 404, "an account that the login doesn't reach");
        owner.press(&format!("{path}/choose"), &[("account", &ids[0]), ("account", &ids[2])]).await;
        owner.open(&path).await.says("2 accounts are connected");
        let list = owner.open("/accounts").await;
        list.says("@fern.and.fog").says("@paper.moon.press");
        assert!(!list.text().contains("tiny.harbor"));
        // The grant is used up: choosing again shows what came of it.
        owner.press(&format!("{path}/choose"), &[("account", &ids[1])]).await;
        assert!(!owner.open("/accounts").await.text().contains("tiny.harbor"));
    }

    async fn a_choice_times_out_after_its_ten_minutes(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let mia = Consent::of(relight.holder("Mia Berg"));
        let path = owner.log_in("/connect/business", &[], &mia).await.expect("a choice");
        let page = owner.open(&path).await;
        let ids = values_of(&page.html, "account");
        relight.clock.forward(chrono::TimeDelta::minutes(11));
        owner.press(&format!("{path}/choose"), &[("account", &ids[0])]).await;
        owner.open(&path).await.says("timed out").says("Code 1080");
        assert_eq!(relight.event_count().await, 0);
    }

    async fn a_disconnected_account_comes_back_with_its_widgets(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        let here = format!("/accounts/{account}");
        owner.until_fresh(&here, 1).await;
        owner.press(&format!("{here}/disconnect"), &[("sure", "")]).await;
        owner.open(&here).await.says("Tick the box to say that you are sure").says("Active");
        owner.press(&format!("{here}/disconnect"), &[("sure", "yes")]).await;
        owner.open(&here).await.says("@luma.ceramics Disconnected").says("resting");
        let again = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        assert_eq!(again, account);
        owner.until_fresh(&here, 1).await.says("Active");
        assert_eq!(owner.widgets(&account).await, [widget]);
    }
}
