//! Facebook Login, the business connection.
//!
//! Source: Meta, "Instagram API with Facebook Login", "Facebook Login: Manually build a login flow", "Debug token".

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use crate::{
    Budget, BusinessConfig, Http, LongToken, MetaError, Post, Presence, Profile,
    config::below,
    error::Fields,
    media::Pages,
    shape::{id, optional_id, possible},
    signed_request::{self, SignedRequest},
};

/// How many Pages of one person are looked at. Who manages more must choose fewer in the login's dialog.
const PAGE_LIMIT: usize = 200;
/// How many Pages are asked about at once.
const PAGES_AT_ONCE: usize = 4;

/// The client of one app with Facebook Login.
#[derive(Debug, Clone)]
pub struct Business {
    config: BusinessConfig,
    http: Http,
}

/// What the login's dialog is asked to do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    /// Nothing.
    Usual,
    /// Ask again for permissions that were declined.
    Rerequest,
    /// Renew data access.
    Reauthorize,
}

/// What Meta knows of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// When the session ends; `None` if never, or not told.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it was told when the session ends.
    pub tells_end: bool,
    /// When data access ends; `None` if never.
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// The permissions that it has.
    pub scopes: Vec<String>,
    /// The person's app-scoped id.
    pub user_id: Option<String>,
}

/// A Page, and the Instagram account that is linked to it, if one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The account.
    pub account: Option<Profile>,
}

impl Business {
    /// A client.
    pub fn new(config: BusinessConfig, http: Http) -> Self {
        Self { config, http }
    }

    /// How much of what Meta allows the app is used up.
    pub fn budget(&self) -> &Budget {
        self.http.budget()
    }

    /// Whether Meta answers the app's calls.
    pub fn presence(&self) -> Presence {
        self.http.presence()
    }

