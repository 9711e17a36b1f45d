//! People at a real browser. What they see is kept as pictures under `target/screenshots`.

mod refusals;
mod tour;

use sandbox::person::Consent;
use tests::{
    chromium::{Chromium, Window},
    relight::{PASSWORD, Relight},
};

/// Signs in at the page.
async fn sign_in(relight: &Relight, chromium: &Chromium, email: &str) {
    chromium.go(&format!("{}/login", relight.base)).await;
    chromium.fill("#email", email).await;
    chromium.fill("#password", PASSWORD).await;
    chromium.press("Sign in").await;
    chromium.until("Sign out").await;
}

/// Answers the consent page that the browser is on.
async fn answer(chromium: &Chromium, answer: &Consent) {
    chromium.until("Relight wants to see your Instagram posts").await;
    if answer.cancel {
        return chromium.press("Cancel").await;
    }
    chromium.find("#holder").await.select_by_value(&answer.holder).await.expect("chosen");
    for permission in &answer.declined {
        chromium.find(&format!("input[value='{permission}']")).await.click().await.expect("unticked");
    }
    chromium.press("Allow").await;
}

async fn open(relight: &Relight, window: Window, path: &str) -> Chromium {
    let chromium = Chromium::open(window).await;
    chromium.go(&format!("{}{path}", relight.base)).await;
    chromium
}
