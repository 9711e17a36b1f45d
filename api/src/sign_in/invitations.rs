//! Invitations: a right on an account that was offered to an e-mail address and waits to be accepted.
//!
//! Known and unknown addresses are treated alike, so that an offer tells nothing about who can sign in, and nobody gets a
//! right without wanting it. An invitation ends after a week.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, Right, UserId};
use engine::{Database, StoreError, sql};

use crate::error::Error;

/// How long an invitation can be accepted.
const LASTS: TimeDelta = TimeDelta::days(7);
/// How many a person makes in a day, and how many wait for an account.
const A_DAY: i64 = 20;
const OF_ACCOUNT: i64 = 50;

/// An invitation that waits.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    account_id: String,
    /// The address, lowercase.
    pub email: String,
    right: String,
    invited_by: String,
    /// When it was made.
    pub invited_at: DateTime<Utc>,
}

impl Invitation {
    /// The account.
    ///
    /// # Errors
    /// When the row can't be read; so of the others.
    pub fn account(&self) -> Result<AccountId, StoreError> {
        self.account_id.parse().map_err(|_| unreadable())
    }

    /// The right that is offered.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn right(&self) -> Result<Right, StoreError> {
        self.right.parse().map_err(|_| unreadable())
    }

    /// Who offers it.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn inviter(&self) -> Result<UserId, StoreError> {
        self.invited_by.parse().map_err(|_| unreadable())
    }
}

fn unreadable() -> StoreError {
    StoreError::Unreadable("an invitation's row".to_owned())
}

/// All invitations.
#[derive(Debug, Clone)]
pub struct Invitations {
    database: Database,
}

const COLUMNS: &str = "SELECT id, account_id, email, \"right\", invited_by, invited_at FROM invitations";

impl Invitations {
    /// The invitations of a database.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Offers an address a right on an account; an offer to the same address is replaced.
    ///
    /// # Errors
    /// [`Error::Rule`] after too many.
    pub async fn offer(
        &self,
        account: AccountId,
        email: &str,
        right: Right,
        by: UserId,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (account, by) = (account.to_string(), by.to_string());
        let mut tx = self.database.begin().await?;
        // Those of a person, and those for an account, that are made at once are counted one after the other.
        for (row, id) in
            [("SELECT 1 FROM users WHERE id = $1", &by), ("SELECT 1 FROM profiles WHERE account_id = $1", &account)]
        {
            sql(format!("{row}{}", self.database.dialect().locked())).bind(id).execute(&mut tx).await?;
        }
        let counts = "SELECT (SELECT COUNT(*) FROM invitations WHERE invited_by = $1 AND invited_at > $2), \
                      (SELECT COUNT(*) FROM invitations WHERE account_id = $3 AND invited_at > $4)";
        let (made, waiting): (i64, i64) = sql(counts)
            .bind(&by)
            .bind(now - TimeDelta::days(1))
            .bind(&account)
            .bind(now - LASTS)
            .fetch_one(&mut tx)
            .await?;
        if made >= A_DAY || waiting >= OF_ACCOUNT {
            return Err(Error::Rule("There are too many invitations. Please try again tomorrow.".to_owned()));
        }
        let id = commands::new_id().to_string();
        sql("INSERT INTO invitations (id, account_id, email, \"right\", invited_by, invited_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, email) DO UPDATE SET id = excluded.id, \
             \"right\" = excluded.\"right\", invited_by = excluded.invited_by, invited_at = excluded.invited_at")
        .bind(&id)
        .bind(&account)
        .bind(email)
        .bind(right.name())
        .bind(&by)
        .bind(now)
        .execute(&mut tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Those of an account that wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_account(&self, account: AccountId, now: DateTime<Utc>) -> Result<Vec<Invitation>, StoreError> {
        Ok(sql(format!("{COLUMNS} WHERE account_id = $1 AND invited_at > $2 ORDER BY email"))
            .bind(account.to_string())
            .bind(now - LASTS)
            .fetch_all(&self.database)
            .await?)
    }

    /// Those to an address that wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn to(&self, email: &str, now: DateTime<Utc>) -> Result<Vec<Invitation>, StoreError> {
        Ok(sql(format!("{COLUMNS} WHERE email = $1 AND invited_at > $2 ORDER BY invited_at DESC LIMIT {OF_ACCOUNT}"))
            .bind(email)
            .bind(now - LASTS)
            .fetch_all(&self.database)
            .await?)
    }

    /// The one of this id to this address, if it waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(&self, id: &str, email: &str, now: DateTime<Utc>) -> Result<Option<Invitation>, StoreError> {
        Ok(sql(format!("{COLUMNS} WHERE id = $1 AND email = $2 AND invited_at > $3"))
            .bind(id)
            .bind(email)
            .bind(now - LASTS)
            .fetch_optional(&self.database)
            .await?)
    }

    /// Removes one, whether it was accepted, declined or withdrawn; whether it was there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        Ok(sql("DELETE FROM invitations WHERE id = $1").bind(id).execute(&self.database).await? > 0)
    }

    /// Puts one back that was removed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore(&self, invitation: &Invitation) -> Result<(), StoreError> {
        let Invitation { id, account_id, email, right, invited_by, invited_at } = invitation;
        sql("INSERT INTO invitations (id, account_id, email, \"right\", invited_by, invited_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind(account_id)
        .bind(email)
        .bind(right)
        .bind(invited_by)
        .bind(*invited_at)
        .execute(&self.database)
        .await?;
        Ok(())
    }

    /// Removes those that ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tidy(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        sql("DELETE FROM invitations WHERE invited_at <= $1").bind(now - LASTS).execute(&self.database).await?;
        Ok(())
    }
}
