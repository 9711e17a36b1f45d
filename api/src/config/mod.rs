//! The configuration: `relight.toml`, and every key also as `RELIGHT_SECTION__KEY`, secrets also as `…_FILE`.
//!
//! What is wrong with it is one sentence that names the key, and never shows a secret.

mod environment;
mod fields;
mod sections;

use std::{ops::RangeInclusive, path::PathBuf};

use chrono::TimeDelta;
use commands::incident::Guard;
use domain::{
    Connection,
    schedule::{PullIntervals, Schedule},
};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde::Deserialize;

use environment::Environment;
pub use sections::{
    Database, Facebook, Http, Incident, Instagram, Mail, Pull, Retention, Smtp, Support, Token, Vault, Webhooks,
};

/// Thirty days: nothing that Relight waits for regularly is further apart.
const MONTH_MINUTES: u32 = 30 * 24 * 60;

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
    /// When many refused tokens are one incident.
    pub incident: Incident,
    /// For how long rows are kept that no account needs.
    pub retention: Retention,
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
            incident: Incident::default(),
            retention: Retention::default(),
            smtp: Smtp::default(),
            mail: Mail::default(),
            webhooks: Webhooks::default(),
            support: Support::default(),
        }
    }
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
        if !public.username().is_empty() || public.password().is_some() {
            return Err("http.public_url must not have a user or a password: it is shown to everybody.".to_owned());
        }
        if self.support.url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https" | "mailto")) {
            return Err("support.url must be an http or https address, or a mailto: address.".to_owned());
        }
        if public.path() != "/" {
            return Err("http.public_url must not have a path.".to_owned());
        }
        for (key, value, range) in self.numbers() {
            let (least, most) = (range.start(), range.end());
            match value {
                value if value < *least => return Err(format!("{key} must be at least {least}.")),
                value if value > *most => return Err(format!("{key} must be at most {most}.")),
                _ => {}
            }
        }
        if self.token.renew_days > 59 || self.token.remind_days.iter().any(|days| !(1..=89).contains(days)) {
            return Err("token.renew_days is at most 59, and each of token.remind_days between 1 and 89.".to_owned());
        }
        if self.token.remind_days.len() > 10 {
            return Err("token.remind_days has at most 10 of them.".to_owned());
        }
        Ok(())
    }

    /// All numbers, and what they may be: whatever is made of them is an instant, a count or a size that there can be.
    fn numbers(&self) -> [(&'static str, u32, RangeInclusive<u32>); 16] {
        let Self { pull, incident, retention, .. } = self;
        [
            ("pull.upgraded_minutes", pull.upgraded_minutes, 1..=MONTH_MINUTES),
            ("pull.free_minutes", pull.free_minutes, 1..=MONTH_MINUTES),
            ("pull.posts", pull.posts, 1..=100),
            ("pull.workers", pull.workers, 1..=1_000),
            ("database.connections", self.database.connections, 1..=1_000),
            ("http.connections", self.http.connections, 1..=1_000_000),
            ("http.connections_per_address", self.http.connections_per_address, 1..=1_000_000),
            ("incident.accounts", incident.accounts, 1..=1_000_000),
            ("incident.percent", incident.percent, 1..=100),
            ("incident.minutes", incident.minutes, 1..=MONTH_MINUTES),
            ("retention.logins_days", retention.logins_days, 1..=3_650),
            ("retention.mails_days", retention.mails_days, 1..=3_650),
            ("retention.deliveries_days", retention.deliveries_days, 1..=3_650),
            ("retention.tries_days", retention.tries_days, 1..=3_650),
            ("retention.posts_days", retention.posts_days, 0..=30),
            ("instagram.data_access_days", self.instagram.data_access_days, 0..=3_650),
        ]
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

    /// When token errors are an incident.
    pub fn guard(&self) -> Guard {
        let Incident { accounts, percent, minutes } = self.incident;
        Guard { accounts: accounts.into(), percent: percent.into(), within: TimeDelta::minutes(minutes.into()) }
    }

    /// The public URL without a slash at the end.
    pub fn public_url(&self) -> String {
        self.http.public_url.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether browsers come by https.
    pub fn is_https(&self) -> bool {
        self.http.public_url.scheme() == "https"
    }

    /// A cookie's name: under https with the prefix by which browsers take it from this host alone, and from no other path
    /// or scheme. Source: RFC 6265bis, section 4.1.3.2.
    pub fn cookie(&self, name: &str) -> String {
        if self.is_https() { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// Where Meta must be told to send callbacks for a login, besides the login's redirect.
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
            ("", &[APP, SECRET, ("RELIGHT_PULL__POSTS", "101")], "pull.posts"),
            ("", &[APP, SECRET, ("RELIGHT_SUPPORT__URL", "javascript:alert(1)")], "support.url"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__PUBLIC_URL", "https://u:topsecret@host")], "http.public_url"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__LISTEN", "here")], "http.listen"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__PUBLIC_URL", "relight.example")], "http.public_url"),
            ("", &[APP, SECRET, ("RELIGHT_HTTP__PUBLIK_URL", "x")], "There is no key http.publik_url."),
            ("", &[APP, SECRET, ("RELIGHT_HTPP", "x")], "There is no key htpp."),
            ("[http]\npublik_url = 'x'", &[APP, SECRET], "There is no key http.publik_url."),
            ("[http.http]\nx = 1", &[APP, SECRET], "There is no key http.http."),
            ("htpp = 1", &[APP, SECRET], "There is no key htpp."),
            ("[instagram]\napp_secret = ['topsecret']", &[APP], "instagram.app_secret"),
        ];
        for (toml, variables, key) in wrong {
            let sentence = load(toml, variables).expect_err(key);
            assert!(sentence.contains(key) && !sentence.contains('\n'), "{key}: {sentence}");
            assert!(!sentence.contains("topsecret"), "{sentence}");
        }
    }

    #[test]
    fn every_number_has_its_bounds() {
        let sections = include_str!("sections.rs");
        let mut fields = 0;
        for (section, fields_of_it) in sections.split("/// `[").skip(1).filter_map(|text| text.split_once(']')) {
            let names =
                fields_of_it.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(": u32,"));
            for name in names {
                fields += 1;
                let variable = format!("RELIGHT_{}__{}", section.to_uppercase(), name.to_uppercase());
                let sentence = load("", &[APP, SECRET, (&variable, "4294967295")]).expect_err(&variable);
                assert!(sentence.contains(&format!("{section}.{name}")), "{sentence}");
            }
        }
        assert_eq!(fields, 17, "all of them were found");
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
    fn proxies_are_networks_in_any_form_but_not_all_addresses() {
        let proxies = |list: &str| load("", &[APP, SECRET, ("RELIGHT_HTTP__TRUSTED_PROXIES", list)]);
        let read = proxies("10.0.0.0/8, 192.0.2.1,::ffff:127.0.0.1,::ffff:10.0.0.0/104").expect("loads");
        let shown: Vec<_> = read.http.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1/32", "127.0.0.1/32", "10.0.0.0/8"]);
        for bad in ["0.0.0.0/0", "::/0", "everybody"] {
            assert!(proxies(bad).expect_err(bad).contains("http.trusted_proxies"), "{bad}");
        }
    }

    #[test]
    fn the_defaults_hold_together() {
        let config = load("", &[APP, SECRET]).expect("loads");
        assert_eq!(config.public_url(), "http://127.0.0.1:4000");
        assert_eq!(config.callbacks(Connection::Consumer)[0].1, "http://127.0.0.1:4000/oauth/consumer/callback");
    }
}
