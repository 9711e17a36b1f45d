//! Switch: an owner brings an account over to the other connection, by a complete grant for the same account.

use domain::{Account, AccountCommand, AccountError, AccountId, Authority, UserId, token::Way};
use store::{Decision, Unit};
use url::Url;

use crate::{
    Commands, Context, Error, Outcome,
    attempt::{Attempt, Purpose, Start},
    connect::{Ask, finish},
    login::Login,
};

impl Commands {
    /// Begins to switch an account to the other connection.
    ///
    /// # Errors
    /// When the account isn't connected, or the user doesn't own it.
    pub async fn start_switch(&self, account: AccountId, user: UserId, browser: &str, ask: Ask) -> Result<Url, Error> {
        let by = Authority::User(user);
        let state = self.account(account).await?;
        let to = state.connected_for(by)?.other();
        // The domain decides again when the grant is there; asked now, nobody goes to the login in vain.
        state.decide(AccountCommand::SwitchConnection { to, by })?;
        let start = Start {
            purpose: Purpose::Switch,
            connection: to,
            account: Some(account),
            user: Some(user),
            link: None,
            link_ends_at: None,
            browser,
        };
        self.set_out(start, ask).await
    }

    pub(crate) async fn switch(&self, attempt: &Attempt, login: &Login, context: &Context) -> Result<(), Error> {
        let account = attempt.account.ok_or(Error::Missing("account of the attempt"))?;
        let user = attempt.user.ok_or(Error::Missing("user of the attempt"))?;
        self.settle(context, &Switch { commands: self, attempt, login, account, user }).await
    }
}

struct Switch<'a> {
    commands: &'a Commands,
    attempt: &'a Attempt,
    login: &'a Login,
    account: AccountId,
    user: UserId,
}

impl Decision for Switch<'_> {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { commands, attempt, login, account, user } = self;
        let outcome = match commands.meant(*account, login).await? {
            Err(outcome) => outcome,
            Ok(profile) => {
                let by = Authority::User(*user);
                let command = AccountCommand::SwitchConnection { to: login.facts.connection, by };
                match unit.execute::<Account>(*account, command).await.map_err(Error::from) {
                    Ok(()) => {
                        commands.accept(unit, *account, &profile, login, attempt, Way::Switch).await?;
                        Outcome::Switched { account: *account }
                    }
                    Err(Error::Account(AccountError::Disconnected)) => {
                        Outcome::Disconnected { username: profile.username }
                    }
                    Err(Error::Account(_)) => Outcome::NotAllowed,
                    Err(error) => return Err(error),
                }
            }
        };
        finish(unit, attempt, &outcome, &[*account]);
        Ok(())
    }
}
