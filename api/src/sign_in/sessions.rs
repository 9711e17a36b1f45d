//! Sessions of signed-in browsers, in the database that everything else is in.
//!
//! The table keeps a hash of each session's id: a copy of the database signs nobody in. A session that has ended is never
//! written again, so that a request under way can't bring it back. Sessions run on the system's clock, not on the
//! service's, which the demo moves.

use async_trait::async_trait;
use axum::{extract::Request, middleware::Next, response::Response};
use axum_login::{AuthSession, AuthUser, AuthnBackend};
use chrono::{DateTime, TimeDelta, Utc};
use engine::{Database, StoreError, sql};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store::{Error, Result},
};

use super::{User, Users, user::BackendError};
use crate::app::App;

/// How long a session lasts without a request.
const INACTIVE: Duration = Duration::days(14);
/// How long it lasts at most.
const LONGEST: Duration = Duration::days(30);
/// How many sessions a person has; beyond it the oldest end.
const OF_PERSON: i64 = 20;
/// Where axum-login keeps who is signed in.
const SIGNED_IN: &str = "axum-login.data";
/// How often a request extends it: a write an hour, not one a request.
const EXTEND_EVERY: Duration = Duration::hours(1);

/// When it was last extended, in seconds since 1970.
const EXTENDED: &str = "extended";

/// The table of sessions.
#[derive(Debug, Clone)]
pub struct Sessions {
    database: Database,
}

/// The layer that gives each request its session.
pub fn layer(app: &App) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(Sessions::new(app.database().clone()))
        .with_name(app.config.cookie("relight_session"))
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(app.config.is_https())
        .with_expiry(Expiry::OnInactivity(INACTIVE))
}

/// Signs somebody in: with a new session, whatever the browser had before.
///
/// # Errors
/// When the database fails.
pub async fn begin(session: &mut AuthSession<Users>, user: &User) -> std::result::Result<(), axum_login::Error<Users>> {
    session.session.clear().await;
    session.session.cycle_id().await?;
    session.login(user).await?;
    session.session.insert(EXTENDED, OffsetDateTime::now_utc().unix_timestamp()).await?;
    Ok(())
}

/// Around pages: a request of a signed-in person extends the session.
pub async fn extend(request: Request, next: Next) -> Response {
    if let Some(session) = request.extensions().get::<AuthSession<Users>>()
        && session.user.is_some()
        && let Err(error) = extend_session(&session.session).await
    {
        tracing::warn!(%error, "a session could not be extended");
    }
    next.run(request).await
}

/// The session's layer writes a session that was changed, with a new end.
async fn extend_session(session: &Session) -> std::result::Result<(), tower_sessions::session::Error> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let extended: Option<i64> = session.get(EXTENDED).await?;
    if extended.is_none_or(|at| now - at >= EXTEND_EVERY.whole_seconds()) {
        session.insert(EXTENDED, now).await?;
    }
    Ok(())
}

/// A signed-in session, as a stream looks at it again while it lasts.
#[derive(Debug, Clone)]
pub struct Lasting {
    id: Id,
    user: User,
}

impl Lasting {
    /// The session of a request, if somebody is signed in.
    pub fn of(session: &AuthSession<Users>) -> Option<Self> {
        Some(Self { id: session.session.id()?, user: session.user.clone()? })
    }

    /// Whether it still is signed in: not signed out, not over, and with the same password and role.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds(&self, database: &Database) -> std::result::Result<bool, BackendError> {
        if row(database, &self.id).await.map_err(StoreError::from)?.is_none() {
            return Ok(false);
        }
        let user = Users::new(database.clone()).get_user(&self.user.id.to_string()).await?;
        let same =
            |user: &User| (user.role, user.session_auth_hash()) == (self.user.role, self.user.session_auth_hash());
        Ok(user.is_some_and(|user| same(&user)))
    }
}

impl Sessions {
    /// The sessions of a database.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Deletes those that are over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tidy(&self) -> std::result::Result<(), StoreError> {
        let (now, oldest) = lasting();
        sql("DELETE FROM browser_sessions WHERE expires_at <= $1 OR began_at <= $2")
            .bind(now)
            .bind(oldest)
            .execute(&self.database)
            .await?;
        Ok(())
    }
}

/// Now, and when a session that is over now began at the latest.
fn lasting() -> (DateTime<Utc>, DateTime<Utc>) {
    let now = DateTime::from(std::time::SystemTime::now());
    (now, now - TimeDelta::seconds(LONGEST.whole_seconds()))
}

/// What the table knows instead of a session's id. An id has 128 random bits: nothing slower than SHA-256 is needed.
fn hash(id: &Id) -> Vec<u8> {
    Sha256::digest(id.0.to_be_bytes()).to_vec()
}

/// The data and the end of a session that lasts.
async fn row(database: &Database, id: &Id) -> std::result::Result<Option<(String, DateTime<Utc>)>, sqlx::Error> {
    let (now, oldest) = lasting();
    sql("SELECT data, expires_at FROM browser_sessions WHERE id_hash = $1 AND expires_at > $2 AND began_at > $3")
        .bind(hash(id))
        .bind(now)
        .bind(oldest)
        .fetch_optional(database)
        .await
}

fn ends(record: &Record) -> DateTime<Utc> {
    DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0).unwrap_or_default()
}

fn failed(error: &sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let data = serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
        let (id, (now, _), ends) = (hash(&record.id), lasting(), ends(record));
        let user = record.data.get(SIGNED_IN).and_then(|data| data["user_id"].as_str().map(str::to_owned));
        sql("INSERT INTO browser_sessions (id_hash, user_id, data, began_at, expires_at) VALUES ($1, $5, $2, $3, $4)")
            .bind(&id)
            .bind(&data)
            .bind(now)
            .bind(ends)
            .bind(&user)
            .execute(&self.database)
            .await
            .map_err(|error| failed(&error))?;
        if let Some(user) = user {
            sql("DELETE FROM browser_sessions WHERE user_id = $1 AND id_hash NOT IN \
                 (SELECT id_hash FROM browser_sessions WHERE user_id = $1 ORDER BY began_at DESC LIMIT $2)")
            .bind(&user)
            .bind(OF_PERSON)
            .execute(&self.database)
            .await
            .map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let data = serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
        let (id, ends) = (hash(&record.id), ends(record));
        sql("UPDATE browser_sessions SET data = $1, expires_at = $2 WHERE id_hash = $3")
            .bind(&data)
            .bind(ends)
            .bind(&id)
            .execute(&self.database)
            .await
            .map_err(|error| failed(&error))?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some((data, ends)) = row(&self.database, id).await.map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        let data = serde_json::from_str(&data).map_err(|error| Error::Decode(error.to_string()))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp(ends.timestamp());
        let expiry_date = expiry_date.map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let id = hash(id);
        sql("DELETE FROM browser_sessions WHERE id_hash = $1")
            .bind(&id)
            .execute(&self.database)
            .await
            .map_err(|error| failed(&error))?;
        Ok(())
    }
}
