//! People who can sign in.

use std::fmt;

use axum_login::{AuthUser, AuthnBackend};
use chrono::{DateTime, Utc};
use domain::UserId;
use engine::{Database, StoreError, sql};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{
    Role,
    passwords::{PasswordError, Passwords},
    strength,
};
use crate::{app::App, error::Error};

/// Somebody who can sign in.
#[derive(Clone)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The address, lowercase.
    pub email: String,
    /// The role.
    pub role: Role,
    password_hash: String,
    /// What sessions keep of the password, to end when it changes: a digest of the hash, which is a secret itself.
    mark: [u8; 32],
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User {} ({})", self.id, self.role.name())
    }
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.id.to_string()
    }

    // A changed password ends all sessions.
    fn session_auth_hash(&self) -> &[u8] {
        &self.mark
    }
}

/// The table of users.
#[derive(Debug, Clone)]
pub struct Users {
    pub(super) database: Database,
    passwords: Passwords,
}

/// Why a user could not be looked up or authenticated.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password was not verified.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// What somebody types to sign in.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Credentials {
    /// The address.
    pub email: String,
    /// The password.
    pub password: SecretString,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    email: String,
    role: String,
    password: String,
}

impl Users {
    /// The users of a database. Where passwords are hashed it waits as long as it takes: requests take [`Users::of`].
    pub fn new(database: Database) -> Self {
        Self { database, passwords: Passwords::patient() }
    }

    /// The users as requests see them: hashing passwords has a short queue.
    pub fn of(app: &App) -> Self {
        Self { database: app.database().clone(), passwords: app.passwords.clone() }
    }

    /// Adds somebody.
    ///
    /// # Errors
    /// [`Error::Rule`] when the address or the password won't do, or the address is taken.
    pub async fn add(
        &self,
        email: &str,
        password: &SecretString,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<UserId, Error> {
        let email = normal_email(email).ok_or_else(|| Error::Rule("That is not an e-mail address.".to_owned()))?;
        let hash = self.hash(password, &email).await?;
        self.insert(&email, &hash, role, now, false).await
    }

    /// Adds the first admin. Of several tries at once exactly one succeeds.
    ///
    /// # Errors
    /// [`Error::Rule`] when the address or the password won't do, [`Error::Missing`] when there is somebody already.
    pub async fn add_first(&self, email: &str, password: &SecretString, now: DateTime<Utc>) -> Result<User, Error> {
        let email = normal_email(email).ok_or_else(|| Error::Rule("That is not an e-mail address.".to_owned()))?;
        let hash = self.hash(password, &email).await?;
        let id = self.insert(&email, &hash, Role::Admin, now, true).await?;
        Ok(User { id, role: Role::Admin, mark: Sha256::digest(&hash).into(), password_hash: hash, email })
    }

    async fn insert(
        &self,
        email: &str,
        hash: &str,
        role: Role,
        now: DateTime<Utc>,
        first: bool,
    ) -> Result<UserId, Error> {
        let id = UserId::new(commands::new_id());
        let mut tx = self.database.begin().await?;
        if first {
            // The row is the lock: a second transaction waits for the first one's end, and inserts nothing.
            let begun = sql("INSERT INTO set_up (id, at) VALUES (1, $1) ON CONFLICT (id) DO NOTHING")
                .bind(now)
                .execute(&mut tx)
                .await?;
            let one: Option<i32> = sql("SELECT 1 FROM users LIMIT 1").scalar_optional(&mut tx).await?;
            if begun == 0 || one.is_some() {
                return Err(Error::Missing);
            }
        }
        let query_id = id.to_string();
        let added = sql("INSERT INTO users (id, email, password, role, created_at) VALUES ($1, $2, $3, $4, $5) \
                         ON CONFLICT (email) DO NOTHING")
        .bind(&query_id)
        .bind(email)
        .bind(hash)
        .bind(role.name())
        .bind(now)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        if added == 0 {
            return Err(Error::Rule("Somebody with this e-mail address is there already.".to_owned()));
        }
        Ok(id)
    }

    /// Adds somebody, or gives them another password and role.
    ///
    /// # Errors
    /// [`Error::Rule`] when the address or the password won't do.
    pub async fn set(&self, email: &str, password: &SecretString, role: Role, now: DateTime<Utc>) -> Result<(), Error> {
        let Some(user) = self.by_email(email).await? else {
            return self.add(email, password, role, now).await.map(drop);
        };
        let hash = self.hash(password, &user.email).await?;
        let mut tx = self.database.begin().await?;
        sql("UPDATE users SET password = $1, role = $2 WHERE id = $3")
            .bind(&hash)
            .bind(role.name())
            .bind(user.id.to_string())
            .execute(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Whether there is nobody yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let one: Option<i32> = sql("SELECT 1 FROM users LIMIT 1").scalar_optional(&self.database).await?;
        Ok(one.is_none())
    }

    /// The address of somebody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn email(&self, id: UserId) -> Result<Option<String>, StoreError> {
        Ok(sql("SELECT email FROM users WHERE id = $1").bind(id.to_string()).scalar_optional(&self.database).await?)
    }

    /// Somebody by address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let Some(email) = normal_email(email) else { return Ok(None) };
        let row: Option<Row> = sql("SELECT id, email, role, password FROM users WHERE email = $1")
            .bind(email)
            .fetch_optional(&self.database)
            .await?;
        row.map(of_row).transpose()
    }

    async fn hash(&self, password: &SecretString, email: &str) -> Result<String, Error> {
        strength::check(password, email)?;
        Ok(self.passwords.hash(password).await?)
    }
}

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = BackendError;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, BackendError> {
        let user = self.by_email(&credentials.email).await?;
        // An unknown address takes as long as a wrong password: the answer's time doesn't tell who is here.
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let right = self.passwords.verify(&credentials.password, hash).await?;
        Ok(user.filter(|_| right))
    }

    async fn get_user(&self, id: &String) -> Result<Option<User>, BackendError> {
        let row: Option<Row> = sql("SELECT id, email, role, password FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.database)
            .await
            .map_err(StoreError::from)?;
        Ok(row.map(of_row).transpose()?)
    }
}

fn of_row(row: Row) -> Result<User, StoreError> {
    let unreadable = |_| StoreError::Unreadable("a user's row".to_owned());
    Ok(User {
        id: row.id.parse().map_err(unreadable)?,
        email: row.email,
        role: row.role.parse().map_err(unreadable)?,
        mark: Sha256::digest(&row.password).into(),
        password_hash: row.password,
    })
}

/// An address as it is kept and compared.
pub fn normal_email(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let (name, host) = email.split_once('@')?;
    let plain = !email.chars().any(|c| c.is_whitespace() || c.is_control()) && email.len() <= 254;
    (plain && !name.is_empty() && !host.is_empty() && !host.contains('@')).then_some(email)
}
