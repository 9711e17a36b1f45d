//! A clock that is wrong ends no token, and where Meta was not heard of a token lately, it is asked before time decides.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use ::api::{config::Config, sign_in::Role};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Clock, clock::Source};
use engine::{on_both_engines, testing::Engine};
use sandbox::{Action, FaultKind, person::Consent};
use tests::{found, relight::Relight};
use url::Url;

const LUMA: &str = "luma.ceramics";

/// A machine whose clock tests set.
#[derive(Debug)]
struct Machine {
    up: Instant,
    set_by: Mutex<TimeDelta>,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self { up: Instant::now(), set_by: Mutex::default() })
    }

    fn set(&self, by: TimeDelta) {
        *self.set_by.lock().expect("not poisoned") = by;
    }
}

impl Source for Machine {
    fn set_by_people(&self) -> DateTime<Utc> {
        Clock::default().of_the_world() + *self.set_by.lock().expect("not poisoned")
    }

    fn up(&self) -> TimeDelta {
        TimeDelta::from_std(self.up.elapsed()).expect("short")
    }
}

/// Nothing answers there.
fn without_meta(config: &mut Config) {
    let nowhere = Url::parse("http://127.0.0.1:9").expect("a URL");
    (config.instagram.graph_url, config.facebook.graph_url) = (nowhere.clone(), nowhere);
}

async fn readiness(relight: &Relight) -> String {
    let answer = relight.browser().client.get(format!("{}/readyz", relight.base)).send().await.expect("answers");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("a text")
}

async fn until_ready(relight: &Relight, with: &str) {
    let is_so = async || match readiness(relight).await {
        sentence if sentence.starts_with(with) => Ok(()),
        sentence => Err(sentence),
    };
    found(&format!("the answer {with}"), is_so).await;
}

/// Waits until the account's events are these.
async fn until(relight: &Relight, account: &str, all: &[&str]) {
    let ended = async || match relight.events(account).await {
        events if events == all => Ok(()),
        events => Err(format!("{events:?}, {}", relight.work_of(account).await)),
    };
    found(&format!("{all:?}"), ended).await;
}

/// Waits until the account's `expire` is due so long from now, about.
async fn until_asked_again(relight: &Relight, account: &str, after: TimeDelta) {
    let is_so = async || {
        let id = account.parse().expect("an id");
        let waiting = projections::jobs::waiting_for(relight.store().database(), id, 20).await.expect("read");
        let due = waiting.iter().find(|job| job.kind == "expire").and_then(|job| job.due_at);
        let left = due.map(|due| due - relight.clock.now());
        if left.is_some_and(|left| left > after / 2 && left <= after) { Ok(()) } else { Err(format!("{waiting:?}")) }
    };
    found("the time to ask again", is_so).await;
}

