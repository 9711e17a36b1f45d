//! The sections of the configuration, each with its defaults.

use std::net::SocketAddr;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::fields;

/// `[http]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where browsers reach Relight.
    pub public_url: Url,
    /// Addresses or networks (CIDR) of proxies whose `X-Forwarded-For` counts.
    #[serde(deserialize_with = "fields::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How many connections there may be at once; fewer if the limit of open files leaves fewer.
    #[serde(deserialize_with = "fields::number")]
    pub connections: u32,
    /// How many of them one client address may have (IPv6: one /64), half of all at most. Trusted proxies may have all.
    #[serde(deserialize_with = "fields::number")]
    pub connections_per_address: u32,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            public_url: fields::url("http://127.0.0.1:4000"),
            trusted_proxies: Vec::new(),
            connections: 4096,
            connections_per_address: 256,
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
    /// A configuration of Facebook Login for Business: what is asked for stands there.
    #[serde(deserialize_with = "fields::optional_text")]
    pub config_id: Option<String>,
    /// Permissions that are asked for besides: `business_management` reaches the Pages of portfolios.
    #[serde(deserialize_with = "fields::texts")]
    pub extra_permissions: Vec<String>,
}

impl Default for Facebook {
    fn default() -> Self {
        Self {
            app_id: None,
            app_secret: None,
            dialog_url: fields::url("https://www.facebook.com"),
            graph_url: fields::url("https://graph.facebook.com"),
            version: "v25.0".to_owned(),
            config_id: None,
            extra_permissions: Vec::new(),
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

/// `[incident]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Incident {
    /// So many accounts refused…
    #[serde(deserialize_with = "fields::number")]
    pub accounts: u32,
    /// …and such a part of those that were called, in percent…
    #[serde(deserialize_with = "fields::number")]
    pub percent: u32,
    /// …within so many minutes are an incident.
    #[serde(deserialize_with = "fields::number")]
    pub minutes: u32,
}

impl Default for Incident {
    fn default() -> Self {
        Self { accounts: 3, percent: 20, minutes: 5 }
    }
}

/// `[retention]`: for how many days rows are kept that no account needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Trips to Meta's login, and what came of them.
    #[serde(deserialize_with = "fields::number")]
    pub logins_days: u32,
    /// Who was told what by mail, and incidents.
    #[serde(deserialize_with = "fields::number")]
    pub mails_days: u32,
    /// What web hooks' endpoints were told.
    #[serde(deserialize_with = "fields::number")]
    pub deliveries_days: u32,
    /// Calls of Meta that failed.
    #[serde(deserialize_with = "fields::number")]
    pub tries_days: u32,
    /// Posts of an account that was disconnected, or whose person removed the app.
    #[serde(deserialize_with = "fields::number")]
    pub posts_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { logins_days: 90, mails_days: 400, deliveries_days: 30, tries_days: 7, posts_days: 7 }
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
