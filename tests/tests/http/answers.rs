//! What public reports say Meta answers: whose fault each is, and what becomes of it.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use engine::on_both_engines;
use sandbox::{Action, person::Consent};
use serde::Serialize;
use serde_json::{Value, json};
use tests::{browser::Browser, relight::Relight, until};

const LUMA: &str = "luma.ceramics";
const SALT: &str = "sol.y.sal";
const KEN: &str = "Ken Sato";
const MIA: &str = "Mia Berg";

pub(crate) fn error(message: &str, code: i64, subcode: Option<i64>) -> Value {
    json!({"error": {"message": message, "type": "OAuthException", "code": code, "error_subcode": subcode, "fbtrace_id": "AbCdEf123"}})
}

/// All calls are answered so: of a holder, or of everybody; with a path that contains this.
pub(crate) fn answer(holder: &str, path: &str, status: u16, body: Value) -> Action {
    let holder = Some(holder.to_owned()).filter(|holder| !holder.is_empty());
    Action::Answer { status, body, calls: None, holder, path: Some(path.to_owned()) }
}

pub(crate) async fn account_json(relight: &Relight, key: &str, account: &str) -> Value {
    let url = format!("{}/api/v1/accounts/{account}", relight.base);
    let answer = relight.browser().client.get(url).bearer_auth(key).send().await.expect("answers");
    answer.json().await.expect("JSON")
}

pub(crate) async fn has(relight: &Relight, account: &str, event: &str) -> bool {
    relight.events(account).await.iter().any(|name| name == event)
}

async fn payload(relight: &Relight, account: &str, event: &str) -> Value {
    let journal = relight.journal(account).await;
    let last = journal.iter().rev().find(|recorded| recorded.event_type == event).expect("there");
    engine::json(&last.payload)[event].clone()
}

/// Passes time until the account has this event.
pub(crate) async fn pass_until(relight: &Relight, account: &str, event: &str, time: TimeDelta) {
    until(event, async || {
        relight.pass(time);
        relight.settled().await;
        has(relight, account, event).await
    })
    .await;
}

pub(crate) async fn check(relight: &Relight, owner: &Browser, account: &str) {
    relight.pass(TimeDelta::minutes(6));
    owner.press(&format!("/accounts/{account}/check"), &[]).await;
}

pub(crate) async fn business(relight: &Relight, owner: &Browser, name: &str) -> String {
    let before = relight.accounts().await;
    owner.connect_all(relight.holder(name)).await;
    until("the account", async || relight.accounts().await.len() > before.len()).await;
    relight.accounts().await.into_iter().find(|account| !before.contains(account)).expect("a new one")
}

/// What `/me/accounts` answers where it lists these Pages, without the accounts that are linked to them.
fn list_of(pages: &[impl Serialize]) -> Value {
    json!({ "data": pages })
}

pub(crate) async fn incidents(relight: &Relight) -> usize {
    relight.commands().open_incidents().await.expect("read").len()
}

