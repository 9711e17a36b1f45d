//! What one customer can add to the journal in a day has a bound.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use commands::{Context, allowance};
use domain::{Account, AccountCommand, AccountId, Actor, Authority, Connection, UserId, WidgetId, account::Plan};
use engine::{on_both_engines, sql};
use reqwest::StatusCode;
use sandbox::person::Consent;
use tests::{browser::Browser, relight::Relight};

const LUMA: &str = "luma.ceramics";

/// Whose right on an account was granted last.
async fn latest_member(relight: &Relight, account: &str) -> UserId {
    let journal = relight.journal(account).await;
    let granted = journal.iter().rev().find(|event| event.event_type == "AccessGranted").expect("granted");
    engine::json(&granted.payload)["AccessGranted"]["user"].as_str().and_then(|id| id.parse().ok()).expect("an id")
}

fn context(actor: Actor) -> Context {
    Context { actor, correlation: "test".to_owned(), causation: None, request: None }
}

/// Adds and removes a widget until that is refused, at most `times`; how often it could be added.
async fn add_and_remove(relight: &Relight, account: &str, member: UserId, times: i64) -> i64 {
    let (id, by): (AccountId, _) = (account.parse().expect("an id"), Authority::User(member));
    let (commands, context) = (relight.commands(), context(Actor::User(member)));
    for added in 0..times {
        let widget = WidgetId::new(commands::new_id());
        if commands.add_widget(id, widget, Plan::Free, by, &context).await.is_err() {
            return added;
        }
        commands.remove_widget(id, widget, by, &context).await.expect("what takes away is never refused");
    }
    times
}

async fn add(browser: &Browser, account: &str) -> reqwest::Response {
    browser.press(&format!("/accounts/{account}/widgets"), &[("plan", "free")]).await
}

async fn set_used(relight: &Relight, scope: &str, used: i64) {
    sql("UPDATE allowances SET used = $1 WHERE scope = $2")
        .bind(used)
        .bind(scope)
        .execute(relight.store().database())
        .await
        .expect("updated");
}

