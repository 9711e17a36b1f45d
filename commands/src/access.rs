//! Access: who else may see an account, and as what.

use domain::{AccountCommand, AccountId, Authority, Right, UserId};
use engine::Committed;

use crate::{Commands, Context, Error};

impl Commands {
    /// Whether `by` may give rights on an account.
    ///
    /// # Errors
    /// When the account is missing, or `by` doesn't own it.
    pub async fn may_share(&self, account: AccountId, by: Authority) -> Result<(), Error> {
        let grant = AccountCommand::GrantAccess { user: UserId::new(crate::new_id()), right: Right::Developer, by };
        Ok(self.account(account).await?.decide(grant).map(drop)?)
    }

    /// Whether somebody may see the account, by its own history: views may be behind.
    ///
    /// # Errors
    /// When the account is missing, or `by` has no right on it.
    pub async fn may_see(&self, account: AccountId, by: Authority) -> Result<(), Error> {
        Ok(self.account(account).await?.shared_with(by)?)
    }

    /// Whether somebody may have Meta asked about the account.
    ///
    /// # Errors
    /// When the account is missing or disconnected, or `by` has no right on it.
    pub async fn may_ask(&self, account: AccountId, by: Authority) -> Result<(), Error> {
        Ok(self.account(account).await?.connected_for(by).map(drop)?)
    }

    /// Who has which right on the account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rights(&self, account: AccountId) -> Result<Vec<(UserId, Right)>, Error> {
        Ok(self.account(account).await?.rights().iter().map(|(user, right)| (*user, *right)).collect())
    }

    /// Gives somebody a right on an account, or another one than before.
    ///
    /// # Errors
    /// When the account is missing, `by` doesn't own it, or it would lose its last owner.
    pub async fn grant_access(
        &self,
        account: AccountId,
        user: UserId,
        right: Right,
        by: Authority,
        context: &Context,
    ) -> Result<Committed, Error> {
        self.tell_account(account, AccountCommand::GrantAccess { user, right, by }, context).await
    }

    /// Takes somebody's right away, or one's own.
    ///
    /// # Errors
    /// When the account is missing, `by` doesn't own it, or it would lose its last owner.
    pub async fn revoke_access(
        &self,
        account: AccountId,
        user: UserId,
        by: Authority,
        context: &Context,
    ) -> Result<Committed, Error> {
        self.tell_account(account, AccountCommand::RevokeAccess { user, by }, context).await
    }
}
