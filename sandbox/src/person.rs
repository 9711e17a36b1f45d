//! Somebody at a browser without script, for the demo and for tests: answers a consent page as a person would.

use std::{collections::BTreeSet, io};

use url::Url;

/// What somebody answers on a consent page.
#[derive(Debug, Clone)]
pub struct Consent {
    /// As whom they are logged in: an account's or a Facebook user's id.
    pub holder: String,
    /// Permissions whose boxes they untick.
    pub declined: BTreeSet<String>,
    /// The Pages they tick; `None`: all.
    pub pages: Option<BTreeSet<String>>,
    /// Cancel instead.
    pub cancel: bool,
}

impl Consent {
    /// Allows everything.
    pub fn of(holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), declined: BTreeSet::new(), pages: None, cancel: false }
    }
}

/// Answers the consent page that a login's URL leads to; returns where the browser is sent back. `browser` must not
/// follow redirects.
///
/// # Errors
/// When the sandbox can't be reached, or answers with something else than its consent page.
pub async fn consent(browser: &reqwest::Client, login: &Url, consent: &Consent) -> io::Result<Url> {
    let page = browser.get(login.clone()).send().await.map_err(io::Error::other)?;
    let page = page.error_for_status().map_err(io::Error::other)?.text().await.map_err(io::Error::other)?;
    let mut form = vec![("holder", consent.holder.clone())];
    form.push(("answer", if consent.cancel { "cancel" } else { "allow" }.to_owned()));
    for name in ["redirect_uri", "state", "auth_type", "permission", "page"] {
        let ticked = |value: &String| match name {
            "permission" => !consent.declined.contains(value),
            "page" => consent.pages.as_ref().is_none_or(|pages| pages.contains(value)),
            _ => true,
        };
        form.extend(values_of(&page, name).into_iter().filter(ticked).map(|value| (name, value)));
    }
    let strange = || io::Error::other("that is no consent page");
    let action = page.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or_else(strange)?;
    let action = login.join(action).map_err(io::Error::other)?;
    let answer = browser.post(action).form(&form).send().await.map_err(io::Error::other)?;
    let back = answer.headers().get("location").and_then(|value| value.to_str().ok()).ok_or_else(strange)?;
    Url::parse(back).map_err(io::Error::other)
}

/// The values of a page's fields of a name.
pub fn values_of(page: &str, name: &str) -> Vec<String> {
    let start = format!("name=\"{name}\" value=\"");
    let found = page.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
    found.map(|value| value.replace("&#38;", "&").replace("&amp;", "&")).collect()
}
