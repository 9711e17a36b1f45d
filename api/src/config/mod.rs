//! The configuration: `relight.toml`, and every key also as `RELIGHT_SECTION__KEY`, secrets also as `…_FILE`.
//!
//! What is wrong with it is one sentence that names the key, and never shows a secret.

mod environment;
mod fields;

use std::{net::SocketAddr, path::PathBuf};

use chrono::TimeDelta;
use domain::{
    Connection,
    schedule::{PullIntervals, Schedule},
};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use environment::Environment;

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the SQLite file and the key are, if no others are named.
    pub data_dir: PathBuf,
    /// The pages and the API.
    pub http: Http,
    /// Where the events are.
    pub database: Database,
    /// The keys that seal tokens.
    pub vault: Vault,
    /// The app with Instagram Login.
    pub instagram: Instagram,
    /// The app with Facebook Login.
    pub facebook: Facebook,
    /// How accounts are pulled.
    pub pull: Pull,
    /// How tokens are looked after.
    pub token: Token,
    /// The mail server.
    pub smtp: Smtp,
    /// The mails.
    pub mail: Mail,
    /// What the widget service is told.
    pub webhooks: Webhooks,
    /// Where people find help.
    pub support: Support,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            http: Http::default(),
            database: Database::default(),
            vault: Vault::default(),
            instagram: Instagram::default(),
            facebook: Facebook::default(),
            pull: Pull::default(),
            token: Token::default(),
            smtp: Smtp::default(),
            mail: Mail::default(),
            webhooks: Webhooks::default(),
            support: Support::default(),
        }
    }
}

/// `[http]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where browsers reach Relight.
    pub public_url: Url,
    /// Addresses of proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<std::net::IpAddr>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            public_url: fields::url("http://127.0.0.1:4000"),
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[database]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://FILE` or `postgres://…`.
    pub url: Option<SecretString>,
    /// How many connections there may be at once.
    #[serde(deserialize_with = "fields::number")]
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, connections: 16 }
    }
}

/// `[vault]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vault {
    /// `id:base64,…`: the first seals, all open.
    pub keys: Option<SecretString>,
}

/// `[instagram]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Instagram {
    /// The Instagram app's id.
    #[serde(deserialize_with = "fields::optional_text")]
    pub app_id: Option<String>,
    /// Its secret.
    pub app_secret: Option<SecretString>,
    /// The login's page.
    pub authorize_url: Url,
    /// Where a code becomes a token.
    pub token_url: Url,
    /// The Graph API.
    pub graph_url: Url,
    /// Its version.
    pub version: String,
    /// How long data access is assumed to last after a grant; 0: no assumption.
    #[serde(deserialize_with = "fields::number")]
    pub data_access_days: u32,
}

impl Default for Instagram {
    fn default() -> Self {
        Self {
            app_id: None,
            app_secret: None,
            authorize_url: fields::url("https://www.instagram.com/oauth/authorize"),
            token_url: fields::url("https://api.instagram.com/oauth/access_token"),
            graph_url: fields::url("https://graph.instagram.com"),
            version: "v25.0".to_owned(),
            data_access_days: 90,
        }
    }
}

/// `[facebook]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facebook {
    /// The app's id.
    #[serde(deserialize_with = "fields::optional_text")]
    pub app_id: Option<String>,
    /// Its secret.
    pub app_secret: Option<SecretString>,
    /// The login's pages.
    pub dialog_url: Url,
    /// The Graph API.
    pub graph_url: Url,
    /// The version of both.
    pub version: String,
}

impl Default for Facebook {
    fn default() -> Self {
        Self {
            app_id: None,
            app_secret: None,
            dialog_url: fields::url("https://www.facebook.com"),
            graph_url: fields::url("https://graph.facebook.com"),
            version: "v25.0".to_owned(),
        }
    }
}

/// `[pull]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pull {
    /// Minutes between two pulls of an account with an upgraded widget.
    #[serde(deserialize_with = "fields::number")]
    pub upgraded_minutes: u32,
    /// Minutes between two pulls of all others.
    #[serde(deserialize_with = "fields::number")]
    pub free_minutes: u32,
    /// How many posts a feed has.
    #[serde(deserialize_with = "fields::number")]
    pub posts: u32,
    /// How many accounts are worked on at once.
    #[serde(deserialize_with = "fields::number")]
    pub workers: u32,
}

