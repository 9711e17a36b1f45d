//! Forms, sign-in, and what strangers try with them.

use ::api::sign_in::Role;
use domain::Connection;
use engine::on_both_engines;
use reqwest::StatusCode;
use tests::{browser::location, relight::Relight};

on_both_engines! {
    async fn forms_of_signed_in_people_need_their_sessions_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let events = relight.event_count().await;
        let path = format!("/accounts/{account}/widgets");
        for fields in [&[("plan", "free")][..], &[("plan", "free"), ("csrf", "")], &[("plan", "free"), ("csrf", "x")]] {
            assert_eq!(owner.post(&path, fields).await.status(), StatusCode::FORBIDDEN);
        }
        assert_eq!(relight.event_count().await, events);
    }

    async fn forms_from_other_sites_are_refused(engine: Engine) {
        let relight = Relight::start(engine).await;
        let client = relight.browser().client;
        for (name, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
        {
            let request = client.post(format!("{}/token/consumer", relight.base)).header(name, value);
            let answer = request.form(&[("csrf", "")]).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        }
        let request = client.post(format!("{}/token/consumer", relight.base)).header("origin", &relight.base);
        assert_eq!(request.form(&[("csrf", "")]).send().await.expect("an answer").status(), StatusCode::SEE_OTHER);
    }

    async fn a_wrong_password_tells_nothing_and_guessing_is_slowed(engine: Engine) {
        let relight = Relight::start(engine).await;
        relight.signed_in("ann@example.com", Role::Owner).await;
        let browser = relight.browser();
        let mut answers = Vec::new();
        for email in ["ann@example.com", "nobody@example.com"] {
            let answer = browser.post("/login", &[("email", email), ("password", "wrong wrong wrong")]).await;
            answers.push(answer.text().await.expect("a page").replace(email, ""));
        }
        assert_eq!(answers[0], answers[1], "who is here isn't told");
        let mut slowed = false;
        for _ in 0..12 {
            let answer = browser.post("/login", &[("email", "ann@example.com"), ("password", "wrong")]).await;
            slowed |= answer.status() == StatusCode::TOO_MANY_REQUESTS;
        }
        assert!(slowed);
    }

    async fn nothing_leads_away_to_other_sites(engine: Engine) {
        let relight = Relight::start(engine).await;
        relight.signed_in("ann@example.com", Role::Owner).await;
        for next in ["//evil.example", "https://evil.example/", "/\\evil.example", "/%0d%0aLocation:x"] {
            let fields = [("email", "ann@example.com"), ("password", tests::relight::PASSWORD), ("next", next)];
            let to = location(&relight.browser().post("/login", &fields).await);
            assert!(to == "/accounts" || to.starts_with("/%0d"), "{next} leads to {to}");
        }
    }

    async fn what_is_malformed_or_too_large_is_refused_and_changes_nothing(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let events = relight.event_count().await;
        let here = format!("/accounts/{account}");
        for (path, fields, status) in [
            (format!("{here}/widgets"), vec![("plan", "gold")], 400),
            (format!("{here}/widgets"), vec![], 400),
            (format!("{here}/widgets/odd/plan"), vec![("plan", "free")], 404),
            (format!("{here}/access"), vec![("email", "x"), ("right", "king")], 400),
            ("/connect/odd".to_owned(), vec![], 404),
            ("/token/odd".to_owned(), vec![], 404),
            ("/attempts/AAA-BBB-CCC/again".to_owned(), vec![("connection", "consumer"), ("ask", "usual")], 404),
        ] {
            assert_eq!(owner.press(&path, &fields).await.status(), status, "{path}");
        }
        let large = "x".repeat(100_000);
        assert_eq!(owner.press(&format!("{here}/widgets"), &[("plan", &large)]).await.status(), 413);
        for path in ["/accounts/odd", "/accounts/%00", "/nothing", "/attempts/odd", "/r/odd%00", "/setup/odd", "/w/%00"] {
            let status = owner.ask(path).await.status();
            let expected = if path.contains("%00") { 400 } else { 404 };
            assert_eq!(status, expected, "{path}");
        }
        for path in ["/accounts?status=odd", "/accounts?after=odd", "/accounts?q=%00", "/oauth/consumer/callback?state=x&state=y"] {
            assert_eq!(owner.ask(path).await.status(), 400, "{path}");
        }
        let long = format!("/oauth/consumer/callback?code=x&state={}", "s".repeat(500));
        assert_eq!(owner.ask(&long).await.status(), 400);
        assert_eq!(relight.event_count().await, events);
    }

    async fn the_first_admin_is_made_by_a_link_that_works_once(engine: Engine) {
        let relight = Relight::start(engine).await;
        let path = relight.setup_path();
        let browser = relight.browser();
        browser.open(&path).await.says("Welcome to Relight").says("the admin");
        let short = browser.post(&path, &[("email", "root@example.com"), ("password", "short")]).await;
        assert!(short.text().await.expect("a page").contains("at least 15 characters"));
        let made = browser.post(&path, &[("email", "root@example.com"), ("password", tests::relight::PASSWORD)]).await;
        assert_eq!(location(&made), "/operations");
        browser.open("/operations").await.says("What to enter at Meta").says("/oauth/business/callback");
        assert_eq!(relight.browser().ask(&path).await.status(), StatusCode::NOT_FOUND);
    }

    async fn it_says_whether_it_lives_and_is_ready(engine: Engine) {
        let relight = Relight::start(engine).await;
        for path in ["/healthz", "/readyz"] {
            assert_eq!(relight.browser().ask(path).await.status(), StatusCode::OK, "{path}");
        }
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        relight.store().database().close().await;
        assert_eq!(relight.browser().ask("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(relight.browser().ask("/healthz").await.status(), StatusCode::OK);
        let page = ann.open("/accounts").await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        page.says("We can't reach our database").says("Reference");
        assert!(!page.text().to_lowercase().contains("pool"), "the cause isn't shown: {}", page.text());
    }
}
