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
            (400, error("The action attempted has been deemed abusive or is otherwise disallowed", 368, None)),
            (200, json!("<html>")),
        ] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let key = relight.api_key(Role::Service).await;
            let (account, other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
            relight.act(answer(LUMA, "/media", status, body));
            for _ in 0..5 {
                relight.pass(TimeDelta::hours(13));
                relight.settled().await;
            }
            assert!(!has(&relight, &account, "ReadingRefused").await, "not before three days are over");
            pass_until(&relight, &account, "ReadingRefused", TimeDelta::hours(13)).await;
            relight.settled().await;
            assert_eq!(account_json(&relight, &key, &account).await["reading"], "refused");
            assert!(!has(&relight, &account, "Expired").await && !has(&relight, &other, "ReadingRefused").await);
            relight.act(Action::StopFailing);
            pass_until(&relight, &account, "ReadingResumed", TimeDelta::hours(8)).await;
        }
    }

    async fn a_renewal_that_meta_blocks_or_limits_for_days_is_told(engine: Engine) {
        for code in [368, 17] {
            let relight = Relight::start(engine).await;
            let owner = relight.signed_in("ann@example.com", Role::Owner).await;
            let account = relight.connected(&owner, LUMA).await;
            relight.act(answer("", "/refresh_access_token", 400, error("Temporarily blocked for policies violations", code, None)));
            relight.pass(TimeDelta::days(41));
            pass_until(&relight, &account, "RenewalFailing", TimeDelta::hours(13)).await;
            assert!(!has(&relight, &account, "Expired").await);
        }
    }

    async fn an_app_limit_does_not_count_as_a_failing_renewal(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, LUMA).await;
        relight.act(answer("", "/refresh_access_token", 403, error("(#4) Application request limit reached", 4, None)));
        relight.pass(TimeDelta::days(41));
        for _ in 0..8 {
            relight.pass(TimeDelta::hours(13));
            relight.settled().await;
        }
        assert!(relight.work_of(&account).await.contains("Meta limits our calls"), "it was tried");
        assert!(!has(&relight, &account, "RenewalFailing").await);
    }

    async fn one_read_ends_the_count_of_passing_errors(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let (account, _other) = (relight.connected(&owner, LUMA).await, relight.connected(&owner, SALT).await);
        relight.settled().await;
        // Without the reads in between these would be failures over more than three days.
        for _ in 0..5 {
            relight.act(answer(LUMA, "/media", 400, error("An unexpected error has occurred.", 2, None)));
            check(&relight, &owner, &account).await;
            until("a failed read", async || relight.work_of(&account).await.contains("Meta could not answer")).await;
            relight.act(Action::StopFailing);
            relight.pass(TimeDelta::hours(23));
            relight.settled().await;
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
        assert!(relight.work_of(&account).await.contains("Meta could not answer"), "it was tried");
        assert!(!has(&relight, &account, "Expired").await);
        assert_eq!(relight.held().await, 0);
    }

    async fn a_new_account_does_not_replace_the_account_that_last_worked(engine: Engine) {
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

    async fn an_incident_because_of_the_apps_own_token_ends_when_that_works(engine: Engine) {
        let relight = Relight::start_with_mails(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let _admin = relight.signed_in("root@example.com", Role::Admin).await;
        let (account, other) = (business(&relight, &owner, KEN).await, business(&relight, &owner, MIA).await);
        owner.add_widget(&other, domain::account::Plan::Upgraded).await;
        relight.pass_and_settle(TimeDelta::hours(2)).await;
        relight.act(answer("", "/debug_token", 400, error("Invalid OAuth access token signature.", 190, None)));
        check(&relight, &owner, &account).await;
        until("an incident", async || incidents(&relight).await == 1).await;
        // Posts go on being read, with people's tokens.
        for _ in 0..4 {
            relight.pass_and_settle(TimeDelta::minutes(35)).await;
        }
        assert_eq!((incidents(&relight).await, relight.mails_to("root@example.com").len()), (1, 1));
        assert_eq!(relight.held().await, 0, "it is no matter of the tokens");
        relight.act(Action::StopFailing);
        until("its end", async || {
            relight.pass(TimeDelta::minutes(5));
            incidents(&relight).await == 0
        }).await;
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
