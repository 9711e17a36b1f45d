//! What became of the accounts of a login, one after the other, and what the person is told in the end.

use domain::{
    AccountId, Token, TokenCommand,
    token::{Current, Way},
};
use engine::Unit;
use meta::Profile;

use crate::{
    Commands, Error, Outcome,
    allowance::{self, Change},
    attempt::Attempt,
    outcome::Kept,
    proof::{Ending, Found, Proof, Trip},
    vault::Vault,
};

/// What became of a login's accounts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The login's token is theirs now.
    pub(crate) taken: Vec<AccountId>,
    kept: Vec<Kept>,
    unconfirmed: Vec<String>,
    unread: Vec<String>,
    refused: Vec<String>,
    /// The app may not read some of them, or is refused itself.
    refused_to_app: Option<Outcome>,
    is_spent: bool,
    /// All accounts that it was about.
    about: Vec<AccountId>,
}

impl Commands {
    /// Does with one account what its proof allows: its token is replaced, or stays.
    pub(crate) async fn place(
        &self,
        unit: &mut Unit,
        trip: &Trip<'_>,
        (account, profile, way): (AccountId, &Profile, Way),
        proof: &Proof,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let name = || profile.username.clone();
        match &proof.found {
            Found::Reads => {
                self.accept(unit, account, profile, trip, way, proof.present).await?;
                tally.taken.push(account);
            }
            Found::Works(evidence) => {
                let Some(token) = proof.present else { return Ok(()) };
                let (attempt, evidence) = (trip.attempt.id, evidence.clone());
                let decline = TokenCommand::DeclineRefresh { token, attempt, way, evidence };
                unit.execute::<Token>(account, decline).await?;
                // Also where that leads to no event: the token that was confirmed is the one that stays.
                unit.write(Vault::guard(account, token));
                let state = unit.load::<Token>(account).await?;
                let until = state.active().and_then(Current::ends_at);
                let estimate = state.active().and_then(|current| current.data_access).filter(|end| end.estimated);
                let estimated = until.is_some() && estimate.map(|end| end.ends_at) == until;
                tally.kept.push(Kept { account, username: name(), until, estimated });
            }
            Found::Unconfirmed => tally.unconfirmed.push(name()),
            Found::Unread => tally.unread.push(name()),
            Found::ReadingRefused => tally.refused.push(name()),
            Found::NoAccess => tally.refused_to_app(name(), Outcome::NoAccess),
            Found::AppRefused => tally.refused_to_app(name(), Outcome::AppMisconfigured),
            Found::Spent => tally.is_spent = true,
        }
        Ok(())
    }

    /// Counts what a login did to an account, if it did something.
    pub(crate) async fn count_login(
        &self,
        unit: &mut Unit,
        trip: &Trip<'_>,
        account: AccountId,
        before: usize,
    ) -> Result<(), Error> {
        if unit.events() > before {
            allowance::charge(self.store.database(), unit, (trip.context.actor, Change::Login), account).await?;
        }
        Ok(())
    }
}

impl Tally {
    /// An account that the attempt was about, whatever became of it.
    pub(crate) fn is_about(&mut self, account: AccountId) {
        self.about.push(account);
    }

    /// The app may not read the account.
    fn refused_to_app(&mut self, name: String, outcome: Outcome) {
        self.refused.push(name);
        if self.refused_to_app != Some(Outcome::AppMisconfigured) {
            self.refused_to_app = Some(outcome);
        }
    }

    /// Another one that the login served as well.
    pub(crate) fn is_about_too(&mut self, account: AccountId) {
        if !self.about.contains(&account) {
            self.about.push(account);
        }
    }

    /// Ends the attempt in the unit. `taken` tells of accounts that have the login's token now, `otherwise` of a login that
    /// led to nothing that the tally knows.
    pub(crate) fn end(
        self,
        unit: &mut Unit,
        attempt: &Attempt,
        taken: impl FnOnce(Vec<AccountId>, Vec<Kept>, Vec<String>) -> Outcome,
        otherwise: impl FnOnce() -> Outcome,
    ) -> Ending {
        let Self { taken: accounts, kept, unconfirmed, unread, refused, refused_to_app, is_spent, about } = self;
        let outcome = if !accounts.is_empty() {
            taken(accounts, kept, [unread, unconfirmed, refused].concat())
        } else if !unread.is_empty() || !unconfirmed.is_empty() {
            attempt.about(&about).into_iter().for_each(|write| unit.write(write));
            return Ending::Waits(if unread.is_empty() {
                Outcome::NotConfirmed { usernames: unconfirmed, until: None }
            } else {
                Outcome::NotRead { usernames: [unread, unconfirmed].concat(), until: None }
            });
        } else if !kept.is_empty() {
            Outcome::AlreadyWorks { kept }
        } else if let Some(outcome) = refused_to_app {
            outcome
        } else if !refused.is_empty() {
            Outcome::ReadingRefused { usernames: refused }
        } else if is_spent {
            Outcome::TooOften
        } else {
            otherwise()
        };
        let at = unit.metadata().at;
        attempt.finish(&outcome, &about, at).into_iter().for_each(|write| unit.write(write));
        Ending::Over
    }
}
