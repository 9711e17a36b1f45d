//! What end-to-end tests share: a sandbox to talk to, Relight on a database of its own, people at browsers.

pub mod browser;
pub mod chromium;
mod crowd;
mod everything;
pub mod process;
pub mod raw;
pub mod relight;
mod settled;
pub mod tls_mail;

use std::time::Duration;

use meta::{Business, BusinessConfig, Consumer, ConsumerConfig, Http};
use sandbox::{Config, Sandbox};
use url::Url;

pub use engine::testing::{fault_after, found, until};
pub use everything::everything;

/// Starts a sandbox on a free port.
///
/// # Panics
/// When it can't listen on loopback.
pub async fn sandbox() -> Sandbox {
    Sandbox::start(Config::default()).await.expect("the sandbox starts")
}

/// Clients of both logins that talk to the sandbox.
///
/// # Panics
/// When the machine has no TLS.
pub fn clients(sandbox: &Sandbox, timeout: Duration) -> (Consumer, Business) {
    let client = meta::client(timeout).expect("a client");
    let http = || Http::new(client.clone(), std::sync::Arc::new(|| chrono::DateTime::UNIX_EPOCH));
    let url = |path: &str| Url::parse(&format!("{}{path}", sandbox.url())).expect("a URL");
    let config = sandbox.config();
    let consumer = ConsumerConfig {
        app_id: config.instagram_app.0.clone(),
        app_secret: config.instagram_app.1.clone().into(),
        authorize_url: url("/oauth/authorize"),
        token_url: url("/oauth/access_token"),
        graph_url: url("/instagram"),
        version: "v25.0".to_owned(),
    };
    let business = BusinessConfig {
        app_id: config.facebook_app.0.clone(),
        app_secret: config.facebook_app.1.clone().into(),
        dialog_url: url("/facebook"),
        graph_url: url("/graph"),
        version: "v25.0".to_owned(),
        config_id: None,
        extra_permissions: Vec::new(),
    };
    (Consumer::new(consumer, http()), Business::new(business, http()))
}
