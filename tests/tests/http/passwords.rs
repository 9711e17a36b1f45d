//! Signing in when very many do.

use std::net::Ipv4Addr;

use ::api::sign_in::Role;
use engine::on_both_engines;
use futures::future::join_all;
use reqwest::{StatusCode, header};
use tests::{browser::Browser, relight::Relight};

on_both_engines! {
    async fn sign_ins_beyond_the_queue_get_429_with_retry_after_and_the_others_their_answer(engine: Engine) {
        let set = |config: &mut ::api::config::Config| config.http.trusted_proxies = vec![std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into()];
        let relight = Relight::start_with(engine, set).await;
        relight.signed_in("ann@example.com", Role::Owner).await;
        // Each from an address of its own: the limit of one address isn't what answers.
        let answers = join_all((0..200).map(|number| {
            let browser = Browser::at(&relight.base, Ipv4Addr::new(10, 0, 0, number));
            async move {
                let email = if number.is_multiple_of(2) { "ann@example.com" } else { "nobody@example.com" };
                let answer = browser.post("/login", &[("email", email), ("password", "not the password")]).await;
                (answer.status(), answer.headers().contains_key(header::RETRY_AFTER))
            }
        }))
        .await;
        let count = |status| answers.iter().filter(|(answered, _)| *answered == status).count();
        let (refused, wrong) = (count(StatusCode::TOO_MANY_REQUESTS), count(StatusCode::OK));
        assert!(refused > 0 && wrong > 0 && refused + wrong == answers.len(), "{answers:?}");
        assert!(answers.iter().all(|(status, retry)| *retry == (*status == StatusCode::TOO_MANY_REQUESTS)));
        // Afterwards all is as before.
        let ann = Browser::at(&relight.base, Ipv4Addr::new(10, 0, 1, 1));
        ann.sign_in("ann@example.com", tests::relight::PASSWORD).await;
    }
}
