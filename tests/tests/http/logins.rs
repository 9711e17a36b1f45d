//! What Meta answers in the middle of a login: what the person is told, and what of the login counts nevertheless.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use engine::on_both_engines;
use sandbox::{Action, person::Consent};
use serde_json::{Value, json};
use tests::{browser::Browser, relight::Relight, until};

use super::answers::{account_json, answer, business, error, has};

const LUMA: &str = "luma.ceramics";
const KEN: &str = "Ken Sato";
const MIA: &str = "Mia Berg";

/// Where a login leads to.
async fn told(relight: &Relight, owner: &Browser, connection: &str, name: &str) -> String {
    let login = format!("/connect/{connection}");
    let path = owner.log_in(&login, &[], &Consent::of(relight.holder(name))).await.expect("a result");
    owner.open(&path).await.text()
}

/// The facts of a token of a person's, with these fields besides or instead.
fn facts(relight: &Relight, holder: &str, fields: &Value) -> Value {
    let app = relight.sandbox.config().facebook_app.0.clone();
    let mut data = json!({
        "app_id": app, "type": "USER", "is_valid": true, "user_id": holder,
        "scopes": ["instagram_basic", "pages_show_list", "pages_read_engagement"],
    });
    data.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    json!({ "data": data })
}

/// A Relight that asks for the Pages of a person's businesses as well.
async fn with_businesses(engine: engine::testing::Engine) -> Relight {
    Relight::start_with(engine, |config| {
        config.facebook.extra_permissions = vec!["business_management".to_owned()];
    })
    .await
}

