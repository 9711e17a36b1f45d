//! The tour that the demo proposes, on a desk and on a phone, in the light and in the dark, with and without script.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::{on_both_engines, testing::Engine};
use sandbox::{Action, person::Consent};
use tests::{
    chromium::{Chromium, Window},
    relight::Relight,
};

use crate::{answer, open, sign_in};

const LUMA: &str = "luma.ceramics";

/// An account with three widgets, its owner's browser at its page.
async fn connected(engine: Engine, window: Window) -> (Relight, String, Chromium) {
    let relight = Relight::start(engine).await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = owner.connect(Connection::Consumer, relight.holder(LUMA)).await;
    for plan in [Plan::Upgraded, Plan::Free, Plan::Upgraded] {
        owner.add_widget(&account, plan).await;
    }
    let chromium = Chromium::open(window).await;
    sign_in(&relight, &chromium, "ann@example.com").await;
    (relight, account, chromium)
}

on_both_engines! {
    async fn a_changed_password_is_seen_and_healed_without_a_reload(engine: Engine) {
        let (relight, account, chromium) = connected(engine, Window::DESK).await;
        chromium.until("@luma.ceramics").await;
        chromium.picture("accounts").await;
        chromium.press("@luma.ceramics").await;
        chromium.until("Active").await.until_fresh(3).await;
        chromium.picture("account-active").await;
        relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
        relight.act(Action::AddPosts { holder: LUMA.to_owned(), count: 1 });
        // The last check was over a minute ago; looking at the page is enough.
        relight.clock.forward(chrono::TimeDelta::seconds(61));
        chromium.go(&format!("{}/accounts/{account}", relight.base)).await;
        chromium.until("Expired — password changed").await;
        chromium.picture("account-expired").await;
        chromium.press("Refresh token").await;
        chromium.picture("consent-instagram").await;
        answer(&chromium, &Consent::of(relight.holder(LUMA))).await;
        chromium.until("@luma.ceramics is refreshed").await.until("3 widgets are ").await;
        chromium.picture("refreshed").await;
        chromium.until_fresh(3).await.until("all 3 widgets are fresh").await;
        chromium.picture("refreshed-fresh").await;
        chromium.press("Back to the account").await;
        chromium.until("Token refreshed, generation 2").await;
        chromium.picture("account-history").await;
        chromium.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_left_open_goes_on_looking() {
    let (relight, account, chromium) = connected(Engine::Sqlite, Window::DESK).await;
    chromium.go(&format!("{}/accounts/{account}", relight.base)).await;
    chromium.until_fresh(3).await;
    relight.act(Action::RemoveApp { holder: LUMA.to_owned() });
    relight.clock.forward(chrono::TimeDelta::seconds(61));
    chromium.until("Expired — the app was removed").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_in_the_dark_everything_is_in_reach() {
    let (relight, account, chromium) = connected(Engine::Sqlite, Window { dark: true, ..Window::PHONE }).await;
    chromium.until("@luma.ceramics").await;
    for (path, name) in [
        ("/accounts".to_owned(), "phone-accounts"),
        (format!("/accounts/{account}"), "phone-account"),
        ("/connect".to_owned(), "phone-connect"),
        ("/token".to_owned(), "phone-token"),
    ] {
        chromium.go(&format!("{}{path}", relight.base)).await;
        chromium.picture(name).await;
        fits(&chromium, &path).await;
    }
    chromium.close().await;
}

/// Nothing on the page is wider than its window.
async fn fits(chromium: &Chromium, path: &str) {
    let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let wider = chromium.client.execute(wider, vec![]).await.expect("a number");
    assert_eq!(wider, 0, "{path} must be scrolled sideways");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_windows_between_a_phone_and_a_desk() {
    let (relight, account, owner) = connected(Engine::Sqlite, Window::DESK).await;
    owner.close().await;
    relight.add_user("admin@example.com", Role::Admin).await;
    for width in [520, 680, 720, 900] {
        let chromium = Chromium::open(Window { width, ..Window::DESK }).await;
        sign_in(&relight, &chromium, "admin@example.com").await;
        let of_account = format!("/accounts/{account}");
        for path in ["/accounts", &of_account, "/events", "/operations", "/webhooks", "/settings", "/token"] {
            chromium.go(&format!("{}{path}", relight.base)).await;
            fits(&chromium, &format!("{path} at {width}")).await;
        }
        chromium.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_script_and_without_a_mouse_a_token_is_refreshed() {
    let (relight, account, chromium) = connected(Engine::Sqlite, Window { script: false, ..Window::DESK }).await;
    relight.act(Action::LogOut { holder: LUMA.to_owned() });
    chromium.go(&format!("{}/accounts/{account}", relight.base)).await;
    // From one thing to the next with the Tab key, as far as needed.
    let tab_to = async |words: &str| {
        for _ in 0..60 {
            let focused = chromium.client.active_element().await.expect("a focus");
            if focused.text().await.expect("a text") == words {
                return focused;
            }
            focused.send_keys("\u{e004}").await.expect("a key");
        }
        panic!("{words:?} can't be reached by the keyboard")
    };
    tab_to("Check now").await.send_keys("\u{e007}").await.expect("a key");
    chromium.until("We are asking Meta").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !chromium.text().await.contains("Expired — logged out") {
        assert!(std::time::Instant::now() < deadline, "the check never ends");
        chromium.client.refresh().await.expect("reloaded");
    }
    tab_to("Refresh token").await.send_keys("\u{e007}").await.expect("a key");
    answer(&chromium, &Consent::of(relight.holder(LUMA))).await;
    chromium.until("@luma.ceramics is refreshed").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_staff_and_of_websites() {
    let (relight, account, chromium) = connected(Engine::Sqlite, Window::DESK).await;
    chromium.go(&format!("{}/accounts/{account}", relight.base)).await;
    chromium.until_fresh(3).await;
    let href = chromium.find("a[href^='/w/']").await.attr("href").await.expect("reads").expect("an address");
    chromium.close().await;
    let visitor = open(&relight, Window::DESK, &href).await;
    visitor.find("img").await;
    visitor.picture("widget").await;
    visitor.go(&relight.sandbox.url()).await;
    visitor.picture("sandbox-controls").await;
    visitor.close().await;
    relight.signed_in("root@example.com", Role::Admin).await;
    let staff = Chromium::open(Window::DESK).await;
    sign_in(&relight, &staff, "root@example.com").await;
    for (path, name) in [("/events", "events"), ("/operations", "operations"), ("/attempts", "attempts")] {
        staff.go(&format!("{}{path}", relight.base)).await;
        staff.picture(name).await;
    }
    staff.close().await;
}
