//! What Meta sends by itself: signed requests.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::{server::Sandbox, world::Login};

impl Sandbox {
    /// The `signed_request` by which Meta tells that somebody removed the app of a login: the app-scoped id of whom, and
    /// when, in seconds since 1970.
    pub fn signed_request(&self, login: Login, user_id: &str, issued_at: i64) -> String {
        let secret = match login {
            Login::Instagram => &self.config().instagram_app.1,
            Login::Facebook => &self.config().facebook_app.1,
        };
        let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": user_id}).to_string();
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
        mac.update(payload.as_bytes());
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}
