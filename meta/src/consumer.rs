//! Instagram Login, the consumer connection.
//!
//! Source: Meta, "Instagram API with Instagram Login: Business Login".

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::{
    Budget, ConsumerConfig, Http, LongToken, MetaError, Post, Presence, Profile,
    config::below,
    media::{MEDIA, Pages},
    shape::{Wrapped, id, optional_id, permissions, some_text},
    signed_request::{self, SignedRequest},
};

/// The client of one app with Instagram Login.
#[derive(Debug, Clone)]
pub struct Consumer {
    config: ConsumerConfig,
    http: Http,
}

/// What a code is exchanged for: a token that lives an hour.
#[derive(Debug)]
pub struct ShortToken {
    /// The token string.
    pub token: SecretString,
    /// What the person granted; `None`: the answer doesn't say.
    pub permissions: Option<Vec<String>>,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The account.
    pub profile: Profile,
    /// The person's id for this app alone: what Meta's callbacks name.
    pub app_scoped_id: Option<String>,
    /// Whether it is a personal account, whose posts the API doesn't give.
    pub personal: bool,
}

impl Consumer {
    /// A client.
    pub fn new(config: ConsumerConfig, http: Http) -> Self {
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

    /// Where to send a browser to log in. `reauthenticate` asks for credentials even if somebody is logged in.
    pub fn authorize_url(&self, redirect_uri: &str, state: &str, permissions: &[&str], reauthenticate: bool) -> Url {
        let mut url = self.config.authorize_url.clone();
        url.query_pairs_mut()
            .append_pair("client_id", &self.config.app_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", &permissions.join(","))
            .append_pair("state", state);
        if reauthenticate {
            url.query_pairs_mut().append_pair("force_reauth", "true");
        }
        url
    }

    /// Exchanges a code, once: it works a single time, so the call is never repeated.
    ///
    /// # Errors
    /// When Meta refuses the code or can't be asked.
    pub async fn exchange(&self, code: &SecretString, redirect_uri: &str) -> Result<ShortToken, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: SecretString,
            #[serde(default, deserialize_with = "permissions")]
            permissions: Option<Vec<String>>,
        }
        let form = [
            ("client_id", self.config.app_id.as_str()),
            ("client_secret", self.config.app_secret.expose_secret()),
            ("grant_type", "authorization_code"),
            ("redirect_uri", redirect_uri),
            ("code", code.expose_secret()),
        ];
        let request = self.http.post(self.config.token_url.clone(), &form);
        let answer = self.http.send::<Wrapped<Answer>>("oauth/access_token", request).await?.into_inner();
        Ok(ShortToken { token: answer.access_token, permissions: answer.permissions })
    }

    /// Asks whether Meta knows the app by its id and secret: no code of ours is right, and what is wrong with it says the rest.
    ///
    /// # Errors
    /// What Meta answers: always an error.
    pub async fn check_app(&self, redirect_uri: &str) -> Result<(), MetaError> {
        self.exchange(&"relight-doctor".to_owned().into(), redirect_uri).await.map(drop)
    }

    /// Exchanges a short token for one that lives 60 days.
    ///
    /// # Errors
    /// When Meta refuses or can't be asked.
    pub async fn extend(&self, short: &SecretString) -> Result<LongToken, MetaError> {
        let query = [
            ("grant_type", "ig_exchange_token"),
            ("client_secret", self.config.app_secret.expose_secret()),
            ("access_token", short.expose_secret()),
        ];
        let url = below(&self.config.graph_url, &["access_token"]);
        self.http.send::<LongToken>("access_token", self.http.get(url, &query)).await?.that_ends()
    }

    /// Extends the session of a token that is at least 24 hours old and hasn't run out.
    ///
    /// # Errors
    /// When Meta refuses or can't be asked.
    pub async fn renew(&self, token: &SecretString) -> Result<LongToken, MetaError> {
        let query = [("grant_type", "ig_refresh_token"), ("access_token", token.expose_secret())];
        let url = below(&self.config.graph_url, &["refresh_access_token"]);
        self.http.send::<LongToken>("refresh_access_token", self.http.get(url, &query)).await?.that_ends()
    }

    /// What Meta sent signed with the app's secret; `None` if it didn't.
    pub fn verify(&self, signed_request: &str) -> Option<SignedRequest> {
        signed_request::verify(&self.config.app_secret, signed_request)
    }

    /// Whose token it is. `about`: the account's id, if it is known, for what headers say of its limits.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn me(&self, token: &SecretString, about: Option<&str>) -> Result<Me, MetaError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(deserialize_with = "id")]
            user_id: String,
            #[serde(default, deserialize_with = "optional_id")]
            id: Option<String>,
            username: String,
            #[serde(default, deserialize_with = "some_text")]
            account_type: Option<String>,
        }
        let query = [("fields", "id,user_id,username,account_type"), ("access_token", token.expose_secret())];
        let url = below(&self.config.graph_url, &[&self.config.version, "me"]);
        let me = self.http.send_about::<Wrapped<Answer>>("me", about, self.http.get(url, &query)).await?.into_inner();
        Ok(Me {
            profile: Profile { instagram_id: me.user_id, username: me.username },
            app_scoped_id: me.id,
            personal: me.account_type.is_some_and(|kind| kind.eq_ignore_ascii_case("personal")),
        })
    }

    /// The account's latest posts, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn media(&self, token: &SecretString, instagram_id: &str, limit: usize) -> Result<Vec<Post>, MetaError> {
        let url = below(&self.config.graph_url, &[&self.config.version, instagram_id, "media"]);
        let secret = [("access_token", token.expose_secret())];
        let mut pages = Pages::new(limit, self.http.sizes(), instagram_id, self.http.budget().now());
        while let Some(query) = pages.query() {
            let request = self.http.get(url.clone(), &secret).query(&query);
            pages.add(self.http.send_about(MEDIA, Some(instagram_id), request).await)?;
        }
        pages.into_posts()
    }
}
