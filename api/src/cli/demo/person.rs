//! Somebody at a browser: signs in, connects accounts through the sandbox's consent pages, adds widgets.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use domain::{Connection, account::Plan};
use reqwest::{Client, Response, redirect};
use sandbox::person::{Consent, consent, values_of};
use secrecy::{ExposeSecret, SecretString};

pub(super) struct Person {
    browser: Client,
    base: String,
    csrf: String,
}

impl Person {
    pub(super) async fn sign_in(base: &str, email: &str, password: &SecretString) -> Result<Self> {
        let browser = meta::builder()
            .cookie_store(true)
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            // A connection that was kept may be closed by the server at the moment it is used again.
            .pool_max_idle_per_host(0)
            .build()?;
        let form = [("email", email), ("password", password.expose_secret())];
        browser.post(format!("{base}/login")).form(&form).send().await?;
        let page = browser.get(format!("{base}/connect")).send().await?.text().await?;
        let csrf = values_of(&page, "csrf").into_iter().next().context("the demo's user can't sign in")?;
        Ok(Self { browser, base: base.to_owned(), csrf })
    }

    async fn press(&self, path: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let mut form = vec![("csrf", self.csrf.as_str())];
        form.extend(fields);
        Ok(self.browser.post(format!("{}{path}", self.base)).form(&form).send().await?)
    }

    /// Connects an account; the answer is its path on the dashboard.
    pub(super) async fn connect(&self, connection: Connection, holder: &str, username: &str) -> Result<String> {
        let to_login = location(&self.press(&format!("/connect/{connection}"), &[]).await?)?;
        let back = consent(&self.browser, &url::Url::parse(&to_login)?, &Consent::of(holder)).await?;
        let result = location(&self.browser.get(back).send().await?)?;
        let page = self.browser.get(format!("{}{result}", self.base)).send().await?.text().await?;
        if page.contains("name=\"account\"") {
            let ids = values_of(&page, "account");
            let names: Vec<_> = page.split("checked> @").skip(1).filter_map(|rest| rest.split('<').next()).collect();
            let chosen = ids.iter().zip(names).find(|(_, name)| *name == username);
            let (id, _) = chosen.context("the account is not among the choices")?;
            self.press(&format!("{result}/choose"), &[("account", id)]).await?;
        }
        self.find(username).await?.with_context(|| format!("{username} was not connected"))
    }

    /// The path of an account on the dashboard.
    pub(super) async fn find(&self, username: &str) -> Result<Option<String>> {
        let list = self.browser.get(format!("{}/accounts", self.base)).send().await?.text().await?;
        let before = list.split(&format!("<strong>@{username}</strong>")).next().filter(|text| text.len() < list.len());
        let path = before.and_then(|text| text.rsplit("href=\"").next()).and_then(|rest| rest.split('"').next());
        Ok(path.map(str::to_owned))
    }

    pub(super) async fn add_widget(&self, account: &str, plan: Plan) -> Result<()> {
        let added = self.press(&format!("{account}/widgets"), &[("plan", plan.name())]).await?;
        if added.status().is_redirection() { Ok(()) } else { bail!("a widget was not added: {}", added.status()) }
    }

    /// Presses *Check now*.
    pub(super) async fn look_at(&self, username: &str) -> Result<()> {
        let account = self.find(username).await?.with_context(|| format!("{username} is gone"))?;
        self.press(&format!("{account}/check"), &[]).await?;
        Ok(())
    }
}

fn location(response: &Response) -> Result<String> {
    let location = response.headers().get("location").context("a page where a redirect belongs")?;
    Ok(location.to_str()?.to_owned())
}
