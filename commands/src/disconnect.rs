//! Disconnect: all work stops, and the token is destroyed. Widgets and their last feed stay for a return.

use domain::{Account, AccountCommand, AccountId, Authority, Token, TokenCommand, token::Revocation};
use engine::{Committed, Decision, Unit};

use crate::{Commands, Context, Error, hold, link, vault::Vault};

impl Commands {
    /// Disconnects an account.
    ///
    /// # Errors
    /// When the account is missing, or `by` doesn't own it.
    pub async fn disconnect(&self, account: AccountId, by: Authority, context: &Context) -> Result<Committed, Error> {
        let ((), committed) = self.store.run(&self.metadata(context), &Disconnect { account, by }).await?;
        Ok(committed)
    }
}

struct Disconnect {
    account: AccountId,
    by: Authority,
}

impl Decision for Disconnect {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        unit.execute::<Account>(self.account, AccountCommand::Disconnect { by: self.by }).await?;
        unit.execute::<Token>(self.account, TokenCommand::Revoke(Revocation::Disconnected)).await?;
        unit.write(Vault::destroy(self.account));
        unit.write(link::all_dead(self.account));
        unit.write(hold::nothing(self.account));
        Ok(())
    }
}
