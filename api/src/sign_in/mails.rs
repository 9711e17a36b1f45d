//! Which mails somebody wants.

use domain::{Right, UserId};
use engine::{StoreError, sql};

use super::Users;

/// Which mails somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Mails {
    /// About accounts that they own.
    pub mails_as_owner: bool,
    /// About accounts that they are a developer of.
    pub mails_as_developer: bool,
}

impl Mails {
    /// Whether they want one about an account on which they have this right.
    pub const fn wants(self, right: Right) -> bool {
        match right {
            Right::Owner => self.mails_as_owner,
            Right::Developer => self.mails_as_developer,
        }
    }
}

impl Users {
    /// Which mails somebody wants; `None`: there is nobody of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mails(&self, user: UserId) -> Result<Option<Mails>, StoreError> {
        Ok(sql("SELECT mails_as_owner, mails_as_developer FROM users WHERE id = $1")
            .bind(user.to_string())
            .fetch_optional(&self.database)
            .await?)
    }

    /// Changes which mails somebody wants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_mails(&self, user: UserId, mails: Mails) -> Result<(), StoreError> {
        sql("UPDATE users SET mails_as_owner = $1, mails_as_developer = $2 WHERE id = $3")
            .bind(mails.mails_as_owner)
            .bind(mails.mails_as_developer)
            .bind(user.to_string())
            .execute(&self.database)
            .await?;
        Ok(())
    }

    /// All admins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admins(&self) -> Result<Vec<UserId>, StoreError> {
        let ids: Vec<String> = sql("SELECT id FROM users WHERE role = 'admin'").scalars(&self.database).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}
