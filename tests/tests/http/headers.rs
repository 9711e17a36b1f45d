//! What answers say to browsers, caches and machines besides their bodies.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::on_both_engines;
use reqwest::StatusCode;
use sandbox::person::values_of;
use tests::relight::Relight;
use url::Url;

on_both_engines! {
    async fn every_answer_is_hardened(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        for path in ["/accounts", &format!("/accounts/{account}"), "/login", "/token", "/docs/", "/nothing", "/healthz", "/api/v1/accounts"] {
            let answer = owner.ask(path).await;
            let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
            assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert!(header("permissions-policy").contains("camera=()"), "{path}");
            assert_eq!((header("x-content-type-options"), header("x-frame-options")), ("nosniff".to_owned(), "DENY".to_owned()), "{path}");
            assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
            assert_eq!(header("cache-control"), "no-store", "{path}");
            assert_eq!(header("strict-transport-security"), "", "not without https: {path}");
        }
    }

    async fn under_https_cookies_belong_to_the_host_alone(engine: Engine) {
        let relight = Relight::start_with(engine, |config| {
            config.http.public_url = Url::parse("https://relight.example").expect("a URL");
        }).await;
        let local = format!("http://{}", relight.address());
        relight.add_user("ann@example.com", Role::Admin).await;
        let client = relight.browser().client;
        let form = [("email", "ann@example.com"), ("password", tests::relight::PASSWORD)];
        let answer = client.post(format!("{local}/login")).form(&form).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().expect("a text").to_owned()).collect();
        assert!(cookies.len() >= 2);
        for cookie in &cookies {
            assert!(cookie.starts_with("__Host-relight_"), "{cookie}");
            assert!(cookie.contains("Secure") && cookie.contains("HttpOnly") && cookie.contains("Path=/") && !cookie.contains("Domain"), "{cookie}");
        }
        assert!(answer.headers()["strict-transport-security"].to_str().expect("a text").starts_with("max-age="));
        // No proxy is listed, although one must be in front: the log says so at the start, and this page from then on.
        let cookies: Vec<_> = cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect();
        let page = client.get(format!("{local}/operations")).header("cookie", cookies.join("; ")).send().await.expect("an answer");
        let page = page.text().await.expect("a page");
        assert!(page.contains("http.trusted_proxies lists none"));
        // Without `Secure` a browser would ignore the removal of such a cookie, and keep it.
        let csrf = &values_of(&page, "csrf")[0];
        let cookie = cookies.join("; ");
        let answer = client.post(format!("{local}/logout")).header("cookie", cookie).form(&[("csrf", csrf)]).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let removed = answer.headers()["set-cookie"].to_str().expect("a text");
        assert!(removed.starts_with("__Host-relight_") && removed.contains("Max-Age=0") && removed.contains("Secure"), "{removed}");
        let missing = client.get(format!("{local}/w/nothing/feed.json")).send().await.expect("an answer");
        assert!(missing.headers().contains_key("strict-transport-security"));
    }

    async fn an_unknown_key_is_answered_with_the_scheme_and_any_case_of_it_is_read(engine: Engine) {
        let relight = Relight::start(engine).await;
        let key = relight.api_key(Role::Service).await;
        let client = relight.browser().client;
        let ask = async |header: Option<String>| {
            let mut request = client.get(format!("{}/api/v1/accounts?min_position=999999", relight.base));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            request.send().await.expect("an answer")
        };
        for header in [None, Some("Bearer relight_wrong".to_owned()), Some("Basic eDp5".to_owned())] {
            let answer = ask(header).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            assert!(answer.headers()["www-authenticate"].to_str().expect("a text").starts_with("Bearer"));
            assert!(!answer.headers().contains_key("relight-position"), "the journal's length is told to keys alone");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
        for scheme in ["bearer", "BEARER", "Bearer"] {
            let answer = ask(Some(format!("{scheme} {key}"))).await;
            assert_eq!(answer.status(), StatusCode::OK, "{scheme}");
            assert!(answer.headers().contains_key("relight-position"));
        }
    }

    async fn a_feed_has_a_whole_tag_and_answers_not_modified(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let widget = owner.add_widget(&account, Plan::Free).await;
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        let url = format!("{}/w/{widget}/feed.json", relight.base);
        let tag = owner.ask(&url).await.headers()["etag"].to_str().expect("a text").to_owned();
        assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let again = owner.client.get(&url).header("if-none-match", &tag).send().await.expect("an answer");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    async fn error_pages_keep_the_navigation(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        for path in ["/accounts/01900000-0000-7000-8000-000000000000", "/accounts?status=odd", "/events", "/attempts/odd", "/nothing", "/accounts?q=%00", "/docs/nothing"] {
            owner.open(path).await.says("Sign out").says("ann@example.com");
        }
        assert!(!relight.browser().open("/attempts/odd").await.text().contains("Sign out"));
        let too_large = owner.press("/settings", &[("email", &"x".repeat(3 << 20))]).await;
        assert_eq!(too_large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let page = too_large.text().await.expect("a page");
        assert!(page.contains("Sign out") && page.contains("ann@example.com"), "{page}");
    }

    async fn a_search_that_is_too_long_comes_back_with_what_was_typed(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let typed = "x".repeat(101);
        let answer = owner.ask(&format!("/accounts?q={typed}")).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = answer.text().await.expect("a page");
        assert!(page.contains(&format!("value=\"{typed}\"")) && page.contains("too long to search for"), "{page}");
        assert!(page.contains("aria-invalid") && !page.contains("luma.ceramics"), "{page}");
        owner.open(&format!("/accounts?q=@{}", &typed[1..])).await.says("No account fits");
    }

    async fn a_wrong_form_comes_back_with_what_was_typed(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let here = format!("/accounts/{account}");
        let answer = owner.press(&format!("{here}/access"), &[("email", "not an address"), ("right", "developer")]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let page = owner.open(&here).await;
        page.says("That is not an e-mail address");
        assert!(page.html.contains("value=\"not an address\""), "what was typed is kept");
        assert!(!owner.open(&here).await.text().contains("not an e-mail address"), "shown once");
        owner.press(&format!("{here}/disconnect"), &[]).await;
        owner.open(&here).await.says("Tick the box").says("Active");
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        admin.press("/webhooks", &[("url", "http://insecure.example/hook")]).await;
        let page = admin.open("/webhooks").await;
        assert!(page.html.contains("value=\"http://insecure.example/hook\"") && page.html.contains("role=\"alert\""), "{}", page.text());
    }

    async fn a_wrong_filter_comes_back_with_what_was_typed(engine: Engine) {
        let relight = Relight::start(engine).await;
        let auditor = relight.signed_in("kim@example.com", Role::Auditor).await;
        for (field, typed, text) in [
            ("after", "-5", "A position is a whole number from 0 on"),
            ("after", "9223372036854775808", "A position is a whole number from 0 on"),
            ("account", "luma", "not the id of an account"),
            ("type", "Token.Expired", "letters and digits only"),
        ] {
            let path = format!("/events?{field}={typed}");
            assert_eq!(auditor.ask(&path).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{path}");
            let page = auditor.open(&path).await;
            page.says(text).says("Sign out");
            assert!(page.html.contains(&format!("name=\"{field}\" value=\"{typed}\" aria-invalid=\"true\"")), "{path}");
        }
    }
}
