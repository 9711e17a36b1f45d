//! Feeds as websites load them.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use domain::{Connection, account::Plan};
use engine::{on_both_engines, sql};
use reqwest::{Response, StatusCode};
use sandbox::Action;
use tests::{relight::Relight, until};

fn max_age(answer: &Response) -> i64 {
    let control = answer.headers()["cache-control"].to_str().expect("a text");
    control.split("max-age=").nth(1).and_then(|seconds| seconds.parse().ok()).expect("an age")
}

/// Until a widget's feed has this many posts.
async fn until_posts(relight: &Relight, widget: &str, count: usize) -> Response {
    let path = format!("/w/{widget}/feed.json");
    let posts = async || relight.browser().open(&path).await.html.matches("\"id\"").count();
    until(&format!("a feed of {count} posts"), async || posts().await == count).await;
    relight.browser().ask(&path).await
}

on_both_engines! {
    async fn a_feed_is_served_with_what_caches_need(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let upgraded = owner.add_widget(&account, Plan::Upgraded).await;
        let free = owner.add_widget(&account, Plan::Free).await;
        // Each new widget brings a pull, and until it is over the next one is due.
        relight.settled().await;
        let answer = until_posts(&relight, &upgraded, 12).await;
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let etag = answer.headers()["etag"].to_str().expect("a text").to_owned();
        let age = max_age(&answer);
        assert!((1_600..=1_800).contains(&age), "an upgraded widget's feed is kept until the next pull: {age}");
        let age = max_age(&until_posts(&relight, &free, 12).await);
        assert!((19_000..=21_600).contains(&age), "a free one's for six hours: {age}");
        for (given, status) in [(etag.as_str(), 304), (&format!("\"x\", W/{etag}"), 304), ("*", 304), ("\"x\"", 200)] {
            let client = relight.browser().client;
            let request = client.get(format!("{}/w/{upgraded}/feed.json", relight.base)).header("if-none-match", given);
            assert_eq!(request.send().await.expect("an answer").status(), status, "{given}");
        }
        let feed: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!(feed["account"]["username"], "luma.ceramics");
        let mut keys: Vec<_> = feed["posts"][0].as_object().expect("a post").keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["caption", "id", "media_type", "media_url", "permalink", "thumbnail_url", "timestamp"]);
    }

    async fn an_expired_accounts_feed_is_served_and_asked_for_again_soon(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        until_posts(&relight, &widget, 12).await;
        relight.act(Action::LogOut { holder: "luma.ceramics".to_owned() });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        owner.until(&format!("/accounts/{account}"), "Expired — logged out").await;
        let page = owner.until(&format!("/w/{widget}/feed.json"), "expired").await;
        assert_eq!(page.html.matches("\"id\"").count(), 12);
        assert!(max_age(&relight.browser().ask(&format!("/w/{widget}/feed.json")).await) <= 60);
    }

    async fn pictures_that_have_ended_leave_the_feed_of_an_expired_account(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let ends = relight.clock.now() + TimeDelta::days(4);
        let picture = format!("https://cdn.example/a.jpg?stp=x&oe={:X}", ends.timestamp());
        let post = serde_json::json!({
            "id": "1", "caption": "A quiet Sunday.", "media_type": "IMAGE", "media_url": picture,
            "permalink": "https://instagram.example/p/1/", "timestamp": "2026-11-01T10:00:00+0000",
        });
        let body = serde_json::json!({ "data": [post] });
        relight.act(Action::Answer { status: 200, body, calls: None, holder: None, path: Some("/media".to_owned()) });
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        until_posts(&relight, &widget, 1).await;
        let forget = async || projections::pictures::forget_ended(relight.store().database(), relight.clock.now()).await;
        relight.clock.forward(TimeDelta::days(5));
        assert_eq!(forget().await.expect("looked"), 0, "the next pull brings fresh ones");
        until_posts(&relight, &widget, 1).await;
        relight.act(Action::LogOut { holder: "luma.ceramics".to_owned() });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        owner.until(&format!("/accounts/{account}"), "Expired — logged out").await;
        owner.open(&format!("/accounts/{account}")).await.says("their pictures last for some days");
        assert_eq!(forget().await.expect("looked"), 1);
        relight.clock.forward(TimeDelta::hours(7));
        owner.until(&format!("/w/{widget}/feed.json"), "\"media_url\":null").await.says("A quiet Sunday.");
        assert!(!relight.browser().open(&format!("/w/{widget}")).await.html.contains("<img"));
    }

    async fn free_widgets_beside_upgraded_ones_advance_in_their_own_time(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let free = owner.add_widget(&account, Plan::Free).await;
        let upgraded = owner.add_widget(&account, Plan::Upgraded).await;
        until_posts(&relight, &free, 12).await;
        until_posts(&relight, &upgraded, 12).await;
        relight.act(Action::AddPosts { holder: "luma.ceramics".to_owned(), count: 1 });
        relight.clock.forward(TimeDelta::minutes(31));
        until_posts(&relight, &upgraded, 13).await;
        let feed = relight.browser().open(&format!("/w/{free}/feed.json")).await;
        assert_eq!(feed.html.matches("\"id\"").count(), 12);
        relight.clock.forward(TimeDelta::hours(6));
        until_posts(&relight, &free, 13).await;
    }

    async fn a_widget_whose_plan_changed_shows_the_last_posts_meanwhile(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        until_posts(&relight, &widget, 12).await;
        let kind = sandbox::FaultKind::Unavailable;
        relight.act(Action::Fail { kind, calls: 100_000, holder: None, path: Some("/media".to_owned()) });
        let path = format!("/accounts/{account}/widgets/{widget}/plan");
        assert_eq!(owner.press(&path, &[("plan", "upgraded")]).await.status(), StatusCode::SEE_OTHER);
        until("the new plan's age", async || {
            let answer = relight.browser().ask(&format!("/w/{widget}/feed.json")).await;
            let age = max_age(&answer);
            assert_eq!(answer.text().await.expect("a feed").matches("\"id\"").count(), 12);
            age <= 1_800
        }).await;
    }

    async fn a_feed_that_was_served_outlives_the_database(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        let other = owner.add_widget(&account, Plan::Free).await;
        until_posts(&relight, &widget, 12).await;
        relight.store().database().close().await;
        // Longer than a feed is served without a look at the database.
        relight.clock.forward(TimeDelta::hours(7));
        assert_eq!(max_age(&until_posts(&relight, &widget, 12).await), 0, "and is soon asked for again");
        let unknown = relight.browser().ask(&format!("/w/{other}/feed.json")).await;
        assert_eq!(unknown.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(unknown.headers().contains_key("retry-after"));
    }

    async fn a_widgets_page_can_be_framed_and_says_what_it_lacks(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        until_posts(&relight, &widget, 12).await;
        let page = relight.browser().ask(&format!("/w/{widget}")).await;
        assert!(page.headers()["content-security-policy"].to_str().expect("a text").contains("frame-ancestors *"));
        assert!(!page.headers().contains_key("x-frame-options"));
        assert_eq!(page.text().await.expect("a page").matches("<img").count(), 12);
        owner.press(&format!("/accounts/{account}/widgets/{widget}/remove"), &[]).await;
        relight.browser().until(&format!("/w/{widget}"), "This widget was removed.").await;
        for path in ["/w/odd", "/w/odd/feed.json", "/w/01900000-0000-7000-8000-000000000000/feed.json"] {
            assert_eq!(relight.browser().ask(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    async fn a_widget_whose_account_was_never_pulled_says_that_posts_will_come(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        relight.settled().await;
        let kind = sandbox::FaultKind::Unavailable;
        relight.act(Action::Fail { kind, calls: 100_000, holder: None, path: Some("/media".to_owned()) });
        sql("DELETE FROM feeds").execute(relight.store().database()).await.expect("deleted");
        let widget = owner.add_widget(&account, Plan::Upgraded).await;
        let answer = relight.browser().ask(&format!("/w/{widget}/feed.json")).await;
        assert_eq!((answer.status(), max_age(&answer) <= 60), (StatusCode::OK, true));
        relight.browser().open(&format!("/w/{widget}")).await.says("The first posts appear here in a moment.");
        relight.act(Action::StopFailing);
        relight.clock.forward(TimeDelta::hours(1));
        until_posts(&relight, &widget, 12).await;
    }
}
