//! Machines sign in with a key: `Authorization: Bearer relight_…`.

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use chrono::{DateTime, Utc};
use commands::Context;
use domain::{Actor, Authority, UserId};
use engine::{Database, StoreError, sql};
use projections::accounts::Viewer;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::Role;
use crate::{
    app::App,
    error::Error,
    limits::{Address, Door},
    request::RequestId,
};

const PREFIX: &str = "relight_";

/// A machine that calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key's id.
    pub id: UserId,
    /// What it may do.
    pub role: Role,
    request: RequestId,
}

impl Caller {
    /// Which accounts it sees: all.
    pub fn viewer(&self) -> Viewer {
        Viewer::Staff
    }

    /// In whose name a use case runs, for the events that it leads to.
    pub fn context(&self) -> Context {
        self.request.clone().context(Actor::ApiKey(self.id))
    }

    /// In whose power it gives commands; the table of routes lets only keys that may give some.
    pub const fn authority(&self) -> Authority {
        Authority::Staff
    }
}

/// Makes a key; it is shown once, and only its hash is kept.
///
/// # Errors
/// When the database fails.
pub async fn create(
    database: &Database,
    name: &str,
    role: Role,
    now: DateTime<Utc>,
) -> Result<SecretString, StoreError> {
    let key = format!("{PREFIX}{}", commands::attempt::random_text::<32>());
    let id = commands::new_id().to_string();
    let mut tx = database.begin().await?;
    sql("INSERT INTO api_keys (id, name, role, key_hash, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&id)
        .bind(name)
        .bind(role.name())
        .bind(hash(&key))
        .bind(now)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(key.into())
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        // The gate of the route has read it.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let from = Address::from_request_parts(parts, app).await?;
        let refused = || app.limits.failures.failed(Door::ApiKey, from).err().unwrap_or(Error::BadKey);
        let header = parts.headers.get(header::AUTHORIZATION).ok_or(Error::BadKey)?;
        let key: SecretString = header.to_str().ok().and_then(bearer).ok_or_else(refused)?.to_owned().into();
        let row: Option<(String, String)> = sql("SELECT id, role FROM api_keys WHERE key_hash = $1")
            .bind(hash(key.expose_secret()))
            .fetch_optional(app.database())
            .await?;
        let (id, role) = row.ok_or_else(refused)?;
        let unreadable = |_| StoreError::Unreadable("an API key's row".to_owned());
        let (id, role) = (id.parse().map_err(unreadable)?, role.parse().map_err(unreadable)?);
        Ok(Self { id, role, request: RequestId::of(&parts.extensions) })
    }
}

/// The key of an `Authorization` header; its scheme is in any case (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with(PREFIX)).then_some(key)
}

/// A key has 256 random bits: nothing slower than SHA-256 is needed.
fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}
