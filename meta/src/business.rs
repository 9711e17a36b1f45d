//! Facebook Login, the business connection.
//!
//! Source: Meta, "Instagram API with Facebook Login", "Facebook Login: Manually build a login flow", "Debug token".

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use crate::{
    Budget, BusinessConfig, Http, LongToken, MetaError, Post, Presence, Profile,
    config::below,
    facts::End,
    media::{MEDIA, Pages},
    shape::id,
    signed_request::{self, SignedRequest},
};

const ACCESS_TOKEN: &str = "oauth/access_token";

/// The client of one app with Facebook Login.
#[derive(Debug, Clone)]
pub struct Business {
    pub(crate) config: BusinessConfig,
    pub(crate) http: Http,
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
            .append_pair("state", state);
        // Facebook Login for Business: a configuration at Meta says what is asked for.
        match &self.config.config_id {
            Some(config_id) => drop(url.query_pairs_mut().append_pair("config_id", config_id)),
            None => {
                let extra = self.config.extra_permissions.iter().map(String::as_str);
                let all: Vec<_> = permissions.iter().copied().chain(extra).collect();
                url.query_pairs_mut().append_pair("scope", &all.join(","));
            }
        }
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
                let facts = self.debug(&long.token).await;
                let facts = facts.map_err(|_| MetaError::unreadable(ACCESS_TOKEN, "a token without its end"))?;
                match facts.session_ends {
                    End::Untold => return Err(MetaError::unreadable(ACCESS_TOKEN, "a token without its end")),
                    told => told.at(),
                }
            }
        };
        if ends.is_some_and(|end| end <= now) {
            return Err(MetaError::unreadable(ACCESS_TOKEN, "a token that has run out"));
        }
        Ok((long.token, ends))
    }

    async fn access_token(&self, query: &[(&str, &str)]) -> Result<LongToken, MetaError> {
        let url = below(&self.config.graph_url, &[&self.config.version, "oauth", "access_token"]);
        let app =
            [("client_id", self.config.app_id.as_str()), ("client_secret", self.config.app_secret.expose_secret())];
        self.http.send(ACCESS_TOKEN, self.http.get(url, query).query(&app)).await
    }

    /// What Meta sent signed with the app's secret; `None` if it didn't.
    pub fn verify(&self, signed_request: &str) -> Option<SignedRequest> {
        signed_request::verify(&self.config.app_secret, signed_request)
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
        let answer: Answer = self.graph("me/permissions", token, None, &["me", "permissions"], &[]).await?;
        let granted = answer.data.into_iter().filter(|permission| permission.status == "granted");
        Ok(granted.map(|permission| permission.permission).collect())
    }

    /// Asks whether Meta knows the app by its id and secret.
    ///
    /// # Errors
    /// When Meta refuses them or can't be asked.
    pub async fn check_app(&self) -> Result<(), MetaError> {
        let app_token = format!("{}|{}", self.config.app_id, self.config.app_secret.expose_secret());
        let query = [("fields", "id"), ("access_token", app_token.as_str())];
        let url = below(&self.config.graph_url, &[&self.config.version, &self.config.app_id]);
        let asked = self.http.send("app", self.http.get(url, &query)).await;
        asked.map(|_: serde::de::IgnoredAny| ()).map_err(MetaError::by_app)
    }

    /// What the account is called now.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn profile(&self, token: &SecretString, instagram_id: &str) -> Result<Profile, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(deserialize_with = "id")]
            id: String,
            username: String,
        }
        let query = [("fields", "id,username")];
        let answer: Answer = self.graph("profile", token, Some(instagram_id), &[instagram_id], &query).await?;
        Ok(Profile { instagram_id: answer.id, username: answer.username })
    }

    /// The account's latest posts, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn media(&self, token: &SecretString, instagram_id: &str, limit: usize) -> Result<Vec<Post>, MetaError> {
        let mut pages = Pages::new(limit, self.http.sizes(), instagram_id, self.http.budget().now());
        while let Some(query) = pages.query() {
            let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            pages.add(self.graph(MEDIA, token, Some(instagram_id), &[instagram_id, "media"], &query).await)?;
        }
        pages.into_posts()
    }

    pub(crate) async fn graph<T: serde::de::DeserializeOwned>(
        &self,
        call: &'static str,
        token: &SecretString,
        account: Option<&str>,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, MetaError> {
        let mut url = below(&self.config.graph_url, &[&self.config.version]);
        url = below(&url, path);
        let proof = self.appsecret_proof(token);
        let secrets = [("access_token", token.expose_secret()), ("appsecret_proof", proof.as_str())];
        self.http.send_about(call, account, self.http.get(url, query).query(&secrets)).await
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
