//! Many tokens refused at once: one incident instead of many expired accounts.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use commands::incident::{Close, Others};
use domain::{AccountId, Connection, account::Plan};
use engine::on_both_engines;
use sandbox::Action;
use serde_json::json;
use tests::{browser::Browser, relight::Relight, until};

const NAMES: [&str; 4] = ["luma.ceramics", "nordlicht.bakery", "oakandiron", "bluebird.bikes"];
const ADMIN: &str = "root@example.com";

/// Some accounts, and an admin.
async fn crowd(engine: engine::testing::Engine, names: &[&str]) -> (Relight, Browser, Browser, Vec<String>) {
    let relight = Relight::start_with_mails(engine).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let admin = relight.signed_in(ADMIN, Role::Admin).await;
    let mut accounts = Vec::new();
    for name in names {
        let account = owner.connect(Connection::Consumer, relight.holder(name)).await;
        owner.add_widget(&account, Plan::Upgraded).await;
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        accounts.push(account);
    }
    (relight, owner, admin, accounts)
}

/// Meta refuses all tokens without saying why; time passes until that is an incident.
async fn restrict(relight: &Relight, owner: &Browser, accounts: &[String]) {
    relight.pass(TimeDelta::minutes(6));
    let error = json!({"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190});
    let (status, body, path) = (400, json!({ "error": error }), Some("/instagram/".to_owned()));
    relight.act(Action::Answer { status, body, calls: None, holder: None, path });
    for account in accounts {
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
    }
    owner.until("/accounts", "Meta refuses our calls").await;
}

/// A single account whose permission was taken away: its app has an incident. With an admin's browser.
async fn single_refused(engine: engine::testing::Engine) -> (Relight, Browser, Vec<String>) {
    let (relight, owner, admin, accounts) = crowd(engine, &NAMES[..1]).await;
    let permission = "instagram_business_basic".to_owned();
    relight.act(Action::DeclinePermission { holder: NAMES[0].to_owned(), permission });
    owner.press(&format!("/accounts/{}/check", accounts[0]), &[]).await;
    owner.until("/accounts", "Meta refuses our calls").await;
    (relight, admin, accounts)
}

async fn events(relight: &Relight, accounts: &[String], event: &str) -> usize {
    let mut count = 0;
    for account in accounts {
        count += relight.events(account).await.iter().filter(|name| *name == event).count();
    }
    count
}

on_both_engines! {
    async fn an_incident_expires_nobody_and_closes_by_itself(engine: Engine) {
        let (relight, owner, admin, accounts) = crowd(engine, &NAMES).await;
        restrict(&relight, &owner, &accounts).await;
        admin.open("/operations").await.says("Incident: Instagram").says("held").says("Meta answered with error");
        until("the admin's mail", async || relight.mails_to(ADMIN).len() == 1).await;
        // Hours of it.
        for _ in 0..12 {
            relight.pass_and_settle(TimeDelta::minutes(31)).await;
        }
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
        assert_eq!(relight.mails_to(ADMIN).len(), 1, "told once");
        relight.act(Action::StopFailing);
        relight.pass_until("the incident's end", TimeDelta::minutes(5), async || {
            !owner.open("/accounts").await.text().contains("Meta refuses")
        }).await;
        admin.open("/operations").await.says("calls work again").says("Over");
        relight.pass_until("the end of what is held", TimeDelta::minutes(5), async || relight.held().await == 0).await;
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
        assert_eq!(relight.mails_to("ann@example.com").len(), 0);
    }

    /// Facebook goes on saying that the tokens are valid: that doesn't show that the app may read.
    async fn a_permission_that_facebook_takes_from_the_app_expires_nobody(engine: Engine) {
        let (relight, owner, _, _) = crowd(engine, &[]).await;
        for (name, account) in [("Mia Berg", "fern.and.fog"), ("Ken Sato", "hoshi.tea")] {
            owner.connect_all(relight.holder(name)).await;
            owner.until("/accounts", &format!("@{account}")).await;
        }
        let accounts = relight.accounts().await;
        assert!(accounts.len() > 1);
        relight.pass(TimeDelta::minutes(6));
        for name in ["Mia Berg", "Ken Sato"] {
            relight.act(Action::DeclinePermission { holder: name.to_owned(), permission: "instagram_basic".to_owned() });
        }
        for _ in 0..4 {
            for account in &accounts {
                owner.press(&format!("/accounts/{account}/check"), &[]).await;
            }
            until("a verdict of each", async || usize::try_from(relight.held().await) == Ok(accounts.len())).await;
            relight.pass_and_settle(TimeDelta::minutes(2)).await;
        }
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
    }

    async fn what_was_held_and_is_true_comes_out_after_it(engine: Engine) {
        let (relight, owner, _, accounts) = crowd(engine, &NAMES).await;
        restrict(&relight, &owner, &accounts).await;
        let permission = "instagram_business_basic".to_owned();
        relight.act(Action::DeclinePermission { holder: NAMES[0].to_owned(), permission });
        relight.act(Action::StopFailing);
        relight.pass_until("an expiry", TimeDelta::minutes(2), async || {
            events(&relight, &accounts[..1], "Expired").await == 1
        }).await;
        assert_eq!(events(&relight, &accounts[1..], "Expired").await, 0);
    }

    async fn two_accounts_that_are_all_there_is_don_t_wait_for_each_other_in_silence(engine: Engine) {
        let (relight, _, admin, accounts) = crowd(engine, &NAMES[..2]).await;
        let permission = || "instagram_business_basic".to_owned();
        relight.pass(TimeDelta::minutes(6));
        for name in &NAMES[..2] {
            relight.act(Action::DeclinePermission { holder: (*name).to_owned(), permission: permission() });
        }
        admin.press(&format!("/accounts/{}/check", accounts[0]), &[]).await;
        until("the admin's mail", async || relight.mails_to(ADMIN).len() == 1).await;
        let page = admin.open("/operations").await;
        let release = page.html.split("action=\"").filter_map(|part| part.split('"').next())
            .find(|path| path.starts_with("/operations/incidents/") && path.ends_with("/release")).expect("a way out");
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
        // The admin knows that the app works: what is true comes out.
        admin.press(release, &[]).await;
        relight.pass_until("both expiries", TimeDelta::minutes(2), async || {
            events(&relight, &accounts, "Expired").await == 2
        }).await;
    }

    /// Each try comes half an hour after the last one by then: longer than an app counts as seen to work.
    async fn a_single_account_is_expired_after_the_release_however_long_it_was_refused(engine: Engine) {
        let (relight, admin, accounts) = single_refused(engine).await;
        for _ in 0..48 {
            relight.pass_and_settle(TimeDelta::minutes(30)).await;
        }
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
        let page = admin.open("/operations").await;
        let release = page.html.split("action=\"").filter_map(|part| part.split('"').next())
            .find(|path| path.ends_with("/release")).expect("a way out");
        admin.press(release, &[]).await;
        relight.pass_until("the expiry", TimeDelta::minutes(10), async || {
            events(&relight, &accounts, "Expired").await == 1
        }).await;
        assert!(relight.commands().open_incidents().await.expect("read").is_empty(), "no new incident");
    }

    async fn what_an_incident_leaves_that_ended_by_itself_counts_against_no_single_account(engine: Engine) {
        let (relight, _, accounts) = single_refused(engine).await;
        let commands = relight.commands();
        let open = async || commands.open_incidents().await.expect("read");
        commands.close_incident(&open().await.remove(0).id, Close::Worked, None).await.expect("closed");
        relight.pass_until("the next incident", TimeDelta::minutes(10), async || open().await.len() == 1).await;
        for _ in 0..4 {
            relight.pass_and_settle(TimeDelta::minutes(30)).await;
        }
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
    }

    async fn an_incident_of_days_forgets_nobody(engine: Engine) {
        let (relight, owner, _, accounts) = crowd(engine, &NAMES).await;
        restrict(&relight, &owner, &accounts).await;
        until("a verdict of each", async || usize::try_from(relight.held().await) == Ok(accounts.len())).await;
        for _ in 0..4 {
            relight.pass(TimeDelta::days(1));
            relight.commands().forget_refusals().await.expect("tidied");
        }
        assert_eq!(usize::try_from(relight.held().await), Ok(accounts.len()));
        relight.act(Action::StopFailing);
        relight.pass_until("the end of what is held", TimeDelta::minutes(5), async || relight.held().await == 0).await;
        assert_eq!(events(&relight, &accounts, "Expired").await, 0);
    }

    async fn how_many_make_an_incident_can_be_set(engine: Engine) {
        // (accounts, percent, minutes) that are set; how many are refused, how many work, how far the refusals are apart.
        for (set, refused, worked, minutes, opens) in [
            ((3, 20, 5), 3, 0, 0, true),
            ((4, 20, 5), 3, 0, 0, false),
            ((3, 20, 5), 3, 20, 0, false),
            ((3, 10, 5), 3, 20, 0, true),
            ((3, 20, 5), 3, 0, 3, false),
            ((3, 20, 10), 3, 0, 3, true),
        ] {
            let relight = Relight::start_with(engine, |config| {
                (config.incident.accounts, config.incident.percent, config.incident.minutes) = set;
            }).await;
            let others = Others { worked, all_held: false };
            let mut opened = false;
            for number in 0..refused {
                let account = AccountId::new(commands::new_id());
                opened = relight.commands().token_refused(account, Connection::Consumer, (false, "said"), others, &[]).await.expect("noted");
                assert!(!opened || number + 1 == refused, "too early: {set:?}");
                relight.pass(TimeDelta::minutes(minutes));
            }
            assert_eq!(opened, opens, "{set:?}");
        }
    }

    async fn an_admin_releases_or_dismisses_it_and_nobody_else(engine: Engine) {
        let (relight, owner, admin, accounts) = crowd(engine, &NAMES).await;
        restrict(&relight, &owner, &accounts).await;
        let page = admin.open("/operations").await;
        let paths: Vec<_> = page.html.split("action=\"").filter_map(|part| part.split('"').next())
            .filter(|path| path.starts_with("/operations/incidents/")).map(str::to_owned).collect();
        assert_eq!(paths.len(), 2);
        assert_eq!(owner.press(&paths[1], &[]).await.status(), 404);
        owner.open("/accounts").await.says("Meta refuses our calls");
        admin.press(&paths[1], &[]).await;
        admin.open("/operations").await.says("an admin dismissed it");
        assert_eq!(relight.held().await, 0);
        assert!(!owner.open("/accounts").await.text().contains("Meta refuses our calls"));
    }
}
