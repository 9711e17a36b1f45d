//! Web hooks out: the widget service is told what happens to accounts, signed as the Standard Webhooks specification says.
//!
//! Endpoints are managed by API and page; their secrets lie sealed. What they are told comes from the journal ([`outbox`]),
//! and is delivered until they take it, for three days ([`deliver`]).

pub mod deliver;
pub mod guard;
pub mod outbox;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use commands::vault::{Sealed, tables::WEBHOOKS};
use engine::{StoreError, jobs, sql};
use rand::RngCore;

use crate::{app::App, error::Error};
use outbox::WebHooks;

/// How many endpoints there may be.
const ENDPOINTS: usize = 20;

/// An endpoint.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// It answered 410 Gone then, and is told nothing any more.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// What an endpoint is or was told.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Delivery {
    /// The `webhook-id`: the same for all endpoints and tries.
    pub message_id: String,
    /// Its type.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// To which endpoint.
    pub endpoint_id: String,
    /// About which account.
    pub account_id: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When it is tried again, or was last.
    pub due_at: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// `delivered` or `failed`; `None`: it is tried again.
    pub outcome: Option<String>,
    /// What came back last.
    pub answer: Option<String>,
}

fn bound_to(endpoint: &str) -> String {
    WEBHOOKS.bound_to(&[endpoint])
}

/// Adds an endpoint; returns it and its secret, which is shown once. `id`: a repeated request adds no second one, and gets the
/// first one's secret.
///
/// # Errors
/// [`Error::Rule`] when the address won't do.
pub async fn add(app: &App, id: &str, address: &str) -> Result<(Endpoint, String), Error> {
    let url = guard::address(address, app.config.webhooks.private).map_err(|said| Error::Rule(said.to_owned()))?;
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let sealed = app.commands.vault.seal(secret.as_bytes(), &bound_to(id)).map_err(Error::from)?;
    let (head, now) = (app.store().head().await?, app.commands.clock.now());
    let mut tx = app.database().begin().await?;
    // Held until the end: endpoints that are added at once are counted one after the other, and no event is passed that this
    // endpoint must receive.
    let since = head.max(engine::hold::<WebHooks>(&mut tx).await?);
    let others: Vec<String> = sql("SELECT url FROM webhook_endpoints WHERE id <> $1").bind(id).scalars(&mut tx).await?;
    if others.iter().any(|other| other == url.as_str()) {
        return Err(Error::Rule("This address is an endpoint already.".to_owned()));
    }
    if others.len() >= ENDPOINTS {
        return Err(Error::Rule(format!("There are {ENDPOINTS} endpoints already.")));
    }
    sql("INSERT INTO webhook_endpoints (id, url, key_id, secret, since, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING")
    .bind(id)
    .bind(url.as_str())
    .bind(&sealed.key_id)
    .bind(&sealed.bytes)
    .bind(since)
    .bind(now)
    .execute(&mut tx)
    .await?;
    let added: Added =
        sql("SELECT id, url, created_at, disabled_at, key_id, secret FROM webhook_endpoints WHERE id = $1")
            .bind(id)
            .fetch_one(&mut tx)
            .await?;
    tx.commit().await?;
    let secret = open(app, id, added.key_id, added.secret)?;
    Ok((added.endpoint, secret))
}

#[derive(sqlx::FromRow)]
struct Added {
    #[sqlx(flatten)]
    endpoint: Endpoint,
    key_id: String,
    secret: Vec<u8>,
}

/// An endpoint's secret; `None`: it is gone.
///
/// # Errors
/// When the database fails, or the secret can't be opened.
pub async fn secret(app: &App, id: &str) -> Result<Option<String>, Error> {
    let found: Option<Added> =
        sql("SELECT id, url, created_at, disabled_at, key_id, secret FROM webhook_endpoints WHERE id = $1")
            .bind(id)
            .fetch_optional(app.database())
            .await
            .map_err(StoreError::from)?;
    Ok(found.map(|found| open(app, id, found.key_id, found.secret)).transpose()?)
}

/// All endpoints.
///
/// # Errors
/// When the database fails.
pub async fn list(app: &App) -> Result<Vec<Endpoint>, StoreError> {
    Ok(sql("SELECT id, url, created_at, disabled_at FROM webhook_endpoints ORDER BY id")
        .fetch_all(app.database())
        .await?)
}

/// Removes an endpoint, and what it has not been told; whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn remove(app: &App, id: &str) -> Result<bool, StoreError> {
    let mut tx = app.database().begin().await?;
    // First the endpoint: whoever is putting something into its queue has done so by then.
    let removed = sql("DELETE FROM webhook_endpoints WHERE id = $1").bind(id).execute(&mut tx).await?;
    jobs::clear(&deliver::queue(id)).execute(&mut tx).await?;
    tx.commit().await?;
    Ok(removed > 0)
}

/// The latest deliveries, of one endpoint or all.
///
/// # Errors
/// When the database fails.
pub async fn deliveries(app: &App, endpoint: Option<&str>, limit: i64) -> Result<Vec<Delivery>, StoreError> {
    let of = if endpoint.is_some() { "endpoint_id = $2" } else { "$2 IS NULL" };
    Ok(sql(format!(
        "SELECT message_id, type, endpoint_id, account_id, created_at, due_at, attempts, ended_at, outcome, answer \
         FROM webhook_deliveries WHERE {of} ORDER BY id DESC LIMIT $1"
    ))
    .bind(limit)
    .bind(endpoint)
    .fetch_all(app.database())
    .await?)
}

/// An endpoint's secret.
fn open(app: &App, endpoint: &str, key_id: String, bytes: Vec<u8>) -> Result<String, commands::Error> {
    let opened = app.commands.vault.open(&Sealed { key_id, bytes }, &bound_to(endpoint))?;
    String::from_utf8(opened).map_err(|_| commands::Error::Sealed("not a text"))
}
