//! What is asked to be forgotten is gone: from pages, from every table, and from the file.

use std::{fs, future::poll_fn, pin::pin, task::Poll};

use ::api::sign_in::Role;
use chrono::TimeDelta;
use commands::{Context, erase::AskedBy};
use domain::{Actor, Connection, account::Plan};
use engine::{on_both_engines, sql};
use reqwest::StatusCode;
use sandbox::{Login, person::Consent};
use serde_json::Value;
use tests::{browser::location, everything, relight::Relight, until};

const LUMA: &str = "luma.ceramics";
const KEN: &str = "Ken Sato";

async fn ask(relight: &Relight, connection: &str, signed_request: &str) -> (StatusCode, Value) {
    let url = format!("{}/meta/{connection}/data-deletion", relight.base);
    let request = relight.browser().client.post(url).header("origin", "https://www.facebook.com");
    let answer = request.form(&[("signed_request", signed_request)]).send().await.expect("answers");
    (answer.status(), answer.json().await.unwrap_or_default())
}

on_both_engines! {
    async fn a_person_whom_meta_asks_to_forget_is_gone_from_every_table(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        let other = relight.connected(&owner, "sol.y.sal").await;
        let widget = owner.add_widget(&account, Plan::Upgraded).await;
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        relight.settled().await;
        // Statistics have samples of what stands in tables.
        sql("ANALYZE").execute(relight.store().database()).await.expect("analysed");
        assert!(everything(relight.store().database()).await.contains(LUMA));
        let (user, instagram_id, post) = {
            let world = relight.sandbox.world();
            let luma = world.accounts.values().find(|account| account.username == LUMA).expect("in the cast");
            (luma.app_scoped_id.clone(), luma.id.clone(), luma.posts[0].id.clone())
        };
        let soon = relight.clock.now().timestamp() + 1;
        let signed = relight.sandbox.signed_request(Login::Instagram, &user, soon);
        assert_eq!(ask(&relight, "consumer", &format!("{signed}A")).await.0, StatusCode::BAD_REQUEST);
        let older = relight.sandbox.signed_request(Login::Instagram, &user, soon - 3_600);
        let (_, nothing) = ask(&relight, "consumer", &older).await;
        let path = |answer: &Value| answer["url"].as_str().expect("a URL").replace(&relight.base, "");
        relight.browser().open(&path(&nothing)).await.says("There is nothing of you here");
        let (status, answer) = ask(&relight, "consumer", &signed).await;
        assert_eq!(status, StatusCode::OK);
        let code = answer["confirmation_code"].as_str().expect("a code");
        assert!(answer["url"].as_str().expect("a URL").ends_with(code));
        relight.browser().open(&path(&answer)).await.says("Your data is deleted");
        relight.settled().await;
        let events = relight.events(&account).await;
        assert!(events.ends_with(&["ErasureRequested".to_owned(), "Revoked".to_owned(), "Erased".to_owned()]), "{events:?}");
        let journal = relight.journal(&account).await;
        let erased = engine::json(&journal.iter().find(|event| event.event_type == "Erased").expect("there").payload);
        assert_eq!(erased["Erased"]["receipt"]["profiles"], 1, "{erased}");
        let left = everything(relight.store().database()).await;
        for gone in [LUMA, user.as_str(), instagram_id.as_str(), post.as_str()] {
            let lines: Vec<_> = left.lines().filter(|line| line.contains(gone)).collect();
            assert!(lines.is_empty(), "{gone}: {lines:?}");
        }
        // The others live on, and the widget shows nothing.
        assert!(!relight.events(&other).await.contains(&"Erased".to_owned()));
        let feed = relight.browser().client.get(format!("{}/w/{widget}/feed.json", relight.base)).send().await.expect("answers");
        assert!(!feed.text().await.expect("a text").contains(&instagram_id));
        // Whoever comes back is a new account.
        let again = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
        assert_ne!(again, account);
    }

    async fn a_persons_grant_is_forgotten_and_the_customers_account_stays(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        owner.connect_all(relight.holder(KEN)).await;
        until("the account", async || relight.accounts().await.len() == 1).await;
        let account = relight.accounts().await.remove(0);
        relight.settled().await;
        let soon = relight.clock.now().timestamp() + 1;
        let signed = relight.sandbox.signed_request(Login::Facebook, &relight.holder(KEN), soon);
        assert_eq!(ask(&relight, "business", &signed).await.0, StatusCode::OK);
        relight.settled().await;
        let events = relight.events(&account).await;
        assert_eq!(events.last().map(String::as_str), Some("Expired"), "{events:?}");
        assert!(!everything(relight.store().database()).await.contains(&relight.holder(KEN)));
        owner.open(&format!("/accounts/{account}")).await.says("The app was removed");
        relight.pass(TimeDelta::seconds(5));
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder(KEN))).await;
        assert_eq!(relight.events(&account).await.last().map(String::as_str), Some("Refreshed"));
    }

    async fn who_is_forgotten_takes_their_own_logins_along_and_nobody_elses(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        owner.connect_all(relight.holder(KEN)).await;
        until("the account", async || relight.accounts().await.len() == 1).await;
        let account = relight.accounts().await.remove(0);
        let name = relight.username(&account).await;
        // Another person who manages the Page logs in for it, and Ken in vain.
        relight.act(sandbox::Action::GivePageRole { holder: "Tom Unlinked".to_owned(), account: name });
        let tom = relight.holder("Tom Unlinked");
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(tom.clone())).await;
        let in_vain = Consent { pages: Some(["none".to_owned()].into()), ..Consent::of(relight.holder(KEN)) };
        owner.result("/connect/business", &[], &in_vain).await;
        relight.settled().await;
        let rows = async |holder: &str| {
            let count = sql("SELECT count(*) FROM attempts WHERE grantor_id = $1").bind(holder);
            count.scalar::<i64>(relight.store().database()).await.expect("counted")
        };
        assert_eq!((rows(&relight.holder(KEN)).await, rows(&tom).await), (2, 1));
        relight.pass(TimeDelta::seconds(5));
        let soon = relight.clock.now().timestamp() + 1;
        let signed = relight.sandbox.signed_request(Login::Facebook, &relight.holder(KEN), soon);
        assert_eq!(ask(&relight, "business", &signed).await.0, StatusCode::OK);
        relight.settled().await;
        assert_eq!((rows(&relight.holder(KEN)).await, rows(&tom).await), (0, 1));
        assert!(!relight.events(&account).await.contains(&"Expired".to_owned()), "Tom's grant stays");
    }

    async fn an_admin_erases_a_person_who_signs_in(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let account = relight.connected(&owner, LUMA).await;
        assert_eq!(owner.ask("/data/erase").await.status(), StatusCode::NOT_FOUND);
        admin.open("/data").await.says("Erase a person");
        // Asked twice, and told at the field what is wrong.
        for (email, again, problem) in [
            ("ann@example.com", "", "The two addresses differ"),
            ("nobody@example.com", "nobody@example.com", "There is no user with this address"),
            ("root@example.com", "root@example.com", "This is the only admin"),
        ] {
            let fields = [("email", email), ("again", again)];
            assert_eq!(admin.press("/data/erase", &fields).await.status(), StatusCode::SEE_OTHER);
            admin.open("/data/erase").await.says(problem);
        }
        let fields = [("email", " Ann@example.com "), ("again", "Ann@example.com")];
        assert_eq!(location(&admin.press("/data/erase", &fields).await), "/data");
        admin.open("/data").await.says("Erased.");
        let left = everything(relight.store().database()).await;
        assert!(!left.contains("ann@example.com"), "{left}");
        assert_eq!(location(&owner.ask("/accounts").await), "/login?next=%2Faccounts");
        assert!(relight.events(&account).await.contains(&"AccessRevoked".to_owned()));
        // By the API, with an admin's key alone.
        relight.add_user("ben@example.com", Role::Owner).await;
        let url = format!("{}/api/v1/members/erasure", relight.base);
        for (role, email, status) in [
            (Role::Service, "ben@example.com", StatusCode::FORBIDDEN),
            (Role::Admin, "nobody@example.com", StatusCode::UNPROCESSABLE_ENTITY),
            (Role::Admin, "ben@example.com", StatusCode::NO_CONTENT),
        ] {
            let key = relight.api_key(role).await;
            let request = relight.browser().client.post(&url).bearer_auth(key);
            let answer = request.json(&serde_json::json!({"email": email})).send().await.expect("answers");
            assert_eq!(answer.status(), status, "{email} by {}", role.name());
        }
        assert!(!everything(relight.store().database()).await.contains("ben@example.com"));
    }

    async fn an_admin_is_asked_twice_before_an_account_is_erased(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let account = relight.connected(&owner, LUMA).await;
        let page = format!("/accounts/{account}/erase");
        assert_eq!(owner.ask(&page).await.status(), StatusCode::NOT_FOUND);
        admin.open(&format!("/accounts/{account}")).await.says("Erase…");
        admin.open(&page).await.says("This can't be undone");
        let refused = admin.press(&page, &[("name", "somebody")]).await.text().await.expect("a text");
        assert!(refused.contains("That is not its name"), "{refused}");
        assert!(!relight.events(&account).await.contains(&"ErasureRequested".to_owned()));
        let done = tests::browser::location(&admin.press(&page, &[("name", LUMA)]).await);
        admin.open(done.trim_start_matches(&relight.base)).await.says("Your data is deleted");
        assert_eq!(relight.events(&account).await.last().map(String::as_str), Some("Erased"));
        assert!(!everything(relight.store().database()).await.contains(LUMA));
        // By a key of an admin, too; nobody else's.
        let second = relight.connected(&owner, "sol.y.sal").await;
        let (service, key) = (relight.api_key(Role::Service).await, relight.api_key(Role::Admin).await);
        let url = format!("{}/api/v1/accounts/{second}", relight.base);
        let delete = async |key: &str| relight.browser().client.delete(&url).bearer_auth(key).send().await.expect("answers").status();
        assert_eq!(delete(&service).await, StatusCode::FORBIDDEN);
        assert_eq!(delete(&key).await, StatusCode::OK);
        assert_eq!(relight.events(&second).await.last().map(String::as_str), Some("Erased"));
    }

    async fn an_erasure_that_is_broken_off_anywhere_goes_on_to_its_end(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        for (name, polls) in [(LUMA, 2), ("sol.y.sal", 4), ("hoshi.tea", 8), ("oakandiron", 14), ("bluebird.bikes", 24)] {
            let account = relight.connected(&owner, name).await;
            let id = account.parse().expect("an id");
            let context = Context { actor: Actor::Operator, correlation: "test".to_owned(), causation: None, request: None };
            {
                // The caller's future is dropped after so many polls.
                let mut erasing = pin!(relight.commands().erase_account(id, AskedBy::Operator, &context));
                let mut left = polls;
                let broken_off = poll_fn(|context| match left {
                    0 => Poll::Ready(None),
                    _ => {
                        left -= 1;
                        erasing.as_mut().poll(context).map(Some)
                    }
                });
                broken_off.await;
            }
            let is_asked: i64 = sql("SELECT count(*) FROM erased_accounts WHERE account_id = $1")
                .bind(account.as_str()).scalar(relight.store().database()).await.expect("counted");
            if is_asked == 0 {
                relight.commands().erase_account(id, AskedBy::Operator, &context).await.expect("erased");
            }
            relight.commands().go_on_erasing().await.expect("goes on");
            relight.settled().await;
            let events = relight.events(&account).await;
            assert_eq!(events.iter().filter(|event| *event == "Erased").count(), 1, "{events:?}");
            let left = everything(relight.store().database()).await;
            assert!(!left.contains(name), "{:?}", left.lines().filter(|line| line.contains(name)).collect::<Vec<_>>());
        }
    }

    async fn a_disconnected_accounts_posts_are_deleted_after_a_week(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        owner.press(&format!("/accounts/{account}/disconnect"), &[("sure", "yes")]).await;
        relight.settled().await;
        let (database, now) = (relight.store().database(), relight.clock.now());
        let feeds = async || sql("SELECT count(*) FROM feeds").scalar::<i64>(database).await.expect("counted");
        projections::feeds::forget_of_gone(database, now - TimeDelta::days(7)).await.expect("looked");
        assert!(feeds().await > 0, "not before");
        projections::feeds::forget_of_gone(database, now + TimeDelta::seconds(1)).await.expect("deleted");
        assert_eq!(feeds().await, 0);
    }
}

