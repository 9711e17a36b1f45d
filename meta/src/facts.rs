//! What Meta knows of a token: `debug_token`.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    Business, MetaError,
    config::below,
    error::Fields,
    shape::{id, optional_id, possible},
};

const CALL: &str = "debug_token";

/// What Meta knows of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// When the session ends.
    pub session_ends: End,
    /// When data access ends.
    pub data_access_ends: End,
    /// The permissions that it has.
    pub scopes: Vec<String>,
    /// For which Pages and accounts it has them.
    pub granted: Vec<Granted>,
    /// The person's app-scoped id.
    pub user_id: Option<String>,
}

/// When something ends, as far as Meta tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It isn't told.
    Untold,
    /// Never.
    Never,
    /// Then.
    At(DateTime<Utc>),
}

impl End {
    /// When it ends; `None`: never, or it isn't told.
    pub fn at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::At(at) => Some(at),
            Self::Untold | Self::Never => None,
        }
    }
}

/// For what a token has a permission.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Granted {
    /// The permission.
    pub scope: String,
    /// For these Pages or accounts; `None`: for all.
    #[serde(default)]
    pub target_ids: Option<Vec<Target>>,
}

/// A Page's or an account's id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Target(#[serde(deserialize_with = "id")] pub String);

impl TokenFacts {
    /// A system user's token, or another one without an end: it is not extended.
    pub fn never_ends(&self) -> bool {
        self.session_ends == End::Never
    }

    /// The Pages that were ticked for a permission, where that was chosen; `None`: all of them.
    pub fn targets_of(&self, scope: &str) -> Option<Vec<&str>> {
        let granted = self.granted.iter().find(|granted| granted.scope == scope)?;
        Some(granted.target_ids.as_ref()?.iter().map(|target| target.0.as_str()).collect())
    }
}

impl Business {
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
            #[serde(rename = "data_access_expires_at")]
            data_access_end: Option<i64>,
            scopes: Option<Vec<String>>,
            #[serde(default)]
            granular_scopes: Option<Vec<Granted>>,
            #[serde(default, deserialize_with = "optional_id")]
            user_id: Option<String>,
            error: Option<Fields>,
        }
        let app_token = format!("{}|{}", self.config.app_id, self.config.app_secret.expose_secret());
        let query = [("input_token", token.expose_secret()), ("access_token", app_token.as_str())];
        let url = below(&self.config.graph_url, &[&self.config.version, "debug_token"]);
        let asked = self.http.send(CALL, self.http.get(url, &query)).await;
        // An error outside of `data` may be about the app's own token.
        let Answer { data } = asked.map_err(MetaError::by_app)?;
        let error = data.error.map(|error| error.of(CALL, 200));
        if let Some(error) = error.filter(|error| error.code.is_some()) {
            return Err(MetaError::Answer(Box::new(error)));
        }
        if data.app_id.is_some_and(|app_id| app_id != self.config.app_id) {
            // A token of another app, for instance after the app's id in the settings was changed.
            return Err(MetaError::Invalid);
        }
        if !data.is_valid {
            return Err(MetaError::Invalid);
        }
        let end = |seconds: Option<i64>| match seconds {
            None => Ok(End::Untold),
            Some(0) => Ok(End::Never),
            Some(seconds) => match DateTime::from_timestamp(seconds, 0).and_then(possible) {
                Some(at) => Ok(End::At(at)),
                None => Err(MetaError::unreadable(CALL, "an instant that can't be")),
            },
        };
        Ok(TokenFacts {
            session_ends: end(data.session_end)?,
            data_access_ends: end(data.data_access_end)?,
            scopes: data.scopes.ok_or_else(|| MetaError::unreadable(CALL, "a token without its permissions"))?,
            granted: data.granular_scopes.unwrap_or_default(),
            user_id: data.user_id,
        })
    }
}
