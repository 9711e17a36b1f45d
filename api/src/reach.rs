//! Whether Meta can be reached: for `relight doctor` and for the page of operations.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use url::Url;

use crate::config::Config;

/// One of Meta's Graph APIs.
#[derive(Debug)]
pub struct Reached {
    /// For which login.
    pub login: &'static str,
    /// Where.
    pub url: Url,
    /// What time it says it is, if it does; or why it doesn't answer. `None`: no app with this login is configured, so nobody
    /// asked.
    pub answer: Option<Result<Option<DateTime<Utc>>, String>>,
}

/// Asks each Graph API for which an app is configured. Any answer will do: without a token it is an error, and an error of
/// Meta's shows that it is Meta.
pub async fn meta(config: &Config, timeout: Duration) -> Vec<Reached> {
    let apis = [
        ("Instagram", &config.instagram.graph_url, config.instagram.app_id.is_some()),
        ("Facebook", &config.facebook.graph_url, config.facebook.app_id.is_some()),
    ];
    let ask = async |login, url: &Url, used| Reached {
        login,
        url: url.clone(),
        answer: if used { Some(answers(url, timeout).await) } else { None },
    };
    join_all(apis.map(|(login, url, used)| ask(login, url, used))).await
}

async fn answers(url: &Url, timeout: Duration) -> Result<Option<DateTime<Utc>>, String> {
    let client = meta::client(timeout).map_err(|error| error.to_string())?;
    let answer = client.get(url.clone()).send().await.map_err(|error| error.without_url().to_string())?;
    Ok(meta::date(answer.headers()))
}