on_both_engines! {
    async fn a_loop_of_adding_and_removing_widgets_ends_at_the_accounts_bound(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let ann = latest_member(&relight, &account).await;
        let keep = owner.add_widget(&account, Plan::Free).await;
        // Each counts, the first one added before, too; then the day is nearly over.
        assert_eq!(add_and_remove(&relight, &account, ann, 20).await, 20);
        let used = sql("SELECT used FROM allowances WHERE scope = 'account'");
        assert_eq!(used.scalar::<i64>(relight.store().database()).await.expect("read"), 21);
        set_used(&relight, "account", allowance::ACCOUNT_CHANGES - 20).await;
        assert_eq!(add_and_remove(&relight, &account, ann, 3_000).await, 20);
        let events = relight.event_count().await;
        for _ in 0..5 {
            add(&owner, &account).await;
            owner.open(&format!("/accounts/{account}")).await.says("This account was changed 300 times today");
            let here = format!("/accounts/{account}/widgets/{keep}/plan");
            assert_eq!(owner.press(&here, &[("plan", "upgraded")]).await.status(), StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(relight.event_count().await, events, "nothing more is written");
        // A login goes on, as does what takes away.
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await.says("is refreshed");
        let remove = format!("/accounts/{account}/widgets/{keep}/remove");
        assert_eq!(owner.press(&remove, &[]).await.status(), StatusCode::SEE_OTHER);
        relight.pass(TimeDelta::hours(24));
        assert_eq!(add(&owner, &account).await.status(), StatusCode::SEE_OTHER);
    }

    async fn access_back_and_forth_is_bounded_and_can_always_be_revoked(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let developer = relight.signed_in("dev@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let here = format!("/accounts/{account}");
        let grant = async |right| owner.press(&format!("{here}/access"), &[("email", "dev@example.com"), ("right", right)]).await;
        assert_eq!(grant("developer").await.status(), StatusCode::SEE_OTHER);
        developer.accept_invitation().await;
        set_used(&relight, "account", allowance::ACCOUNT_CHANGES - 1).await;
        assert_eq!(grant("owner").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(grant("owner").await.status(), StatusCode::SEE_OTHER, "already so: nothing is written, nothing counts");
        assert_eq!(grant("developer").await.status(), StatusCode::TOO_MANY_REQUESTS);
        let dev = latest_member(&relight, &account).await.to_string();
        assert_eq!(owner.press(&format!("{here}/access/revoke"), &[("user", &dev)]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(owner.press(&format!("{here}/disconnect"), &[("sure", "yes")]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(relight.events(&account).await.iter().rev().take(3).collect::<Vec<_>>(), ["Revoked", "Disconnected", "AccessRevoked"]);
    }

    async fn one_members_changes_are_bounded_over_all_accounts_logins_included(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let luma = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let salt = owner.connect(Connection::Consumer, relight.holder("sol.y.sal")).await;
        set_used(&relight, "member", allowance::MEMBER_CHANGES - 2).await;
        owner.add_widget(&luma, Plan::Free).await;
        owner.add_widget(&salt, Plan::Free).await;
        let events = relight.event_count().await;
        add(&owner, &luma).await;
        owner.open(&format!("/accounts/{luma}")).await.says("You have made 1000 changes today");
        // Disconnecting is free, so the cycle ends at connecting.
        for account in [&luma, &salt] {
            owner.press(&format!("/accounts/{account}/disconnect"), &[("sure", "yes")]).await;
        }
        let page = owner.result("/connect/consumer", &[], &Consent::of(relight.holder(LUMA))).await;
        page.says("That is enough for today").says("Code 1085");
        assert_eq!(relight.event_count().await, events + 4, "two were disconnected");
        relight.pass(TimeDelta::hours(24));
        owner.result("/connect/consumer", &[], &Consent::of(relight.holder(LUMA))).await.says("@luma.ceramics is connected");
    }

    async fn logins_without_a_sign_in_are_bounded_for_each_account(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let luma = Consent::of(relight.holder(LUMA));
        relight.browser().result("/token/consumer", &[], &luma).await.says("is refreshed");
        set_used(&relight, "visitor", allowance::VISITOR_LOGINS).await;
        let events = relight.event_count().await;
        relight.browser().result("/token/consumer", &[], &luma).await.says("Code 1085");
        assert_eq!(relight.event_count().await, events);
        // Who is signed in has an allowance of one's own.
        owner.result(&format!("/accounts/{account}/refresh"), &[], &luma).await.says("is refreshed");
    }

    async fn a_machine_has_a_far_higher_bound_for_each_account(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        set_used(&relight, "account", allowance::ACCOUNT_CHANGES).await;
        let url = format!("{}/api/v1/accounts/{account}/widgets", relight.base);
        let browser = relight.browser();
        let add = async || {
            let request = browser.client.post(&url).bearer_auth(&key).json(&serde_json::json!({"plan": "free"}));
            request.send().await.expect("an answer").status()
        };
        assert_eq!(add().await, StatusCode::CREATED, "what members used up is theirs");
        // A script gone wild, in one commit.
        let metadata = store::testing::metadata(relight.clock.now());
        let mut unit = relight.store().unit(metadata);
        let (id, widget): (AccountId, WidgetId) = (account.parse().expect("an id"), widget.parse().expect("an id"));
        for round in 0..allowance::KEY_CHANGES {
            let plan = if round % 2 == 0 { Plan::Upgraded } else { Plan::Free };
            let change = AccountCommand::ChangeWidgetPlan { widget, plan, by: Authority::Staff };
            unit.execute::<Account>(id, change).await.expect("changed");
        }
        unit.commit().await.expect("committed");
        let events = relight.event_count().await;
        assert_eq!(add().await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(relight.event_count().await, events);
        relight.pass(TimeDelta::hours(25));
        assert_eq!(add().await, StatusCode::CREATED);
    }
}