on_both_engines! {
    async fn a_limit_of_the_app_that_is_marked_transient_pauses_all_its_calls(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (one, other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
        relight.pass(TimeDelta::minutes(6));
        let mut body = error("(#4) Application request limit reached", 4, None);
        body["error"]["is_transient"] = true.into();
        relight.act(answer("", "/instagram/", 403, body));
        let before = relight.sandbox.world().calls;
        for account in [&one, &other, &one] {
            owner.press(&format!("/accounts/{account}/check"), &[]).await;
        }
        until("a call", async || relight.sandbox.world().calls > before).await;
        relight.settled().await;
        relight.pass(TimeDelta::minutes(2));
        relight.settled().await;
        let calls = relight.sandbox.world().calls - before;
        assert!((1..=2).contains(&calls), "{calls} calls although the app is throttled");
    }

    async fn a_limit_of_one_account_leaves_the_others_their_calls(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (one, other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
        relight.pass(TimeDelta::minutes(6));
        relight.settled().await;
        let mut body = error("User request limit reached", 17, None);
        body["error"]["is_transient"] = true.into();
        relight.act(answer(LUMA, "/instagram/", 400, body));
        let calls = || relight.sandbox.world().calls;
        let before = calls();
        owner.press(&format!("/accounts/{one}/check"), &[]).await;
        until("a call", async || calls() > before).await;
        for _ in 0..4 {
            relight.settled().await;
            relight.pass(TimeDelta::minutes(2));
        }
        relight.settled().await;
        assert_eq!(calls() - before, 1, "asked again within ten minutes");
        owner.press(&format!("/accounts/{other}/check"), &[]).await;
        until("the other's call", async || calls() > before + 1).await;
        assert!(!has(&relight, &one, "Expired").await);
    }

    async fn an_app_that_is_switched_off_is_an_incident_and_expires_nobody(engine: Engine) {
        for body in [
            error("API access deactivated. To reactivate, go to the app dashboard.", 200, None),
            error("Error validating application. Application has been deleted.", 190, None),
        ] {
            let relight = Relight::start_with_mails(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let admin = relight.signed_in("root@example.com", Role::Admin).await;
            let account = relight.connected(&owner, LUMA).await;
            relight.act(answer("", "/instagram/", 200, body));
            check(&relight, &owner, &account).await;
            until("an incident", async || incidents(&relight).await == 1).await;
            owner.open("/accounts").await.says("That is not your accounts' fault");
            admin.open("/operations").await.says("Meta answered with error");
            until("a mail", async || !relight.mails_to("root@example.com").is_empty()).await;
            relight.pass(TimeDelta::minutes(20));
            relight.settled().await;
            assert!(!has(&relight, &account, "Expired").await);
            relight.act(Action::StopFailing);
            until("its end", async || {
                relight.pass(TimeDelta::minutes(5));
                incidents(&relight).await == 0
            }).await;
            assert!(!has(&relight, &account, "Expired").await);
        }
    }

    async fn an_app_without_access_to_its_only_account_is_the_apps_matter(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(answer("", "/instagram/", 400, error("Unsupported request - method type: get", 100, None)));
        check(&relight, &owner, &account).await;
        until("an incident", async || incidents(&relight).await == 1).await;
        relight.pass(TimeDelta::minutes(20));
        relight.settled().await;
        assert!(!has(&relight, &account, "Expired").await);
    }

    async fn data_access_that_meta_says_has_ended_asks_for_itself_at_the_next_login(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = business(&relight, &owner, KEN).await;
        let _other = business(&relight, &owner, MIA).await;
        let words = "The access token is invalid since the user hasn't engaged the app in longer than 90 days.";
        relight.act(answer(KEN, "/graph/", 400, error(words, 190, Some(493))));
        check(&relight, &owner, &account).await;
        until("the expiry", async || has(&relight, &account, "Expired").await).await;
        relight.settled().await;
        assert_eq!(account_json(&relight, &key, &account).await["reason"], "data_access_ended");
        let login = tests::browser::location(&owner.press(&format!("/accounts/{account}/refresh"), &[]).await);
        assert!(login.contains("auth_type=reauthorize"), "{login}");
    }

    async fn a_cause_that_meta_leaves_open_is_told_as_open(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = relight.connected(&owner, LUMA).await;
        let words = "Error validating access token: The session has been invalidated because the user changed their \
                     password or Facebook has changed the session for security reasons.";
        relight.act(answer(LUMA, "/instagram/", 400, error(words, 190, Some(460))));
        check(&relight, &owner, &account).await;
        owner.until(&format!("/accounts/{account}"), "or there was a security reset").await;
        let now = account_json(&relight, &key, &account).await;
        assert_eq!((&now["reason"], &now["certainty"]), (&"password_changed".into(), &"likely".into()));
        assert_eq!(payload(&relight, &account, "PasswordChanged").await["evidence"]["certainty"], "likely");
        assert_eq!(payload(&relight, &account, "Expired").await["evidence"]["row"], "password_or_security");
    }

    async fn posts_that_are_refused_to_a_token_that_works_are_a_state_of_their_own(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = business(&relight, &owner, KEN).await;
        let _other = business(&relight, &owner, MIA).await;
        let words = "Unsupported get request. Object with ID '17841400000000001' does not exist, cannot be loaded due to \
                     missing permissions, or does not support this operation.";
        relight.act(answer(KEN, "/media", 400, error(words, 100, Some(33))));
        check(&relight, &owner, &account).await;
        pass_until(&relight, &account, "ReadingRefused", TimeDelta::minutes(2)).await;
        relight.settled().await;
        let now = account_json(&relight, &key, &account).await;
        assert_eq!((&now["status"], &now["reading"]), (&"active".into(), &"refused".into()));
        owner.open(&format!("/accounts/{account}")).await.says("Meta does not let us read the posts");
        assert!(!has(&relight, &account, "Expired").await);
        relight.act(Action::StopFailing);
        pass_until(&relight, &account, "ReadingResumed", TimeDelta::minutes(31)).await;
        relight.settled().await;
        assert_eq!(account_json(&relight, &key, &account).await["reading"], "ok");
    }

    async fn an_expired_token_that_works_again_is_taken_back(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = relight.connected(&owner, LUMA).await;
        let words = "Error validating access token: You cannot access the app till you log in to www.instagram.com.";
        relight.act(answer(LUMA, "/instagram/", 400, error(words, 190, Some(459))));
        check(&relight, &owner, &account).await;
        until("the expiry", async || has(&relight, &account, "Expired").await).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        admin.press(&format!("/accounts/{account}/link"), &[]).await;
        let made = admin.open(&format!("/accounts/{account}")).await.html;
        let link = made.split("/r/").nth(1).and_then(|rest| rest.split('<').next()).expect("a link").to_owned();
        // It is asked about again, and the page says what came of it.
        check(&relight, &owner, &account).await;
        owner.until(&format!("/accounts/{account}"), "Meta still refuses the token").await;
        relight.act(Action::StopFailing);
        pass_until(&relight, &account, "Restored", TimeDelta::hours(1)).await;
        relight.settled().await;
        let now = account_json(&relight, &key, &account).await;
        assert_eq!((&now["status"], &now["generation"]), (&"active".into(), &1.into()));
        relight.browser().open(&format!("/r/{link}")).await.says("nothing to do");
        owner.until(&format!("/accounts/{account}"), "works again").await;
    }

    async fn what_a_person_did_for_good_is_not_asked_about_again(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let words = "Error validating access token: The user has not authorized application 1234.";
        relight.act(answer(LUMA, "/instagram/", 400, error(words, 190, Some(458))));
        check(&relight, &owner, &account).await;
        until("the expiry", async || has(&relight, &account, "Expired").await).await;
        relight.act(Action::StopFailing);
        let before = relight.sandbox.world().calls;
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        owner.open(&format!("/accounts/{account}")).await.says("does not work again");
        relight.pass(TimeDelta::days(3));
        relight.settled().await;
        assert_eq!(relight.sandbox.world().calls, before);
    }

    async fn renewals_that_fail_are_told_in_time(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let account = relight.connected(&owner, LUMA).await;
        owner.add_widget(&account, domain::account::Plan::Upgraded).await;
        let words = "Unsupported request - method type: get";
        relight.act(answer("", "/refresh_access_token", 400, error(words, 100, None)));
        relight.pass(TimeDelta::days(41));
        pass_until(&relight, &account, "RenewalFailing", TimeDelta::hours(7)).await;
        relight.settled().await;
        let now = account_json(&relight, &key, &account).await;
        assert_eq!((&now["status"], &now["renewal"]), (&"active".into(), &"failing".into()));
        assert_eq!(now["needs_person"], true);
        owner.open(&format!("/accounts/{account}")).await.says("Log in before");
        assert_eq!(incidents(&relight).await, 0, "all else works");
        relight.pass_until("a mail", TimeDelta::hours(12), async || {
            relight.mails_to("ann@example.com").iter().any(|(subject, _)| subject.contains("log in before"))
        }).await;
    }

    async fn a_renewal_that_meets_passing_errors_for_days_is_told_unless_meta_is_away(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        // Meta is away for all calls: that is no matter of the account's.
        let words = "An unexpected error has occurred. Please retry your request later.";
        relight.act(answer("", "/instagram/", 500, error(words, 2, None)));
        relight.pass(TimeDelta::days(41));
        for _ in 0..12 {
            relight.pass(TimeDelta::hours(8));
            relight.settled().await;
        }
        assert!(!has(&relight, &account, "RenewalFailing").await);
        relight.act(Action::StopFailing);
        relight.act(answer("", "/refresh_access_token", 500, error(words, 2, None)));
        pass_until(&relight, &account, "RenewalFailing", TimeDelta::hours(8)).await;
        let since = payload(&relight, &account, "RenewalFailing").await["since"].as_str().expect("an instant").to_owned();
        let since: chrono::DateTime<chrono::Utc> = since.parse().expect("an instant");
        assert!(relight.clock.now() - since >= TimeDelta::days(3));
    }

    async fn an_alarm_that_goes_on_for_a_day_counts_against_the_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        let _other = relight.connected(&owner, SALT).await;
        let words = "An active access token must be used to query information about the current user.";
        relight.act(answer(LUMA, "/instagram/", 400, error(words, 2500, None)));
        check(&relight, &owner, &account).await;
        until("a verdict", async || relight.held().await == 1).await;
        relight.pass(TimeDelta::hours(12));
        relight.settled().await;
        assert!(!has(&relight, &account, "Expired").await, "not before a day is over");
        pass_until(&relight, &account, "Expired", TimeDelta::hours(3)).await;
    }

    async fn an_account_has_its_new_name_after_the_next_check(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        let (consumer, of_ken) = (relight.connected(&owner, LUMA).await, business(&relight, &owner, KEN).await);
        let name = account_json(&relight, &key, &of_ken).await["username"].as_str().expect("a name").to_owned();
        relight.act(Action::Rename { holder: LUMA.to_owned(), username: "luma.studio".to_owned() });
        relight.act(Action::Rename { holder: name, username: "ken.new".to_owned() });
        for (account, name) in [(&consumer, "luma.studio"), (&of_ken, "ken.new")] {
            // By the daily check alone, although pulls work.
            relight.pass_until(name, TimeDelta::hours(6), async || {
                account_json(&relight, &key, account).await["username"] == name
            }).await;
        }
    }

    async fn one_page_that_meta_refuses_keeps_no_other_from_being_connected(engine: Engine) {
        for (status, words, code, subcode) in [
            (403, "(#283) Requires pages_read_engagement permission to manage the object", 283, None),
            (403, "(#10) This endpoint requires the 'pages_read_engagement' permission", 10, None),
            (400, "This Page access token belongs to a Page that is not accessible.", 190, None),
            (400, "Unsupported get request. Object with ID '700202' does not exist", 100, Some(33)),
            (400, "The user must be an administrator of the page in order to impersonate it.", 190, Some(492)),
        ] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let holder = relight.holder(MIA);
            let pages = relight.sandbox.world().people[&holder].pages.clone();
            relight.act(answer("", "/me/accounts", 200, list_of(&pages)));
            relight.act(answer("", &format!("/{}", pages[0].id), status, error(words, code, subcode)));
            let path = owner.log_in("/connect/business", &[], &Consent::of(holder)).await.expect("a result");
            let page = owner.open(&path).await;
            let ids = sandbox::person::values_of(&page.html, "account");
            assert_eq!(ids.len(), pages.len() - 1, "{words}: {}", page.text());
            let chosen: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
            owner.press(&format!("{path}/choose"), &chosen).await;
            owner.until(&path, &format!("Meta does not let us read the Page {}", pages[0].name)).await;
            assert_eq!(relight.accounts().await.len(), pages.len() - 1, "{words}");
        }
    }

    async fn an_account_whose_page_the_list_leaves_out_is_refreshed_by_its_tick(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let holder = relight.holder(MIA);
        owner.connect_all(holder.clone()).await;
        let pages = relight.sandbox.world().people[&holder].pages.clone();
        until("the accounts", async || relight.accounts().await.len() == pages.len()).await;
        relight.act(answer("", "/me/accounts", 200, list_of(&pages[..1])));
        for account in relight.accounts().await {
            let button = format!("/accounts/{account}/refresh");
            owner.result(&button, &[], &Consent::of(holder.clone())).await.says("is refreshed");
            assert!(has(&relight, &account, "Refreshed").await);
        }
    }

    async fn a_page_that_a_portfolio_owns_is_reached_by_its_tick(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.act(answer("", "/me/accounts", 200, json!({"data": []})));
        owner.connect_all(relight.holder(KEN)).await;
        until("the account", async || relight.accounts().await.len() == 1).await;
    }

    async fn the_pages_of_a_persons_businesses_are_reached_with_their_permission(engine: Engine) {
        let relight = Relight::start_with(engine, |config| {
            config.facebook.extra_permissions = vec!["business_management".to_owned()];
        }).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let holder = relight.holder(MIA);
        let (pages, accounts) = {
            let world = relight.sandbox.world();
            (world.people[&holder].pages.clone(), world.accounts.clone())
        };
        let owned = |page: &sandbox::Page| {
            let id = page.account.as_ref().expect("an account");
            json!({"id": page.id, "name": page.name, "instagram_business_account": {"id": id, "username": accounts[id].username}})
        };
        let scopes = ["instagram_basic", "pages_show_list", "pages_read_engagement", "business_management"];
        let app = relight.sandbox.config().facebook_app.0.clone();
        // No Page is named by its tick, either.
        relight.act(answer("", "/debug_token", 200, json!({"data": {"app_id": app, "type": "USER", "is_valid": true, "user_id": holder, "scopes": scopes, "expires_at": 0}})));
        relight.act(answer("", "/me/accounts", 200, json!({"data": []})));
        relight.act(answer("", "/me/businesses", 200, json!({"data": [{"id": "900100", "name": "Acme"}, {"id": "900200", "name": "Best"}]})));
        relight.act(answer("", "/900100/owned_pages", 200, list_of(&[owned(&pages[0])])));
        relight.act(answer("", "/900100/client_pages", 200, list_of(&[owned(&pages[1])])));
        relight.act(answer("", "/900200/", 403, error("(#10) Application does not have permission for this action", 10, None)));
        let path = owner.log_in("/connect/business", &[], &Consent::of(holder)).await.expect("a choice");
        let page = owner.open(&path).await;
        assert_eq!(sandbox::person::values_of(&page.html, "account").len(), 2, "{}", page.text());
    }

    async fn a_login_configuration_stands_in_for_permissions(engine: Engine) {
        let relight = Relight::start_with(engine, |config| {
            config.facebook.config_id = Some("1234567890".to_owned());
            config.facebook.extra_permissions = vec!["business_management".to_owned()];
        }).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let login = tests::browser::location(&owner.press("/connect/business", &[]).await);
        assert!(login.contains("config_id=1234567890") && !login.contains("scope="), "{login}");
        business(&relight, &owner, KEN).await;
    }

    async fn each_refused_code_is_told_with_what_to_do(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        for (code, message, words) in [
            (400, "Your activity off Meta technologies is currently turned off.", "activity off Meta technologies"),
            (101, "Error validating application. Invalid application ID.", "not set up correctly"),
            (400, "Insufficient developer role", "may not read this account yet"),
            (400, "Matching code was not found or was already used", "Meta did not accept the login"),
        ] {
            let body = json!({"error_type": "OAuthException", "code": code, "error_message": message});
            relight.act(answer("", "/oauth/access_token", 400, body));
            let path = owner.log_in("/connect/consumer", &[], &Consent::of(relight.holder(LUMA))).await.expect("a result");
            owner.open(&path).await.says(words);
            relight.act(Action::StopFailing);
        }
        // The app may not read the account: told at the login, too.
        relight.act(answer("", "/instagram/", 400, error("Unsupported request - method type: get", 100, None)));
        let path = owner.log_in("/connect/consumer", &[], &Consent::of(relight.holder(LUMA))).await.expect("a result");
        owner.open(&path).await.says("may not read this account yet");
    }

    async fn a_second_account_is_offered_after_each_connect(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let path = owner.log_in("/connect/consumer", &[], &Consent::of(relight.holder(LUMA))).await.expect("a result");
        owner.open(&path).await.says("Use a different account");
        let again = [("connection", "consumer"), ("ask", "other_person")];
        let login = tests::browser::location(&owner.press(&format!("{path}/again"), &again).await);
        assert!(login.contains("force_reauth=true"), "{login}");
        // By Facebook, who has granted before is asked for Pages again.
        let first = tests::browser::location(&owner.press("/connect/business", &[]).await);
        assert!(!first.contains("auth_type"), "{first}");
        business(&relight, &owner, KEN).await;
        let second = tests::browser::location(&owner.press("/connect/business", &[]).await);
        assert!(second.contains("auth_type=rerequest"), "{second}");
    }

    async fn what_meta_says_reaches_staff_and_names_nobody(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let account = relight.connected(&owner, LUMA).await;
        let _other = relight.connected(&owner, SALT).await;
        let words = "<b>Malformed</b> request of @luma.ceramics with IGAAsecretsecretsecretsecret";
        relight.act(answer(LUMA, "/instagram/", 400, error(words, 424_242, None)));
        check(&relight, &owner, &account).await;
        let page = admin.until(&format!("/accounts/{account}"), "424242").await;
        assert!(page.html.contains("request of") && !page.html.contains("<b>Malformed"), "{}", page.text());
        assert!(!page.html.contains("IGAAsecret") && !page.text().contains("of @luma"), "{}", page.text());
        let theirs = owner.open(&format!("/accounts/{account}")).await;
        assert!(!theirs.text().contains("424242"), "{}", theirs.text());
    }
}
