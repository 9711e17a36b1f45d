//! A person at a browser without script: walks through the sandbox's consent page.

use std::collections::BTreeSet;

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

/// Answers the consent page that a login's URL leads to; returns where the browser is sent back.
///
/// # Panics
/// When the page isn't as it must be.
pub async fn consent(browser: &reqwest::Client, login: &Url, consent: &Consent) -> Url {
    let page = browser.get(login.clone()).send().await.expect("the login answers");
    assert!(page.status().is_success(), "the login's page: {}", page.status());
    let html = page.text().await.expect("a page");
    let values = |name: &str| {
        let start = format!("name=\"{name}\" value=\"");
        let parts = html.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
        parts.map(|value| value.replace("&#38;", "&").replace("&amp;", "&")).collect::<Vec<_>>()
    };
    let mut form = vec![("holder".to_owned(), consent.holder.clone())];
    let mut add = |name: &str, values: Vec<String>| form.extend(values.into_iter().map(|v| (name.to_owned(), v)));
    add("redirect_uri", values("redirect_uri"));
    add("state", values("state"));
    add("permission", values("permission").into_iter().filter(|name| !consent.declined.contains(name)).collect());
    let ticked = |page: &String| consent.pages.as_ref().is_none_or(|pages| pages.contains(page));
    add("page", values("page").into_iter().filter(ticked).collect());
    add("answer", vec![if consent.cancel { "cancel" } else { "allow" }.to_owned()]);
    let action = html.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let answer = browser.post(login.join(action).expect("a URL")).form(&form).send().await.expect("an answer");
    let location = answer.headers().get("location").expect("sent back").to_str().expect("a text");
    Url::parse(location).expect("a URL")
}
