//! What strangers try at the doors: proxies that lie, guesses, and addresses that share a limit.

use std::net::IpAddr;

use ::api::{config::Config, sign_in::Role};
use engine::on_both_engines;
use reqwest::{Client, StatusCode};
use tests::relight::{PASSWORD, Relight};

const ANN: &str = "ann@example.com";

/// One try to sign in through a proxy that says this.
async fn guess(client: &Client, base: &str, forwarded: &str, email: &str, password: &str) -> StatusCode {
    let form = [("email", email), ("password", password)];
    let request = client.post(format!("{base}/login")).header("x-forwarded-for", forwarded).form(&form);
    request.send().await.expect("an answer").status()
}

fn behind_a_proxy(config: &mut Config) {
    config.http.trusted_proxies = vec![IpAddr::from([127, 0, 0, 1]).into()];
}

/// A client without the cookies of any browser.
fn client() -> Client {
    meta::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

on_both_engines! {
    async fn a_port_or_garbage_in_a_hop_gives_no_fresh_limit(engine: Engine) {
        let relight = Relight::start_with(engine, behind_a_proxy).await;
        let client = client();
        for hops in [
            |n: u32| format!("198.51.100.7:{}", 1000 + n),
            |n: u32| format!("unknown-{n}"),
            |n: u32| format!("::ffff:198.51.100.8, 127.0.0.1:{}", 1000 + n),
            |n: u32| format!("[2001:db8:7:7::{n:x}]:443"),
        ] {
            let mut passed = 0;
            for n in 0..30 {
                // Another account each time: one that is tried often is slowed.
                let email = format!("guess.{n}@example.com");
                let answer = guess(&client, &relight.base, &hops(n), &email, "wrong wrong wrong").await;
                passed += u32::from(answer != StatusCode::TOO_MANY_REQUESTS);
            }
            // All thirty passed before; a failure counts for half a minute, so that a slow machine lets some more in.
            assert!(passed <= 20, "{passed} of 30 tries passed as {}", hops(1));
        }
    }

    async fn an_account_under_attack_still_lets_its_person_in(engine: Engine) {
        let relight = &Relight::start_with(engine, behind_a_proxy).await;
        relight.add_user(ANN, Role::Owner).await;
        let client = &client();
        let wrong = async |n: u32| guess(client, &relight.base, &format!("198.51.100.{n}"), ANN, "wrong wrong wrong").await;
        for n in 0..8 {
            assert_eq!(wrong(n).await, StatusCode::OK, "refused in words");
        }
        assert_eq!(guess(client, &relight.base, "203.0.113.1", ANN, PASSWORD).await, StatusCode::SEE_OTHER, "slowed, never locked");
    }

    async fn successes_do_not_count_and_a_known_browser_is_not_locked_out_with_its_network(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        for _ in 0..15 {
            relight.browser().sign_in("ann@example.com", PASSWORD).await;
        }
        // Somebody else in the same office fails until the office is refused.
        let stranger = relight.browser();
        let wrong = [("email", "bob@example.com"), ("password", "wrong wrong wrong")];
        engine::testing::until("a refusal", async || {
            stranger.post("/login", &wrong).await.status() == StatusCode::TOO_MANY_REQUESTS
        })
        .await;
        assert_eq!(ann.press("/logout", &[]).await.status(), StatusCode::SEE_OTHER);
        ann.sign_in("ann@example.com", PASSWORD).await;
    }

    async fn wrong_keys_are_limited_and_good_ones_never(engine: Engine) {
        let relight = Relight::start(engine).await;
        let key = relight.api_key(Role::Service).await;
        let url = format!("{}/api/v1/accounts", relight.base);
        let ask = async |key: &str| client().get(&url).bearer_auth(key).send().await.expect("an answer").status();
        let mut answers = Vec::new();
        for n in 0..20 {
            answers.push(ask(&format!("relight_{n}")).await);
        }
        assert_eq!((answers[0], answers[19]), (StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(ask(&key).await, StatusCode::OK);
    }

    async fn a_proxy_that_is_not_listed_is_shown_to_operators(engine: Engine) {
        let relight = Relight::start(engine).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        // The tests' browsers say where they are, as behind a proxy.
        admin.open("/operations").await.says("127.0.0.1 forwards requests for others");
        let listed = Relight::start_with(engine, behind_a_proxy).await;
        let admin = listed.signed_in("root@example.com", Role::Admin).await;
        assert!(!admin.open("/operations").await.text().contains("forwards requests for others"));
    }
}
