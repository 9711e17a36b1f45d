//! Switch: an owner brings an account over to the other connection, by a complete grant for the same account.

use domain::{Account, AccountCommand, AccountError, AccountId, Authority, UserId, token::Way};
use engine::{Decision, Unit};
use meta::Profile;
use url::Url;

use crate::{
    Commands, Error, Outcome,
    attempt::{Purpose, Start},
    connect::Ask,
    proof::{Ending, Found, Proofs, Trip},
    tally::Tally,
};

impl Commands {
    /// Begins to switch an account to the other connection.
    ///
    /// # Errors
    /// When the account isn't connected, or `by` doesn't own it.
    pub async fn start_switch(
        &self,
        account: AccountId,
        user: UserId,
        by: Authority,
        browser: &str,
        ask: Ask,
    ) -> Result<Url, Error> {
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

    pub(crate) async fn switch(&self, trip: &Trip<'_>) -> Result<(), Error> {
        let account = trip.attempt.account.ok_or(Error::Missing("account of the attempt"))?;
        let user = trip.attempt.user.ok_or(Error::Missing("user of the attempt"))?;
        match self.meant(account, trip.login).await? {
            Err(outcome) => self.finish(trip.attempt, &outcome, trip.context).await,
            Ok(profile) => {
                let decision = |proofs| Switch { commands: self, trip, account, user, profile: &profile, proofs };
                self.settle(trip, std::slice::from_ref(&profile), decision).await
            }
        }
    }
}

struct Switch<'a> {
    commands: &'a Commands,
    trip: &'a Trip<'a>,
    account: AccountId,
    user: UserId,
    profile: &'a Profile,
    proofs: Proofs,
}

impl Decision for Switch<'_> {
    type Output = Ending;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<Ending, Error> {
        let Self { commands, trip, account, user, profile, proofs } = self;
        let by = trip.by.unwrap_or(Authority::User(*user));
        let command = AccountCommand::SwitchConnection { to: trip.login.facts.connection, by };
        let (mut tally, mut refused) = (Tally::default(), None);
        tally.is_about(*account);
        match unit.load::<Account>(*account).await?.decide(command.clone()) {
            Ok(_) => {
                let proof = proofs.of(profile)?;
                // The connection is the token's: it changes only with it.
                if matches!(proof.found, Found::Reads) {
                    unit.execute::<Account>(*account, command).await?;
                }
                commands.place(unit, trip, (*account, profile, Way::Switch), proof, &mut tally).await?;
                commands.count_login(unit, trip, *account, 0).await?;
            }
            Err(AccountError::Disconnected) => {
                refused = Some(Outcome::Disconnected { username: profile.username.clone() });
            }
            Err(_) => refused = Some(Outcome::NotAllowed),
        }
        let switched = |_, _, _| Outcome::Switched { account: *account };
        Ok(tally.end(unit, trip.attempt, switched, || refused.unwrap_or(Outcome::NotAllowed)))
    }
}