    /// Asks Meta what time it is, without a token.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask_the_time(&self) -> Result<(), MetaError> {
        self.http.ask_the_time(self.config.graph_url.clone()).await
    }

    /// Where to send a browser to log in.
    pub fn authorize_url(&self, redirect_uri: &str, state: &str, permissions: &[&str], auth_type: AuthType) -> Url {
        let mut url = below(&self.config.dialog_url, &[&self.config.version, "dialog", "oauth"]);
        url.query_pairs_mut()
            .append_pair("client_id", &self.config.app_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", &permissions.join(","))
            .append_pair("state", state);
        match auth_type {
            AuthType::Usual => {}
            AuthType::Rerequest => drop(url.query_pairs_mut().append_pair("auth_type", "rerequest")),
            AuthType::Reauthorize => drop(url.query_pairs_mut().append_pair("auth_type", "reauthorize")),
        }
        url
    }

    /// Exchanges a code, once: it works a single time, so the call is never repeated.
    ///
    /// # Errors
    /// When Meta refuses the code or can't be asked.
    pub async fn exchange(&self, code: &SecretString, redirect_uri: &str) -> Result<LongToken, MetaError> {
        self.access_token(&[("redirect_uri", redirect_uri), ("code", code.expose_secret())]).await
    }

    /// Exchanges a token that works for one that lives 60 days from now. The old string must be replaced.
    ///
    /// # Errors
    /// When Meta refuses or can't be asked.
    pub async fn extend(&self, token: &SecretString) -> Result<LongToken, MetaError> {
        self.access_token(&[("grant_type", "fb_exchange_token"), ("fb_exchange_token", token.expose_secret())]).await
    }

    /// Extends the session of a token that works: the new string, and when its session ends; `None` if never. Where the
    /// answer leaves the end out, as Meta's may, the token's facts say it.
    ///
    /// # Errors
    /// When Meta refuses or can't be asked.
    pub async fn renew(
        &self,
        token: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<(SecretString, Option<DateTime<Utc>>), MetaError> {
        let long = self.extend(token).await?;
        let ends = match long.expires_in {
            Some(lasts) => Some(now + lasts),
            // Whatever is wrong with the new string says nothing of the one before.
            None => {
                let facts =
                    self.debug(&long.token).await.map_err(|_| MetaError::Unreadable("a token without its end"))?;
                facts.expires_at
            }
        };
        if ends.is_some_and(|end| end <= now) {
            return Err(MetaError::Unreadable("a token that has run out"));
        }
        Ok((long.token, ends))
    }

    async fn access_token(&self, query: &[(&str, &str)]) -> Result<LongToken, MetaError> {
        let url = below(&self.config.graph_url, &[&self.config.version, "oauth", "access_token"]);
        let app =
            [("client_id", self.config.app_id.as_str()), ("client_secret", self.config.app_secret.expose_secret())];
        self.http.send(self.http.get(url, query).query(&app)).await
    }

    /// What Meta sent signed with the app's secret; `None` if it didn't.
    pub fn verify(&self, signed_request: &str) -> Option<SignedRequest> {
        signed_request::verify(&self.config.app_secret, signed_request)
    }

    /// What Meta knows of a token. An invalid one is an error, as Meta puts it inside the answer.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn debug(&self, token: &SecretString) -> Result<TokenFacts, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Facts,
        }
        #[derive(Deserialize)]
        struct Facts {
            #[serde(default, deserialize_with = "optional_id")]
            app_id: Option<String>,
            is_valid: bool,
            #[serde(rename = "expires_at")]
            session_end: Option<i64>,
            #[serde(default, rename = "data_access_expires_at")]
            data_access_end: i64,
            scopes: Option<Vec<String>>,
            #[serde(default, deserialize_with = "optional_id")]
            user_id: Option<String>,
            error: Option<Fields>,
        }
        let app_token = format!("{}|{}", self.config.app_id, self.config.app_secret.expose_secret());
        let query = [("input_token", token.expose_secret()), ("access_token", app_token.as_str())];
        let url = below(&self.config.graph_url, &[&self.config.version, "debug_token"]);
        let Answer { data } = self.http.send(self.http.get(url, &query)).await?;
        if let Some(error) = data.error {
            return Err(MetaError::Answer(error.with_status(200)));
        }
        if data.app_id.is_some_and(|app_id| app_id != self.config.app_id) {
            return Err(MetaError::Unreadable("another app's token"));
        }
        if !data.is_valid {
            return Err(MetaError::Invalid);
        }
        // 0 means never.
        let instant = |seconds: i64| match DateTime::from_timestamp(seconds, 0).and_then(possible) {
            _ if seconds == 0 => Ok(None),
            None => Err(MetaError::Unreadable("an instant that can't be")),
            some => Ok(some),
        };
        Ok(TokenFacts {
            expires_at: instant(data.session_end.unwrap_or(0))?,
            tells_end: data.session_end.is_some(),
            data_access_expires_at: instant(data.data_access_end)?,
            scopes: data.scopes.ok_or(MetaError::Unreadable("a token without its permissions"))?,
            user_id: data.user_id,
        })
    }

    /// The permissions that the person granted.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn permissions(&self, token: &SecretString) -> Result<Vec<String>, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Vec<Permission>,
        }
        #[derive(Deserialize)]
        struct Permission {
            permission: String,
            status: String,
        }
        let answer: Answer = self.graph(token, None, &["me", "permissions"], &[]).await?;
        let granted = answer.data.into_iter().filter(|permission| permission.status == "granted");
        Ok(granted.map(|permission| permission.permission).collect())
    }

    /// The Pages that the person gave, each with its Instagram account.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn pages(&self, token: &SecretString) -> Result<Vec<Page>, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Vec<Listed>,
            paging: Option<Paging>,
        }
        #[derive(Deserialize)]
        struct Listed {
            #[serde(deserialize_with = "id")]
            id: String,
            #[serde(default)]
            name: String,
        }
        #[derive(Deserialize)]
        struct Paging {
            cursors: Option<Cursors>,
            next: Option<serde::de::IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Cursors {
            after: Option<String>,
        }
        let mut listed: Vec<Listed> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = vec![("fields", "id,name"), ("limit", "100")];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let answer: Answer = self.graph(token, None, &["me", "accounts"], &query).await?;
            let nothing_new = answer.data.is_empty();
            listed.extend(answer.data);
            after = answer.paging.filter(|paging| paging.next.is_some()).and_then(|paging| paging.cursors?.after);
            if after.is_none() || nothing_new || listed.len() >= PAGE_LIMIT {
                break;
            }
        }
        listed.truncate(PAGE_LIMIT);
        let mut pages = Vec::with_capacity(listed.len());
        let mut listed = listed.into_iter().peekable();
        while listed.peek().is_some() {
            let some: Vec<_> = listed.by_ref().take(PAGES_AT_ONCE).collect();
            let accounts = try_join_all(some.iter().map(|page| self.page_account(token, &page.id))).await?;
            let page = |(page, account): (Listed, _)| Page { id: page.id, name: page.name, account };
            pages.extend(some.into_iter().zip(accounts).map(page));
        }
        Ok(pages)
    }

    async fn page_account(&self, token: &SecretString, page: &str) -> Result<Option<Profile>, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            instagram_business_account: Option<Account>,
        }
        #[derive(Deserialize)]
        struct Account {
            #[serde(deserialize_with = "id")]
            id: String,
            username: String,
        }
        let answer: Answer =
            self.graph(token, None, &[page], &[("fields", "instagram_business_account{id,username}")]).await?;
        Ok(answer
            .instagram_business_account
            .map(|account| Profile { instagram_id: account.id, username: account.username }))
    }

    /// The account's latest posts, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn media(&self, token: &SecretString, instagram_id: &str, limit: usize) -> Result<Vec<Post>, MetaError> {
        let mut pages = Pages::new(limit);
        while let Some(query) = pages.query() {
            let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            pages.add(self.graph(token, Some(instagram_id), &[instagram_id, "media"], &query).await?);
        }
        Ok(pages.into_posts())
    }

    async fn graph<T: serde::de::DeserializeOwned>(
        &self,
        token: &SecretString,
        account: Option<&str>,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, MetaError> {
        let mut url = below(&self.config.graph_url, &[&self.config.version]);
        url = below(&url, path);
        let proof = self.appsecret_proof(token);
        let secrets = [("access_token", token.expose_secret()), ("appsecret_proof", proof.as_str())];
        self.http.send_about(account, self.http.get(url, query).query(&secrets)).await
    }

    /// Proves that the call comes from the app's own servers: hex HMAC-SHA256 of the token under the app's secret.
    /// Source: Meta, "Secure Graph API calls".
    fn appsecret_proof(&self, token: &SecretString) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.config.app_secret.expose_secret().as_bytes()) else {
            unreachable!("HMAC takes keys of any length");
        };
        mac.update(token.expose_secret().as_bytes());
        format!("{:x}", mac.finalize().into_bytes())
    }
}
