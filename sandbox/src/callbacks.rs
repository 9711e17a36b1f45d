//! What Meta sends by itself: signed requests.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::{
    server::{Meta, Sandbox},
    world::Login,
};

/// How soon somebody's removal of the app is told.
const SOON: Duration = Duration::from_millis(500);

impl Sandbox {
    /// The `signed_request` by which Meta tells that somebody removed the app of a login: the app-scoped id of whom, and
    /// when, in seconds since 1970.
    pub fn signed_request(&self, login: Login, user_id: &str, issued_at: i64) -> String {
        signed_request(secret(self.config(), login), user_id, issued_at)
    }
}

fn secret(config: &crate::Config, login: Login) -> &str {
    match login {
        Login::Instagram => &config.instagram_app.1,
        Login::Facebook => &config.facebook_app.1,
    }
}

fn signed_request(secret: &str, user_id: &str, issued_at: i64) -> String {
    let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": user_id}).to_string();
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(payload.as_bytes());
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Calls the deauthorize callback for whoever removed the app. Meta doesn't promise it, and neither do we: once.
pub(crate) async fn tell_removed(meta: Meta) {
    loop {
        tokio::time::sleep(SOON).await;
        let Some(base) = meta.tells() else { continue };
        let removed: Vec<_> = meta.world().removed.drain(..).collect();
        if removed.is_empty() {
            continue;
        }
        let Some(client) = client() else { continue };
        for (login, user, at) in removed {
            let connection = match login {
                Login::Instagram => "consumer",
                Login::Facebook => "business",
            };
            let request = signed_request(secret(&meta.config, login), &user, at);
            let call = client.post(format!("{base}/meta/{connection}/deauthorize"));
            if let Err(error) = call.form(&[("signed_request", request)]).send().await {
                tracing::warn!(%error, "the deauthorize callback could not be called");
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the sandbox shares no client with the service that it calls")]
fn client() -> Option<reqwest::Client> {
    let built = reqwest::Client::builder().timeout(Duration::from_secs(5)).redirect(reqwest::redirect::Policy::none());
    built.build().inspect_err(|error| tracing::warn!(%error, "the deauthorize callback can't be called")).ok()
}
