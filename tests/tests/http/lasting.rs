//! What goes on for days without a clear word, what is the app's, and what ends an incident.

use ::api::sign_in::Role;
use chrono::TimeDelta;
use engine::on_both_engines;
use sandbox::{Action, Login};
use serde_json::json;
use tests::{relight::Relight, until};

use super::answers::{account_json, answer, business, check, error, has, incidents, pass_until};

const LUMA: &str = "luma.ceramics";
const SALT: &str = "sol.y.sal";
const KEN: &str = "Ken Sato";
const MIA: &str = "Mia Berg";

on_both_engines! {
    async fn posts_that_meet_passing_errors_for_days_are_refused_until_they_are_read(engine: Engine) {
        for (status, body) in [
            (400, error("An unexpected error has occurred. Please retry your request later.", 2, None)),
            (400, error("The action attempted has been deemed abusive or is otherwise disallowed", 368, None)),
            (200, json!("<html>")),
        ] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let key = relight.api_key(Role::Service).await;
            let (account, other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
            relight.act(answer(LUMA, "/media", status, body));
            for _ in 0..8 {
                relight.pass(TimeDelta::hours(8));
                relight.settled().await;
            }
            assert!(!has(&relight, &account, "ReadingRefused").await, "not before three days are over");
            pass_until(&relight, &account, "ReadingRefused", TimeDelta::hours(8)).await;
            relight.settled().await;
            assert_eq!(account_json(&relight, &key, &account).await["reading"], "refused");
            assert!(!has(&relight, &account, "Expired").await && !has(&relight, &other, "ReadingRefused").await);
            relight.act(Action::StopFailing);
            pass_until(&relight, &account, "ReadingResumed", TimeDelta::hours(8)).await;
        }
    }

    async fn a_renewal_that_meta_blocks_or_limits_for_days_is_told(engine: Engine) {
        for code in [368, 341, 17] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let account = relight.connected(&owner, LUMA).await;
            relight.act(answer("", "/refresh_access_token", 400, error("Temporarily blocked for policies violations", code, None)));
            relight.pass(TimeDelta::days(41));
            pass_until(&relight, &account, "RenewalFailing", TimeDelta::hours(8)).await;
            assert!(!has(&relight, &account, "Expired").await);
        }
    }

    async fn a_limit_of_the_whole_app_is_nobodys_failing_renewal(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(answer("", "/refresh_access_token", 403, error("(#4) Application request limit reached", 4, None)));
        relight.pass(TimeDelta::days(41));
        for _ in 0..15 {
            relight.pass(TimeDelta::hours(8));
            relight.settled().await;
        }
        assert!(!has(&relight, &account, "RenewalFailing").await);
    }

    async fn tries_that_are_close_together_count_once(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (account, _other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
        let passing = || error("An unexpected error has occurred. Please retry your request later.", 2, None);
        // A bad minute, and another one four days later: between them it was read.
        for _ in 0..2 {
            relight.act(answer(LUMA, "/media", 400, passing()));
            for _ in 0..8 {
                relight.pass(TimeDelta::minutes(2));
                relight.settled().await;
            }
            relight.act(Action::StopFailing);
            for _ in 0..4 {
                relight.pass(TimeDelta::days(1));
                relight.settled().await;
            }
        }
        assert!(!has(&relight, &account, "ReadingRefused").await);
    }

    async fn an_error_without_a_code_ends_no_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (account, _other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
        let body = json!({"error": {"message": "An unknown error has occurred.", "type": "OAuthException"}});
        relight.act(answer(LUMA, "/instagram/", 400, body));
        check(&relight, &owner, &account).await;
        for _ in 0..6 {
            relight.pass(TimeDelta::hours(8));
            relight.settled().await;
        }
        assert!(!has(&relight, &account, "Expired").await);
        assert_eq!(relight.held().await, 0);
    }

    async fn who_connects_shows_nothing_of_who_worked_before(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.pass(TimeDelta::minutes(6));
        check(&relight, &owner, &account).await;
        relight.settled().await;
        relight.connected(&owner, SALT).await;
        let worked_by = engine::sql("SELECT worked_by FROM apps WHERE connection = 'consumer'");
        let worked_by: Option<String> = worked_by.scalar(relight.store().database()).await.expect("a row");
        assert_eq!(worked_by, Some(account));
    }

    async fn what_meta_says_of_the_apps_own_token_is_the_apps_matter(engine: Engine) {
        for (message, code) in [
            ("Invalid OAuth access token signature.", 190),
            ("(#100) You must provide an app access token, or a user access token that is an owner or developer of the app", 100),
        ] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let (account, _other) = (business(&relight, &owner, KEN).await, business(&relight, &owner, MIA).await);
            relight.pass(TimeDelta::hours(2));
            relight.settled().await;
            relight.act(answer("", "/graph/", 400, error(message, code, None)));
            relight.pass(TimeDelta::hours(2));
            check(&relight, &owner, &account).await;
            until("an incident", async || incidents(&relight).await == 1).await;
            relight.pass(TimeDelta::minutes(20));
            relight.settled().await;
            assert!(!has(&relight, &account, "Expired").await);
        }
    }

    async fn only_posts_that_are_read_end_an_incident(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (account, other) = (business(&relight, &owner, KEN).await, business(&relight, &owner, MIA).await);
        relight.pass(TimeDelta::hours(2));
        relight.settled().await;
        relight.act(answer("", "/media", 400, error("API access deactivated. To reactivate, go to the app dashboard.", 200, None)));
        check(&relight, &owner, &account).await;
        until("an incident", async || incidents(&relight).await == 1).await;
        relight.settled().await;
        // Meta says when data access ends, and knows who logs in: neither shows that posts are read.
        relight.act(Action::EndDataAccess { holder: MIA.to_owned(), strictly: false });
        check(&relight, &owner, &other).await;
        pass_until(&relight, &other, "Expired", TimeDelta::minutes(1)).await;
        relight.settled().await;
        assert_eq!(incidents(&relight).await, 1);
        let path = owner.log_in("/connect/business", &[], &sandbox::person::Consent::of(relight.holder(KEN))).await.expect("a result");
        owner.open(&path).await;
        relight.settled().await;
        assert_eq!(incidents(&relight).await, 1);
        relight.act(Action::StopFailing);
        relight.act(Action::Restrict { login: Login::Facebook, restricted: false });
        until("its end", async || {
            relight.pass(TimeDelta::minutes(5));
            incidents(&relight).await == 0
        }).await;
    }
}
