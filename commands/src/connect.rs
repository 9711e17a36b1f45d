//! Connect: a signed-in person brings an Instagram account, or several.

use domain::{Account, AccountCommand, AccountError, AccountId, Connection, Token, TokenCommand, UserId, token::Way};
use meta::{AuthType, Profile};
use store::{Decision, Unit};
use url::Url;

use crate::{
    App, Commands, Context, Error, Outcome,
    attempt::{Attempt, Phase, Purpose, Start},
    link,
    login::Login,
    new_id, profiles,
};

/// What the login is asked to do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask {
    /// Nothing.
    #[default]
    Usual,
    /// For credentials, even if somebody is logged in there: the last time it was the wrong one.
    OtherPerson,
    /// For permissions again that were declined the last time.
    Permissions,
    /// For data access again.
    DataAccess,
}

impl Commands {
    /// Begins to connect an account; the answer is where to send the browser.
    ///
    /// # Errors
    /// [`Error::NotOffered`] when no app is configured for this login.
    pub async fn start_connect(&self, user: UserId, to: Connection, browser: &str, ask: Ask) -> Result<Url, Error> {
        let start = Start {
            purpose: Purpose::Connect,
            connection: to,
            account: None,
            user: Some(user),
            link: None,
            link_ends_at: None,
            browser,
        };
        self.set_out(start, ask).await
    }

    /// Begins an attempt and builds the login's URL for it.
    pub(crate) async fn set_out(&self, start: Start<'_>, ask: Ask) -> Result<Url, Error> {
        let connection = start.connection;
        let app = self.app(connection)?;
        let state = self.start(start).await?.state;
        let redirect_uri = self.redirect_uri(connection);
        let permissions = connection.permissions();
        Ok(match app {
            App::Consumer(consumer) => {
                consumer.authorize_url(&redirect_uri, &state, permissions, ask == Ask::OtherPerson)
            }
            App::Business(business) => {
                let auth_type = match ask {
                    Ask::Usual | Ask::OtherPerson => AuthType::Usual,
                    Ask::Permissions => AuthType::Rerequest,
                    Ask::DataAccess => AuthType::Reauthorize,
                };
                business.authorize_url(&redirect_uri, &state, permissions, auth_type)
            }
        })
    }

    /// The accounts among which the person must choose; empty when there is nothing to choose.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn choices(&self, attempt: &Attempt) -> Result<Vec<Profile>, Error> {
        Ok(self.waiting_grant(attempt).await?.map(|login| login.reached()).unwrap_or_default())
    }

    /// Connects those accounts that the person chose.
    ///
    /// # Errors
    /// [`Error::Missing`] when the attempt isn't theirs, or has nothing to choose any more.
    pub async fn choose(
        &self,
        attempt: &Attempt,
        user: UserId,
        instagram_ids: &[String],
        context: &Context,
    ) -> Result<(), Error> {
        if attempt.phase != Phase::Choosing || attempt.user != Some(user) {
            return Err(Error::Missing("choice"));
        }
        let login = self.waiting_grant(attempt).await?.ok_or(Error::Missing("choice"))?;
        let chosen: Vec<_> =
            login.reached().into_iter().filter(|profile| instagram_ids.contains(&profile.instagram_id)).collect();
        if chosen.is_empty() {
            return Err(Error::Missing("account among those of the login"));
        }
        let context = Context { correlation: attempt.id.to_string(), ..context.clone() };
        self.connect(attempt, &login, &chosen, &context).await
    }

    pub(crate) async fn connect(
        &self,
        attempt: &Attempt,
        login: &Login,
        chosen: &[Profile],
        context: &Context,
    ) -> Result<(), Error> {
        let user = attempt.user.ok_or(Error::Missing("user of the attempt"))?;
        let fresh = chosen.iter().map(|_| AccountId::new(new_id())).collect();
        let decision = Connect { commands: self, attempt, login, chosen, fresh, user };
        self.settle(context, &decision).await
    }

    /// Runs the decision that ends an attempt. When the attempt is over already (its commit happened and the answer got
    /// lost, or two choices raced), the first end counts.
    pub(crate) async fn settle(
        &self,
        context: &Context,
        decision: &impl Decision<Output = (), Error = Error>,
    ) -> Result<(), Error> {
        match self.store.run(&self.metadata(context), decision).await {
            Ok(_) | Err(Error::Store(store::StoreError::Refused)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A grant becomes an account's current token: the event, the sealed string and the profile.
    pub(crate) async fn accept(
        &self,
        unit: &mut Unit,
        account: AccountId,
        profile: &Profile,
        login: &Login,
        attempt: &Attempt,
        way: Way,
    ) -> Result<(), Error> {
        let grant = login.grant(attempt.id, way);
        let (id, at) = (grant.token, unit.metadata().at);
        unit.execute::<Token>(account, TokenCommand::Accept(grant)).await?;
        unit.write(self.vault.keep(account, id, &login.token, at)?);
        unit.write(link::all_dead(account));
        unit.write(profiles::keep(account, profile, login.facts.grantor_id.clone(), at));
        Ok(())
    }
}

struct Connect<'a> {
    commands: &'a Commands,
    attempt: &'a Attempt,
    login: &'a Login,
    chosen: &'a [Profile],
    /// Ids for those that were never connected.
    fresh: Vec<AccountId>,
    user: UserId,
}

impl Decision for Connect<'_> {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let connection = self.login.facts.connection;
        let (mut connected, mut refreshed, mut refused) = (Vec::new(), Vec::new(), None);
        for (profile, fresh) in self.chosen.iter().zip(&self.fresh) {
            let known = profiles::find(self.commands.store.database(), &profile.instagram_id).await?;
            let account = known.unwrap_or(*fresh);
            let was_connected = unit.load::<Token>(account).await?.current().is_some();
            let command = AccountCommand::Connect { connection, user: self.user };
            match unit.execute::<Account>(account, command).await.map_err(Error::from) {
                Ok(()) => {}
                Err(Error::Account(AccountError::OtherConnection { uses })) => {
                    refused = Some((account, Outcome::WrongConnection { username: profile.username.clone(), uses }));
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.commands.accept(unit, account, profile, self.login, self.attempt, Way::Connect).await?;
            if was_connected { refreshed.push(account) } else { connected.push(account) }
        }
        let all: Vec<_> = connected.iter().chain(&refreshed).copied().collect();
        let outcome = match refused {
            Some((account, outcome)) if all.is_empty() => {
                finish(unit, self.attempt, &outcome, &[account]);
                return Ok(());
            }
            _ if connected.is_empty() => Outcome::Refreshed { accounts: refreshed },
            _ => Outcome::Connected { accounts: all.clone() },
        };
        finish(unit, self.attempt, &outcome, &all);
        Ok(())
    }
}

/// Ends the attempt in the unit of what it led to.
pub(crate) fn finish(unit: &mut Unit, attempt: &Attempt, outcome: &Outcome, accounts: &[AccountId]) {
    let at = unit.metadata().at;
    attempt.finish(outcome, accounts, at).into_iter().for_each(|write| unit.write(write));
}