impl Default for Pull {
    fn default() -> Self {
        Self { upgraded_minutes: 30, free_minutes: 360, posts: 24, workers: 8 }
    }
}

/// `[token]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Token {
    /// Days before its end on which a session is extended; 0: when a third of its life is left.
    #[serde(deserialize_with = "fields::number")]
    pub renew_days: u32,
    /// Days before data access ends on which people are reminded.
    #[serde(deserialize_with = "fields::numbers")]
    pub remind_days: Vec<u32>,
}

impl Default for Token {
    fn default() -> Self {
        Self { renew_days: 0, remind_days: vec![14, 7, 1] }
    }
}

/// `[smtp]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smtp {
    /// `smtps://USER:PASSWORD@HOST`, or `smtp://…:587?tls=required` for STARTTLS.
    pub url: Option<SecretString>,
}

/// `[mail]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Whom mails are from: `Relight <relight@example.com>`.
    pub from: Option<String>,
}

/// `[webhooks]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Whether endpoints may be on private networks, and reached by http.
    #[serde(deserialize_with = "fields::yes_or_no")]
    pub private: bool,
}

/// `[support]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Support {
    /// A page or a `mailto:` address.
    pub url: Option<Url>,
}

impl Config {
    /// Reads the file, if it is there, and the environment over it.
    ///
    /// # Errors
    /// A sentence that names the key that is missing or wrong.
    pub fn load(file: Option<PathBuf>) -> Result<Self, String> {
        if let Some(file) = &file
            && !file.is_file()
        {
            return Err(format!("The configuration file {} is not there.", file.display()));
        }
        let file = file.unwrap_or_else(|| PathBuf::from("relight.toml"));
        let environment = Environment::read(std::env::vars())?;
        let figment = Figment::new().merge(Toml::file(file)).merge(environment);
        let config: Self = figment.extract().map_err(|error| fields::sentence(&error))?;
        config.check()?;
        Ok(config)
    }

    /// What must fit together.
    ///
    /// # Errors
    /// A sentence that names the key that is missing or wrong.
    pub fn check(&self) -> Result<(), String> {
        let pairs = [
            ("instagram", &self.instagram.app_id, &self.instagram.app_secret),
            ("facebook", &self.facebook.app_id, &self.facebook.app_secret),
        ];
        for (section, id, secret) in pairs {
            match (id, secret) {
                (Some(_), None) => return Err(format!("{section}.app_secret is missing beside {section}.app_id.")),
                (None, Some(_)) => return Err(format!("{section}.app_id is missing beside {section}.app_secret.")),
                _ => {}
            }
        }
        if self.instagram.app_id.is_none() && self.facebook.app_id.is_none() {
            return Err(
                "instagram.app_id and instagram.app_secret, or facebook.app_id and facebook.app_secret, must be \
                        set: Relight needs an app at Meta for at least one of the two logins."
                    .to_owned(),
            );
        }
        let public = &self.http.public_url;
        if !matches!(public.scheme(), "http" | "https") || !public.has_host() || public.query().is_some() {
            return Err("http.public_url must be an http or https address without a query.".to_owned());
        }
        if public.path() != "/" {
            return Err("http.public_url must not have a path.".to_owned());
        }
        for (key, value) in [
            ("pull.upgraded_minutes", self.pull.upgraded_minutes),
            ("pull.free_minutes", self.pull.free_minutes),
            ("pull.posts", self.pull.posts),
            ("pull.workers", self.pull.workers),
            ("database.connections", self.database.connections),
        ] {
            if value == 0 {
                return Err(format!("{key} must be at least 1."));
            }
        }
        if self.token.renew_days > 59 || self.token.remind_days.iter().any(|days| !(1..=89).contains(days)) {
            return Err("token.renew_days is at most 59, and each of token.remind_days between 1 and 89.".to_owned());
        }
        if self.token.remind_days.len() > 10 {
            return Err("token.remind_days has at most 10 of them.".to_owned());
        }
        if self.pull.posts > 100 {
            return Err("pull.posts must be at most 100.".to_owned());
        }
        Ok(())
    }

