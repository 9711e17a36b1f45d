//! What people meet when a login leads to nothing: each page says what happened and offers the way out.

use ::api::sign_in::Role;
use domain::Connection;
use engine::testing::Engine;
use sandbox::person::Consent;
use tests::{
    chromium::{Chromium, Window},
    relight::Relight,
};

use crate::{answer, open, sign_in};

/// An account that is connected, and somebody at the access token page.
async fn at_the_access_token_page(connection: Connection, holder: &str) -> (Relight, Chromium) {
    let relight = Relight::start(Engine::Sqlite).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    owner.connect(connection, relight.holder(holder)).await;
    let chromium = open(&relight, Window::DESK, "/token").await;
    (relight, chromium)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_token_page_needs_no_sign_in() {
    let (relight, chromium) = at_the_access_token_page(Connection::Consumer, "luma.ceramics").await;
    chromium.picture("token").await;
    chromium.press("Log in with Instagram").await;
    answer(&chromium, &Consent { cancel: true, ..Consent::of("") }).await;
    chromium.until("The login was cancelled").await.until("Nothing was changed").await;
    chromium.picture("cancelled").await;
    chromium.press("Try again").await;
    answer(&chromium, &Consent::of(relight.holder("luma.ceramics"))).await;
    chromium.until("@luma.ceramics is refreshed").await;
    chromium.picture("token-refreshed").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_button_leads_to_the_right_one() {
    let (relight, chromium) = at_the_access_token_page(Connection::Business, "Ken Sato").await;
    chromium.press("Log in with Instagram").await;
    answer(&chromium, &Consent::of(relight.holder("hoshi.tea"))).await;
    chromium.until("@hoshi.tea uses the business connection").await;
    chromium.picture("wrong-button").await;
    chromium.press("Log in with Facebook").await;
    chromium.until("Logged in at Facebook").await.picture("consent-facebook").await;
    answer(&chromium, &Consent::of(relight.holder("Ken Sato"))).await;
    chromium.until("@hoshi.tea is refreshed").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_person_is_named_and_asked_for_other_credentials() {
    let relight = Relight::start(Engine::Sqlite).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
    let chromium = Chromium::open(Window::DESK).await;
    sign_in(&relight, &chromium, "ann@example.com").await;
    chromium.go(&format!("{}/accounts/{account}", relight.base)).await;
    chromium.press("Refresh token").await;
    answer(&chromium, &Consent::of(relight.holder("oakandiron"))).await;
    chromium.until("You meant @luma.ceramics, but the login was for @oakandiron").await;
    chromium.picture("wrong-person").await;
    chromium.press("Log in as somebody else").await;
    chromium.until("You were asked to log in again").await;
    answer(&chromium, &Consent::of(relight.holder("luma.ceramics"))).await;
    chromium.until("@luma.ceramics is refreshed").await;
    chromium.press("Back to the account").await;
    chromium.until("That was another Instagram account").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_permission_is_named_and_asked_for_again() {
    let (relight, chromium) = at_the_access_token_page(Connection::Business, "Ken Sato").await;
    chromium.press("Log in with Facebook").await;
    let ken = Consent::of(relight.holder("Ken Sato"));
    answer(&chromium, &Consent { declined: ["pages_show_list".to_owned()].into(), ..ken.clone() }).await;
    chromium.until("Without pages_show_list (the list of your Pages)").await;
    chromium.picture("permission-missing").await;
    chromium.press("Try again").await;
    chromium.until("You declined something that is needed").await;
    answer(&chromium, &ken).await;
    chromium.until("@hoshi.tea is refreshed").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_was_never_connected_is_error_1075() {
    let (relight, chromium) = at_the_access_token_page(Connection::Consumer, "luma.ceramics").await;
    chromium.press("Log in with Instagram").await;
    answer(&chromium, &Consent::of(relight.holder("never.seen.before"))).await;
    chromium.until("It seems that this Instagram account was never connected before").await.until("Code 1075").await;
    chromium.picture("never-connected").await;
    chromium.press("Connect the account").await;
    chromium.until("Sign in").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_accounts_is_chosen() {
    let relight = Relight::start(Engine::Sqlite).await;
    relight.signed_in("ann@example.com", Role::Owner).await;
    let chromium = Chromium::open(Window::DESK).await;
    sign_in(&relight, &chromium, "ann@example.com").await;
    chromium.picture("no-account").await;
    chromium.press("Connect an account").await;
    chromium.picture("connect").await;
    chromium.press("Connect with Facebook").await;
    answer(&chromium, &Consent::of(relight.holder("Mia Berg"))).await;
    chromium.until("Which accounts do you want to connect?").await;
    chromium.picture("choose").await;
    chromium.press("Connect").await;
    chromium.until("3 accounts are connected").await;
    chromium.picture("connected").await;
    chromium.close().await;
}
