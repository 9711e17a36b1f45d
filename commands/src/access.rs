//! Access: who else may see an account, and as what.

use domain::{AccountCommand, AccountId, Authority, Right, UserId};
use store::Committed;

use crate::{Commands, Context, Error};

impl Commands {
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