    /// When what is due.
    pub fn schedule(&self) -> Schedule {
        let pull = PullIntervals {
            upgraded: TimeDelta::minutes(self.pull.upgraded_minutes.into()),
            free: TimeDelta::minutes(self.pull.free_minutes.into()),
        };
        let days = |days: u32| TimeDelta::days(days.into());
        let renew_before = (self.token.renew_days > 0).then(|| days(self.token.renew_days));
        Schedule { pull, renew_before, remind_before: self.token.remind_days.iter().copied().map(days).collect() }
    }

    /// The public URL without a slash at the end.
    pub fn public_url(&self) -> String {
        self.http.public_url.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether browsers come by https.
    pub fn is_https(&self) -> bool {
        self.http.public_url.scheme() == "https"
    }

    /// Where Meta must be told to send callbacks for a login, besides the login's redirect: deauthorize, data deletion.
    pub fn callbacks(&self, connection: Connection) -> [(&'static str, String); 3] {
        let public = self.public_url();
        [
            ("OAuth redirect", format!("{public}/oauth/{connection}/callback")),
            ("Deauthorize callback", format!("{public}/meta/{connection}/deauthorize")),
            ("Data deletion request", format!("{public}/meta/{connection}/data-deletion")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Environment::read(variables)?;
        let figment = Figment::new().merge(Toml::string(toml)).merge(environment);
        let config: Config = figment.extract().map_err(|error| fields::sentence(&error))?;
        config.check()?;
        Ok(config)
    }

    const APP: (&str, &str) = ("RELIGHT_INSTAGRAM__APP_ID", "0123");
    const SECRET: (&str, &str) = ("RELIGHT_INSTAGRAM__APP_SECRET", "9876");

    #[test]
    fn the_environment_goes_over_the_file() {
        let toml = "[instagram]\napp_id = 77\napp_secret = 'x'\n[pull]\nposts = 12";
        let config = load(toml, &[("RELIGHT_PULL__POSTS", "30"), ("RELIGHT_DATA_DIR", "/tmp/x")]).expect("loads");
        assert_eq!((config.instagram.app_id.as_deref(), config.pull.posts), (Some("77"), 30));
        assert_eq!(config.data_dir, PathBuf::from("/tmp/x"));
    }

    #[test]
    fn numbers_in_the_environment_stay_texts_where_texts_belong() {
        assert_eq!(load("", &[APP, SECRET]).expect("loads").instagram.app_id.as_deref(), Some("0123"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_by_its_key() {
        type Variables = &'static [(&'static str, &'static str)];
        let wrong: &[(&str, Variables, &str)] = &[
            ("", &[], "instagram.app_id"),
            ("", &[APP], "instagram.app_secret"),
            ("", &[APP, SECRET, ("RELIGHT_PULL__POSTS", "many")], "pull.posts"),
            ("", &[APP, SECRET, ("RELIGHT_PULL__POSTS", "0")], "pull.posts"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__LISTEN", "here")], "http.listen"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__PUBLIC_URL", "relight.example")], "http.public_url"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__PUBLIK_URL", "x")], "publik_url"),
            ("[instagram]\napp_secret = ['topsecret']", &[APP], "instagram.app_secret"),
        ];
        for (toml, variables, key) in wrong {
            let sentence = load(toml, variables).expect_err(key);
            assert!(sentence.contains(key) && !sentence.contains('\n'), "{key}: {sentence}");
            assert!(!sentence.contains("topsecret"), "{sentence}");
        }
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        use secrecy::ExposeSecret;
        let file = std::env::temp_dir().join(format!("relight-secret-{}", std::process::id()));
        std::fs::write(&file, "from a file\n").expect("written");
        let name = "RELIGHT_INSTAGRAM__APP_SECRET_FILE";
        let config = load("", &[APP, (name, file.to_str().expect("a path"))]).expect("loads");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(config.instagram.app_secret.expect("set").expose_secret(), "from a file");
        assert!(load("", &[APP, (name, "/nowhere")]).expect_err("missing").contains(name));
    }

    #[test]
    fn the_defaults_hold_together() {
        let config = load("", &[APP, SECRET]).expect("loads");
        assert_eq!(config.public_url(), "http://127.0.0.1:4000");
        assert_eq!(config.callbacks(Connection::Consumer)[0].1, "http://127.0.0.1:4000/oauth/consumer/callback");
    }
}
