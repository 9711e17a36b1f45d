//! A login: what came of a trip to Meta before anything is decided.

use chrono::{DateTime, Utc};
use domain::{
    AttemptId, Connection, DataAccess, TokenId,
    token::{Grant, Way},
};
use meta::Profile;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    new_id,
    outcome::{LeftOut, is_partial},
};

/// What came of a login. Serialized only to be sealed.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) token: SecretString,
    pub(crate) facts: Facts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) connection: Connection,
    pub(crate) granted_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) data_access: Option<DataAccess>,
    pub(crate) permissions: Vec<String>,
    /// The app-scoped id of whoever logged in.
    pub(crate) grantor_id: Option<String>,
    /// The accounts that the login reaches; never empty.
    pub(crate) reached: Vec<(String, String)>,
    /// Pages that could not be read.
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    token: String,
    facts: Facts,
}

impl Login {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored { token: self.token.expose_secret().to_owned(), facts: self.facts.clone() };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        Some(Self { token: stored.token.into(), facts: stored.facts })
    }

    pub(crate) fn reached(&self) -> Vec<Profile> {
        let profile = |(instagram_id, username): &(String, String)| Profile {
            instagram_id: instagram_id.clone(),
            username: username.clone(),
        };
        self.facts.reached.iter().map(profile).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.facts.reached.iter().map(|(_, username)| username.clone()).collect()
    }

    /// Whether there may be more accounts, about which Meta could not answer just now.
    pub(crate) fn is_partial(&self) -> bool {
        is_partial(&self.facts.left_out)
    }

    /// The grant for one account, under a token id of its own.
    pub(crate) fn grant(&self, attempt: AttemptId, way: Way) -> Grant {
        let facts = self.facts.clone();
        Grant {
            token: TokenId::new(new_id()),
            attempt,
            connection: facts.connection,
            way,
            granted_at: facts.granted_at,
            expires_at: facts.expires_at,
            data_access: facts.data_access,
            permissions: facts.permissions,
        }
    }
}
