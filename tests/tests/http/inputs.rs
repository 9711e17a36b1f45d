//! Inputs that no database can keep are refused in one place: NUL characters, and instants outside of the years 1 to 9999.

use ::api::sign_in::Role;
use domain::Connection;
use engine::on_both_engines;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tests::relight::Relight;

on_both_engines! {
    async fn nul_and_impossible_instants_are_refused_everywhere(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let key = relight.api_key(Role::Admin).await;
        for path in ["/attempts/%00", "/attempts?reference=%00", "/events?type=%00", "/accounts?q=%00", "/r/%00", "/setup/%00", "/w/%00",
            "/oauth/consumer/callback?state=%00&code=%00", "/login?next=%00", "/token?widget=%00", "/accounts/%00/live"] {
            let status = admin.ask(path).await.status();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        }
        let feed = format!("{}/w/%FF/feed.json", relight.base);
        for path in ["/accounts/%FF", "/attempts/%FF", "/w/%FF", &feed, "/r/%FF", "/setup/%FF", "/docs/%FF", "/oauth/%FF/callback",
            "/api/v1/accounts/%FF", "/api/v1/webhooks/%FF/deliveries"] {
            let answer = admin.client.get(if path.starts_with('/') { format!("{}{path}", relight.base) } else { path.to_owned() });
            let answer = answer.bearer_auth(&key).send().await.expect("an answer");
            let kind = answer.headers()["content-type"].to_str().expect("a text").to_owned();
            assert!(answer.status() == StatusCode::BAD_REQUEST && !kind.starts_with("text/plain"), "{path}: {kind}");
        }
        let history = format!("/accounts/{account}/history");
        for (path, expected) in [
            (format!("{history}?at=%2B262142-12-31T23:59:59.999999Z"), 400),
            (format!("{history}?at=9999-12-31T23:59:59.999999Z"), 200),
            (format!("{history}?at=0001-01-01T00:00:00Z"), 200),
            (format!("{history}?at=9999-12-31T23:59:60.999999Z"), 200),
            (format!("{history}?at=yesterday"), 400),
            (format!("{history}?after=-1"), 400),
            ("/events?from=-262143-01-01T00:00:00Z".to_owned(), 400),
            ("/events?to=%2B10000-01-01T00:00:00Z".to_owned(), 400),
            ("/events?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z".to_owned(), 200),
            ("/events?to=9999-12-31T23:59:60Z".to_owned(), 200),
            ("/events?type=%00".to_owned(), 400),
            ("/events?after=9223372036854775807".to_owned(), 200),
            ("/events?after=9223372036854775808".to_owned(), 400),
            ("/accounts/%00".to_owned(), 400),
            ("/webhooks/%00/deliveries".to_owned(), 400),
        ] {
            let url = format!("{}/api/v1{path}", relight.base);
            let answer = admin.client.get(url).bearer_auth(&key).send().await.expect("an answer");
            assert_eq!(answer.status(), expected, "{path}");
        }
        let bodies = [
            (Method::POST, format!("/accounts/{account}/widgets"), json!({"plan": "free\0"})),
            (Method::POST, "/webhooks".to_owned(), json!({"url": "https://example.com/\0"})),
        ];
        for (method, path, body) in bodies {
            let url = format!("{}/api/v1{path}", relight.base);
            let answer = admin.client.request(method, url).bearer_auth(&key).json(&body).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
        }
        let answer = owner.press(&format!("/accounts/{account}/access"), &[("email", "a\0@example.com"), ("right", "owner")]).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let visitor = relight.browser();
        let answer = visitor.post("/login", &[("email", "\0"), ("password", "\0")]).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }

    async fn a_body_that_breaks_off_is_no_large_one_and_a_large_one_has_a_page_that_is_read(engine: Engine) {
        let relight = Relight::start(engine).await;
        let large = "x".repeat(70_000);
        let answer = relight.browser().client.post(format!("{}/login", relight.base))
            .header("accept-encoding", "gzip").form(&[("email", &large)]).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let plain = !answer.headers().contains_key("content-encoding");
        let bytes = answer.bytes().await.expect("a body");
        assert_eq!(plain, bytes.starts_with(b"<!doctype html>"), "what is said of the encoding is so");
        // Chunks of a size that is no number.
        let mut connection = tokio::net::TcpStream::connect(relight.address()).await.expect("connected");
        let request = b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
            transfer-encoding: chunked\r\n\r\nZZ\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut connection, request).await.expect("sent");
        let mut said = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut connection, &mut said).await.expect("an answer");
        assert_eq!(&said, b"HTTP/1.1 400");
    }
}