/// SQLite's file has nothing left of it at once: what is deleted is overwritten, and the WAL is emptied.
#[tokio::test]
async fn the_files_of_sqlite_have_nothing_left_of_it() {
    let relight = Relight::start(engine::testing::Engine::Sqlite).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = relight.connected(&owner, LUMA).await;
    relight.settled().await;
    sql("ANALYZE").execute(relight.store().database()).await.expect("analysed");
    let database: String = sql("SELECT file FROM pragma_database_list WHERE name = 'main'")
        .scalar(relight.store().database())
        .await
        .expect("read");
    // Where it stands, with what is around it.
    let held = |what: &str| {
        let find = |file: String| {
            let bytes = fs::read(&file).unwrap_or_default();
            let at = bytes.windows(what.len()).position(|window| window == what.as_bytes())?;
            let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
            Some(format!("{file} at {at}: {}", String::from_utf8_lossy(around)))
        };
        find(database.clone()).or_else(|| find(format!("{database}-wal")))
    };
    assert!(held(LUMA).is_some());
    let admin = relight.signed_in("root@example.com", Role::Admin).await;
    admin.press(&format!("/accounts/{account}/erase"), &[("name", LUMA)]).await;
    relight.settled().await;
    // Its end is an event, whose effects are written after the erasure's own.
    relight.store().database().scrub(&[]).await.expect("scrubbed");
    assert_eq!(held(LUMA), None);
}
