//! Meta tells that somebody removed the app: their accounts are expired at once, nobody else's.

use ::api::sign_in::Role;
use domain::Connection;
use engine::on_both_engines;
use reqwest::StatusCode;
use sandbox::{Login, person::Consent};
use tests::relight::Relight;

async fn call(relight: &Relight, connection: &str, signed_request: &str) -> StatusCode {
    // Meta is no browser of ours: it sends neither cookie nor Origin, and another site may be named.
    let url = format!("{}/meta/{connection}/deauthorize", relight.base);
    let request = relight.browser().client.post(url).header("origin", "https://www.facebook.com");
    request.form(&[("signed_request", signed_request)]).send().await.expect("answers").status()
}

fn app_scoped(relight: &Relight, name: &str) -> String {
    let world = relight.sandbox.world();
    let account = world.accounts.values().find(|account| account.username == name).expect("in the cast");
    account.app_scoped_id.clone()
}

on_both_engines! {
    async fn who_removed_the_app_is_expired_at_once_and_nobody_else(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let luma = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let hoshi = owner.connect(Connection::Consumer, relight.holder("hoshi.tea")).await;
        let user = app_scoped(&relight, "luma.ceramics");
        let soon = relight.clock.now().timestamp() + 1;
        let signed = relight.sandbox.signed_request(Login::Instagram, &user, soon);
        for wrong in ["", "a.b", &format!("{signed}A"), &relight.sandbox.signed_request(Login::Facebook, &user, soon)] {
            assert_eq!(call(&relight, "consumer", wrong).await, StatusCode::BAD_REQUEST, "{wrong}");
        }
        assert_eq!(call(&relight, "odd", &signed).await, StatusCode::NOT_FOUND);
        // Quiet: somebody unknown, and a request that is older than the login.
        let unknown = relight.sandbox.signed_request(Login::Instagram, "24000000000000999", soon);
        assert_eq!(call(&relight, "consumer", &unknown).await, StatusCode::OK);
        let older = relight.sandbox.signed_request(Login::Instagram, &user, soon - 3_600);
        assert_eq!(call(&relight, "consumer", &older).await, StatusCode::OK);
        assert!(!relight.events(&luma).await.contains(&"Deauthorized".to_owned()));
        assert_eq!(call(&relight, "consumer", &signed).await, StatusCode::OK);
        let events = relight.events(&luma).await;
        assert!(events.ends_with(&["Deauthorized".to_owned(), "Expired".to_owned()]), "{events:?}");
        let journal = relight.journal(&luma).await;
        assert_eq!(journal.last().expect("an event").actor, "meta");
        owner.until(&format!("/accounts/{luma}"), "The app was removed").await;
        // A repeat changes nothing.
        assert_eq!(call(&relight, "consumer", &signed).await, StatusCode::OK);
        assert_eq!(relight.events(&luma).await, events);
        assert!(!relight.events(&hoshi).await.contains(&"Expired".to_owned()));
        // The next login counts again, and an old request says nothing about it.
        relight.pass(chrono::TimeDelta::seconds(5));
        owner.result(&format!("/accounts/{luma}/refresh"), &[], &Consent::of(relight.holder("luma.ceramics"))).await;
        assert_eq!(call(&relight, "consumer", &signed).await, StatusCode::OK);
        assert_eq!(relight.events(&luma).await.last().map(String::as_str), Some("Refreshed"));
    }

    async fn one_person_may_stand_behind_many_accounts(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let person = relight.sandbox.world().people.values().find(|person| person.pages.iter().filter(|page| page.account.is_some()).count() > 1).expect("somebody").id.clone();
        let Ok(choice) = owner.log_in("/connect/business", &[], &Consent::of(person.clone())).await else {
            panic!("refused")
        };
        let ids = sandbox::person::values_of(&owner.open(&choice).await.html, "account");
        let ticked: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
        assert!(ticked.len() > 1);
        owner.press(&format!("{choice}/choose"), &ticked).await;
        let soon = relight.clock.now().timestamp() + 1;
        let signed = relight.sandbox.signed_request(Login::Facebook, &person, soon);
        assert_eq!(call(&relight, "business", &signed).await, StatusCode::OK);
        let expired = relight.store().events_after(0, 1_000).await.expect("reads");
        assert_eq!(expired.iter().filter(|event| event.event_type == "Expired").count(), ticked.len());
    }

    async fn meta_itself_tells_who_removed_the_app(engine: Engine) {
        let relight = Relight::start(engine).await;
        relight.sandbox.tell(&relight.base);
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        owner.add_widget(&account, domain::account::Plan::Upgraded).await;
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        // Nobody is asked for a while: it is Meta that says it.
        relight.pass(chrono::TimeDelta::seconds(5));
        relight.act(sandbox::Action::RemoveApp { holder: "luma.ceramics".to_owned() });
        let page = owner.until(&format!("/accounts/{account}"), "Expired — the app was removed").await;
        page.says("Meta told us");
    }
}
