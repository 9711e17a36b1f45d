//! Forced races: a renewal beside a refresh, a late failure of an old token, two nodes at once.

use ::api::{service::Service, sign_in::Role};
use chrono::TimeDelta;
use engine::{on_both_engines, testing::Engine};
use sandbox::{Action, FaultKind, person::Consent};
use tests::{relight::Relight, until};

const LUMA: &str = "luma.ceramics";

/// Waits until a call that is spoiled so has come in: it is under way then.
async fn until_taken(relight: &Relight) {
    until("the call", async || relight.sandbox.faults() == 0).await;
}

/// A second node on PostgreSQL: either of the two does what follows. An SQLite file is one node's.
async fn second_node(relight: &Relight, engine: Engine) -> Option<Service> {
    if engine == Engine::Postgres { Some(relight.second_node().await) } else { None }
}

async fn stop(node: Option<Service>) {
    if let Some(node) = node {
        node.stop().await;
    }
}

fn slow(path: &str) -> Action {
    Action::Fail { kind: FaultKind::Slow, calls: 1, holder: None, path: Some(path.to_owned()) }
}

on_both_engines! {
    async fn a_renewal_that_a_login_overtakes_is_dropped(engine: Engine) {
        let relight = Relight::start(engine).await;
        let node = second_node(&relight, engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(slow("refresh_access_token"));
        relight.pass(TimeDelta::hours(42 * 24));
        until_taken(&relight).await;
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        // The renewal's answer comes two seconds late, and a node that stops waits for it.
        stop(node).await;
        let relight = relight.restarted().await;
        let events = relight.events(&account).await;
        assert_eq!(events.last().map(String::as_str), Some("Refreshed"), "{events:?}");
        assert!(!events.contains(&"Renewed".to_owned()), "{events:?}");
        // What is kept is the login's token: the old one can die.
        relight.pass(TimeDelta::days(30));
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
    }

    async fn a_late_failure_of_an_old_token_says_nothing_of_a_new_one(engine: Engine) {
        let relight = Relight::start(engine).await;
        let node = second_node(&relight, engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(slow("/media"));
        relight.pass(TimeDelta::minutes(31));
        until_taken(&relight).await;
        relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
        relight.pass(TimeDelta::seconds(1));
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(LUMA))).await;
        stop(node).await;
        let relight = relight.restarted().await;
        let events = relight.events(&account).await;
        assert_eq!(events.last().map(String::as_str), Some("Refreshed"), "{events:?}");
        owner.until_fresh(&format!("/accounts/{account}"), 1).await.says("Active");
    }

    async fn two_nodes_renew_each_token_once(engine: Engine) {
        if engine == Engine::Sqlite {
            return; // One file is one node's.
        }
        let relight = Relight::start(engine).await;
        let node = relight.second_node().await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let names = [LUMA, "nordlicht.bakery", "oakandiron", "bluebird.bikes", "maremare.swim", "alta.climbing"];
        let mut accounts = Vec::new();
        for name in names {
            accounts.push(relight.connected(&owner, name).await);
        }
        for _ in 0..3 {
            // All at one moment, on both.
            relight.pass_and_settle(TimeDelta::hours(42 * 24)).await;
        }
        for (account, name) in accounts.iter().zip(names) {
            let renewed = relight.events(account).await.iter().filter(|event| *event == "Renewed").count();
            let holder = relight.holder(name);
            let strings = relight.sandbox.world().tokens.values().filter(|token| token.holder == holder && !token.short).count();
            assert_eq!((renewed, strings), (3, 4), "@{name}: each answer of Meta is kept, none is asked for twice");
        }
        node.stop().await;
    }
}