on_both_engines! {
    async fn a_clock_that_is_wrong_for_a_moment_ends_no_token(engine: Engine) {
        let (machine, database) = (Machine::new(), engine);
        let relight = Relight::start_at(engine, Clock::of(machine.clone()), without_meta).await;
        relight.connect_crowd(3, "never used").await;
        let before = relight.clock.now();
        machine.set(TimeDelta::days(100));
        if database == Engine::Sqlite {
            until_ready(&relight, "ready, but degraded: this machine's clock was set forward by 100 days").await;
        }
        if database == Engine::Postgres {
            // A server that did not step as well is a witness.
            until_ready(&relight, "ready, but degraded: this machine's clock is 100 days ahead; the program goes").await;
        }
        assert!(relight.clock.now() - before < TimeDelta::hours(1), "the program follows no step");
        machine.set(TimeDelta::zero());
        until_ready(&relight, "ready\n").await;
        // Their own time ends them, and not an hour earlier.
        relight.clock.forward(TimeDelta::days(59));
        relight.settled().await;
        assert_eq!(relight.counts().await, [3, 0, 0]);
        relight.clock.forward(TimeDelta::days(1) + TimeDelta::minutes(1));
        tests::until("all expired", async || relight.counts().await == [0, 3, 0]).await;
    }

    async fn meta_refutes_a_wrong_clock_and_work_goes_on(engine: Engine) {
        let machine = Machine::new();
        let relight = Relight::start_at(engine, Clock::of(machine.clone()), |_| {}).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        machine.set(TimeDelta::days(-100));
        let before = relight.clock.now();
        until_ready(&relight, "ready, but degraded: this machine's clock is 100 days behind; the program goes").await;
        assert!(relight.clock.doubt().is_none() && relight.clock.now() >= before);
        relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
        relight.pass(TimeDelta::hours(25));
        until(&relight, &account, &["Connected", "AccessGranted", "Issued", "WidgetAdded", "PasswordChanged", "Expired"]).await;
    }

    async fn a_start_long_after_the_last_event_is_confirmed_by_meta(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.connected(&owner, LUMA).await;
        relight.pass(TimeDelta::days(3));
        relight.settled().await;
        let away = relight.restarted_with(|config, _| without_meta(config)).await;
        until_ready(&away, "ready, but degraded: the last event is 3 days old").await;
        let back = away.restarted_with(|config, sandbox| {
            config.instagram.graph_url = Url::parse(&format!("{}/instagram", sandbox.url())).expect("a URL");
        });
        let back = back.await;
        until_ready(&back, "ready\n").await;
    }

    async fn a_token_that_meta_says_works_outlives_what_was_known_of_it(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        // At Meta its time has not come, and a machine can't extend it here.
        relight.act(Action::Fail {
            kind: FaultKind::Transient,
            calls: 100_000,
            holder: None,
            path: Some("/refresh_access_token".to_owned()),
        });
        relight.clock.forward(TimeDelta::days(61));
        until_asked_again(&relight, &account, TimeDelta::hours(6)).await;
        relight.clock.forward(TimeDelta::hours(6));
        until_asked_again(&relight, &account, TimeDelta::hours(6)).await;
        assert_eq!(relight.events(&account).await, ["Connected", "AccessGranted", "Issued", "WidgetAdded"]);
        // Once Meta says that it is over, it is.
        relight.sandbox.world().clock.forward(TimeDelta::days(61));
        relight.clock.forward(TimeDelta::hours(6));
        until(&relight, &account, &["Connected", "AccessGranted", "Issued", "WidgetAdded", "Expired"]).await;
    }

    async fn a_business_token_has_the_deadlines_that_meta_tells(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let person = relight.sandbox.world().people.keys().next().cloned().expect("a person");
        let choice = owner.log_in("/connect/business", &[], &Consent::of(person)).await.expect("logged in");
        let ids = sandbox::person::values_of(&owner.open(&choice).await.html, "account");
        owner.press(&format!("{choice}/choose"), &[("account", &ids[0])]).await;
        let account = relight.accounts().await.pop().expect("an account");
        // The person logs in elsewhere, which Meta counts for this token, too.
        for token in relight.sandbox.world().tokens.values_mut() {
            token.expires_at += TimeDelta::days(100);
            token.data_access_expires_at += TimeDelta::days(100);
        }
        relight.act(Action::Fail {
            kind: FaultKind::Transient,
            calls: 100_000,
            holder: None,
            path: Some("/oauth/access_token".to_owned()),
        });
        relight.pass(TimeDelta::days(61));
        until(&relight, &account, &["Connected", "AccessGranted", "Issued", "DeadlinesMoved"]).await;
        relight.pass(TimeDelta::days(99));
        let expired = ["Connected", "AccessGranted", "Issued", "DeadlinesMoved", "Expired"];
        until(&relight, &account, &expired).await;
    }

    async fn each_check_takes_the_deadlines_that_meta_tells(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        owner.connect_all(relight.holder("Ken Sato")).await;
        tests::until("the account", async || relight.accounts().await.len() == 1).await;
        let account = relight.accounts().await.remove(0);
        let before = ["Connected", "AccessGranted", "Issued"];
        relight.pass(TimeDelta::days(2));
        relight.settled().await;
        until(&relight, &account, &before).await;
        let moved = |by: TimeDelta| {
            for token in relight.sandbox.world().tokens.values_mut() {
                token.data_access_expires_at += by;
            }
        };
        let renewal = async || {
            let id = account.parse().expect("an id");
            let waiting = projections::jobs::waiting_for(relight.store().database(), id, 20).await.expect("read");
            waiting.iter().find(|job| job.kind == "renew").and_then(|job| job.due_at).expect("a renewal")
        };
        let (mut events, due) = (before.to_vec(), renewal().await);
        // Later, for the person logged in elsewhere; and earlier.
        for (by, left) in [(TimeDelta::days(30), 118), (TimeDelta::days(-100), 18)] {
            moved(by);
            events.push("DataAccessMoved");
            relight.pass(TimeDelta::minutes(6));
            owner.press(&format!("/accounts/{account}/check"), &[]).await;
            until(&relight, &account, &events).await;
            relight.settled().await;
            owner.open(&format!("/accounts/{account}")).await.says(&format!("in {left} days"));
            assert_eq!(renewal().await, due, "the session is as it was");
        }
        // What Meta says is over, is, with a session that goes on.
        moved(TimeDelta::days(-30));
        events.extend(["DataAccessMoved", "Expired"]);
        relight.pass(TimeDelta::minutes(6));
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        until(&relight, &account, &events).await;
        relight.settled().await;
        until(&relight, &account, &events).await;
    }

    async fn what_meta_leaves_out_ends_no_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let holder = relight.holder("Ken Sato");
        owner.connect_all(holder.clone()).await;
        tests::until("the account", async || relight.accounts().await.len() == 1).await;
        let account = relight.accounts().await.remove(0);
        let app = relight.sandbox.config().facebook_app.0.clone();
        for token in relight.sandbox.world().tokens.values_mut() {
            token.data_access_expires_at += TimeDelta::days(300);
            token.expires_at += TimeDelta::days(300);
        }
        let ends = (relight.clock.now() + TimeDelta::days(300)).timestamp();
        let scopes = ["instagram_basic", "pages_show_list", "pages_read_engagement"];
        let body = serde_json::json!({"data": {
            "app_id": app, "is_valid": true, "user_id": holder, "scopes": scopes, "expires_at": ends,
        }});
        let path = Some("/debug_token".to_owned());
        relight.act(Action::Answer { status: 200, body, calls: None, holder: None, path });
        // Ours says that data access has ended; Meta gives the posts, and says nothing of it.
        for _ in 0..12 {
            relight.pass(TimeDelta::days(8));
            relight.settled().await;
        }
        let events = relight.events(&account).await;
        assert!(!events.contains(&"Expired".to_owned()), "{events:?}");
    }

    async fn with_no_clear_answer_time_decides_after_ten_minutes(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(Action::Fail { kind: FaultKind::Html, calls: 100_000, holder: None, path: None });
        relight.clock.forward(TimeDelta::days(61));
        until_asked_again(&relight, &account, TimeDelta::minutes(10)).await;
        assert_eq!(relight.events(&account).await, ["Connected", "AccessGranted", "Issued", "WidgetAdded"]);
        relight.clock.forward(TimeDelta::minutes(10));
        until(&relight, &account, &["Connected", "AccessGranted", "Issued", "WidgetAdded", "Expired"]).await;
    }
}