on_both_engines! {
    async fn each_error_during_a_login_has_its_code(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        for (path, message, code, subcode, words) in [
            ("/me/permissions", "The access token is invalid since the user hasn't engaged the app in longer than 90 days.", 190, Some(493), "1081"),
            ("/me/permissions", "You cannot access the app till you log in to www.facebook.com", 190, Some(459), "1092"),
            ("/me/permissions", "(#200) Requires pages_show_list permission", 200, None, "pages_show_list"),
            ("/me/permissions", "(#200) Permissions error", 200, None, "1071"),
            ("/me/permissions", "(#4) Application request limit reached", 4, None, "1067"),
            ("/debug_token", "Invalid OAuth access token signature.", 190, None, "1088"),
            ("/me/accounts", "(#10) Application does not have permission for this action", 10, None, "1087"),
            ("/media", "Unsupported request - method type: get", 100, None, "1087"),
            ("/media", "(#10) Application does not have permission for this action", 10, None, "1087"),
            ("/media", "API access deactivated. To reactivate, go to the app dashboard.", 200, None, "1088"),
            ("/media", "Unsupported get request. Object with ID '1' does not exist", 100, Some(33), "1083"),
        ] {
            relight.act(answer("", path, 400, error(message, code, subcode)));
            let page = told(&relight, &owner, "business", KEN).await;
            assert!(page.contains(words), "{path}, {message}: {page}");
            relight.act(Action::StopFailing);
            // Limits of the last one are over.
            relight.pass(TimeDelta::minutes(16));
        }
        assert!(relight.accounts().await.is_empty());
    }

    async fn each_error_in_the_redirect_has_its_code(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        for (query, code) in [
            ("error=server_error", "1067"),
            ("error=temporarily_unavailable", "1067"),
            ("error=invalid_scope&error_description=Invalid+Scopes", "1088"),
            ("error=unauthorized_client", "1088"),
            ("error=access_denied", "1060"),
            ("error_code=1349126&error_message=App+not+active", "1089"),
            ("error=odd", "1066"),
        ] {
            let login = tests::browser::location(&owner.press("/connect/business", &[]).await);
            let login = url::Url::parse(&login).expect("a URL");
            let state = login.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
            let back = format!("{}/oauth/business/callback?state={state}&{query}", relight.base);
            let path = owner.come_back(&url::Url::parse(&back).expect("a URL")).await.expect("a result");
            let page = owner.open(&path).await.text();
            assert!(page.contains(code), "{query}: {page}");
        }
    }

    async fn a_login_connects_without_permissions_or_deadlines_in_the_answers(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let key = relight.api_key(Role::Service).await;
        // Instagram's answer to the code without permissions.
        let short = "IGAAshort";
        {
            let mut world = relight.sandbox.world();
            let (now, holder) = (world.clock.now(), world.account_id(LUMA).expect("in the cast"));
            let token = sandbox::Token {
                login: sandbox::Login::Instagram,
                holder,
                granted_at: now,
                issued_at: now,
                expires_at: now + TimeDelta::hours(1),
                data_access_expires_at: now + TimeDelta::days(90),
                permissions: ["instagram_business_basic".to_owned()].into(),
                pages: std::collections::BTreeSet::new(),
                short: true,
            };
            world.tokens.insert(short.to_owned(), token);
        }
        relight.act(Action::Answer {
            status: 200,
            body: json!({"access_token": short, "user_id": 1}),
            calls: Some(1),
            holder: None,
            path: Some("/oauth/access_token".to_owned()),
        });
        let page = told(&relight, &owner, "consumer", LUMA).await;
        assert!(page.contains("is connected"), "{page}");
        // A business token's facts without its ends: what the exchange said counts, and data access is our estimate.
        let before = relight.accounts().await;
        let holder = relight.holder(KEN);
        relight.act(answer("", "/debug_token", 200, facts(&relight, &holder, &json!({}))));
        owner.connect_all(holder).await;
        until("the account", async || relight.accounts().await.len() > before.len()).await;
        let account = relight.accounts().await.into_iter().find(|account| !before.contains(account)).expect("new");
        relight.settled().await;
        let shown = account_json(&relight, &key, &account).await;
        assert!(shown["expires_at"].is_string() && shown["data_access_expires_at"].is_string(), "{shown}");
        assert_eq!(shown["data_access_estimated"], true, "{shown}");
    }

    async fn a_page_about_which_meta_cannot_answer_now_keeps_no_other_from_being_connected(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let holder = relight.holder(MIA);
        let pages = relight.sandbox.world().people[&holder].pages.clone();
        relight.act(answer("", "/me/accounts", 200, json!({ "data": &pages })));
        let passing = error("An unexpected error has occurred. Please retry your request later.", 2, None);
        relight.act(answer("", &format!("/{}", pages[0].id), 500, passing.clone()));
        let path = owner.log_in("/connect/business", &[], &Consent::of(holder.clone())).await.expect("a choice");
        let ids = sandbox::person::values_of(&owner.open(&path).await.html, "account");
        assert_eq!(ids.len(), pages.len() - 1);
        let chosen: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
        owner.press(&format!("{path}/choose"), &chosen).await;
        owner.until(&path, &format!("could not tell us about the Page {}", pages[0].name)).await;
        // Whoever meant the account of just that Page is not told that they did not tick it.
        relight.act(Action::StopFailing);
        owner.connect_all(holder.clone()).await;
        until("all", async || relight.accounts().await.len() == pages.len()).await;
        relight.act(answer("", "/me/accounts", 200, json!({ "data": &pages })));
        relight.act(answer("", &format!("/{}", pages[0].id), 500, passing));
        let meant = pages[0].account.clone().expect("linked");
        let name = relight.sandbox.world().accounts[&meant].username.clone();
        let mut found = None;
        for account in relight.accounts().await {
            if relight.username(&account).await == name {
                found = Some(account);
            }
        }
        let button = format!("/accounts/{}/refresh", found.expect("the account of that Page"));
        owner.result(&button, &[], &Consent::of(holder.clone())).await.says("1067");
    }

    async fn accounts_are_reached_whose_name_or_page_the_list_leaves_out(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (mia, ken) = (relight.holder(MIA), relight.holder(KEN));
        let pages = relight.sandbox.world().people[&mia].pages.clone();
        let nameless = |page: &sandbox::Page| {
            json!({"id": page.id, "name": 7, "instagram_business_account": {"id": page.account, "username": null}})
        };
        let odd = json!({"id": pages[2].id, "name": pages[2].name, "instagram_business_account": "odd"});
        let list = json!({"data": [nameless(&pages[0]), nameless(&pages[1]), odd, null, {"name": "no id"}]});
        relight.act(answer("", "/me/accounts", 200, list));
        owner.connect_all(mia).await;
        until("all", async || relight.accounts().await.len() == pages.len()).await;
        // No Page is listed, and none was ticked: only the account.
        relight.act(Action::StopFailing);
        let account = relight.sandbox.world().people[&ken].pages[0].account.clone();
        let granular = json!({"granular_scopes": [{"scope": "instagram_basic", "target_ids": [account]}]});
        relight.act(answer("", "/debug_token", 200, facts(&relight, &ken, &granular)));
        relight.act(answer("", "/me/accounts", 200, json!({"data": []})));
        owner.connect_all(ken).await;
        until("Ken's", async || relight.accounts().await.len() == pages.len() + 1).await;
    }

    async fn lists_of_businesses_and_pages_are_read_to_the_last_page(engine: Engine) {
        let relight = with_businesses(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let holder = relight.holder(MIA);
        let pages = relight.sandbox.world().people[&holder].pages.clone();
        let scopes = json!({"scopes": ["instagram_basic", "pages_show_list", "pages_read_engagement", "business_management"]});
        relight.act(answer("", "/debug_token", 200, facts(&relight, &holder, &scopes)));
        relight.act(answer("", "/me/accounts", 200, json!({"data": []})));
        let once = |path: &str, body: Value| Action::Answer {
            status: 200, body, calls: Some(1), holder: None, path: Some(path.to_owned()),
        };
        let next = "https://graph.facebook.com/next";
        let first = json!({"data": [{"id": "900100"}], "paging": {"cursors": {"after": "x"}, "next": next}});
        relight.act(once("/me/businesses", first));
        relight.act(once("/me/businesses", json!({"data": [{"id": "900200"}]})));
        relight.act(answer("", "/900100/", 200, json!({ "data": &pages[..1] })));
        // There is more, and no cursor to ask for it: that is said.
        relight.act(answer("", "/900200/", 200, json!({"data": &pages[1..2], "paging": {"next": next}})));
        let path = owner.log_in("/connect/business", &[], &Consent::of(holder)).await.expect("a choice");
        let ids = sandbox::person::values_of(&owner.open(&path).await.html, "account");
        assert_eq!(ids.len(), 2);
        let chosen: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
        owner.press(&format!("{path}/choose"), &chosen).await;
        owner.until(&path, "There are more Pages than we read in one login").await;
    }

    async fn a_login_that_leads_to_nothing_has_the_persons_accounts_checked(engine: Engine) {
        for (declined, meant) in [(true, false), (false, false), (true, true)] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let account = business(&relight, &owner, KEN).await;
            relight.pass(TimeDelta::minutes(6));
            relight.settled().await;
            let consent = if declined {
                Consent { declined: ["pages_show_list".to_owned()].into(), ..Consent::of(relight.holder(KEN)) }
            } else {
                Consent { pages: Some(["none".to_owned()].into()), ..Consent::of(relight.holder(KEN)) }
            };
            relight.act(answer("", "/media", 400, error("Unsupported get request.", 100, Some(33))));
            let button = if meant { format!("/accounts/{account}/refresh") } else { "/connect/business".to_owned() };
            let path = owner.log_in(&button, &[], &consent).await.expect("a result");
            owner.open(&path).await;
            // The check of the account meets something.
            until("a check", async || relight.held().await == 1).await;
            assert!(!has(&relight, &account, "Expired").await);
        }
    }

    async fn an_unreadable_newest_post_does_not_prevent_connecting(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.act(answer("", "/media", 200, json!({"data": [{"id": "1", "media_type": "IMAGE"}]})));
        let page = told(&relight, &owner, "consumer", LUMA).await;
        assert!(page.contains("is connected"), "{page}");
    }

    async fn a_list_that_meta_cannot_give_just_now_is_told_as_that(engine: Engine) {
        let relight = with_businesses(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let holder = relight.holder(MIA);
        let pages = relight.sandbox.world().people[&holder].pages.clone();
        let scopes = json!({"scopes": ["instagram_basic", "pages_show_list", "pages_read_engagement", "business_management"]});
        relight.act(answer("", "/debug_token", 200, facts(&relight, &holder, &scopes)));
        relight.act(answer("", "/me/businesses", 200, json!({"data": [{"id": "900100"}]})));
        relight.act(answer("", "/900100/", 500, error("An unknown error occurred", 2, None)));
        relight.act(answer("", "/me/accounts", 200, json!({ "data": &pages[..1] })));
        let path = owner.log_in("/connect/business", &[], &Consent::of(holder)).await.expect("a result");
        owner.until(&path, "Meta could not list all of your Pages just now").await;
        // Where nothing is reached at all, it is not the person who ticked too little.
        relight.act(Action::StopFailing);
        relight.act(answer("", "/debug_token", 200, facts(&relight, "1", &scopes)));
        relight.act(answer("", "/me/businesses", 500, error("An unknown error occurred", 2, None)));
        relight.act(answer("", "/me/accounts", 200, json!({"data": []})));
        let page = told(&relight, &owner, "business", MIA).await;
        assert!(page.contains("1067"), "{page}");
    }
}
