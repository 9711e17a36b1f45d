//! Connect: a signed-in person brings an Instagram account, or several.

use domain::{
    Account, AccountCommand, AccountId, Authority, Connection, Token, TokenCommand, TokenId, UserId, account::Standing,
    token::Way,
};
use engine::{Decision, Unit};
use meta::{AuthType, Profile};
use url::Url;

use crate::{
    App, Commands, Context, Error, Outcome,
    attempt::{Attempt, Phase, Purpose, Start},
    link, new_id, profiles,
    proof::{Ending, Found, Proofs, Trip},
    tally::Tally,
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
        let ask = match ask {
            Ask::Usual if to == Connection::Business && self.lost_data_access(user).await? => Ask::DataAccess,
            // Facebook doesn't let a member who has granted before choose Pages again, unless it is asked to.
            Ask::Usual if to == Connection::Business && self.has_granted(user).await? => Ask::Permissions,
            ask => ask,
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

    /// The accounts among which the person must choose.
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
        let waits = matches!(attempt.phase, Phase::Choosing | Phase::Waiting(_));
        if !waits || attempt.purpose != Purpose::Connect || attempt.user != Some(user) {
            return Err(Error::Missing("choice"));
        }
        let login = self.waiting_grant(attempt).await?.ok_or(Error::Missing("choice"))?;
        let chosen: Vec<_> =
            login.reached().into_iter().filter(|profile| instagram_ids.contains(&profile.instagram_id)).collect();
        if chosen.is_empty() {
            return Err(Error::Missing("account among those of the login"));
        }
        let context = Context { correlation: attempt.id.to_string(), ..context.clone() };
        let trip = Trip { attempt, login: &login, by: Some(Authority::User(user)), context: &context };
        if !self.ask_again(attempt).await? {
            return Ok(());
        }
        self.or_wait(attempt, self.connect(&trip, &chosen)).await
    }

    pub(crate) async fn connect(&self, trip: &Trip<'_>, chosen: &[Profile]) -> Result<(), Error> {
        let user = trip.attempt.user.ok_or(Error::Missing("user of the attempt"))?;
        let chosen = &self.readable(chosen).await?;
        let fresh: Vec<_> = chosen.iter().map(|_| AccountId::new(new_id())).collect();
        let decision = |proofs| Connect { commands: self, trip, chosen, fresh: &fresh, user, proofs };
        self.settle(trip, chosen, decision).await
    }

    /// A grant becomes an account's current token: the event, the sealed string and the profile.
    pub(crate) async fn accept(
        &self,
        unit: &mut Unit,
        account: AccountId,
        profile: &Profile,
        trip: &Trip<'_>,
        way: Way,
        instead_of: Option<TokenId>,
    ) -> Result<(), Error> {
        let grant = trip.login.grant(trip.attempt.id, way);
        let (id, at) = (grant.token, unit.metadata().at);
        unit.execute::<Token>(account, TokenCommand::Accept { grant, instead_of }).await?;
        unit.write(self.vault.keep(account, id, &trip.login.token, at)?);
        unit.write(link::all_dead(account));
        unit.write(profiles::keep(account, profile, trip.login.facts.grantor_id.clone(), at));
        Ok(())
    }
}

struct Connect<'a> {
    commands: &'a Commands,
    trip: &'a Trip<'a>,
    chosen: &'a [Profile],
    /// Ids for those that were never connected.
    fresh: &'a [AccountId],
    user: UserId,
    proofs: Proofs,
}

impl Decision for Connect<'_> {
    type Output = Ending;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<Ending, Error> {
        let Self { commands, trip, proofs, user, .. } = self;
        let connection = trip.login.facts.connection;
        let (mut tally, mut any_new, mut refused) = (Tally::default(), false, None);
        for (profile, fresh) in self.chosen.iter().zip(self.fresh) {
            let known = profiles::find(commands.store.database(), &profile.instagram_id).await?;
            let account = known.unwrap_or(*fresh);
            let was_connected = unit.load::<Token>(account).await?.current().is_some();
            let standing = unit.load::<Account>(account).await?.standing();
            if let Standing::Connected(uses) = standing
                && uses != connection
            {
                tally.is_about(account);
                refused = Some(Outcome::WrongConnection { username: profile.username.clone(), uses });
                continue;
            }
            let (proof, before, taken) = (proofs.of(profile)?, unit.events(), tally.taken.len());
            // Who proved to hold the login of a connected account gets a right on it, whatever becomes of its token. An
            // account that isn't connected becomes so only by a token that reads.
            let connects = match proof.found {
                Found::Spent => false,
                Found::Reads => true,
                _ => matches!(standing, Standing::Connected(_)),
            };
            if connects {
                unit.execute::<Account>(account, AccountCommand::Connect { connection, user: *user }).await?;
            }
            commands.place(unit, trip, (account, profile, Way::Connect), proof, &mut tally).await?;
            let is_taken = tally.taken.len() > taken;
            any_new |= is_taken && !was_connected;
            if known.is_some() || is_taken {
                tally.is_about(account);
            }
            commands.count_login(unit, trip, account, before).await?;
        }
        let left_out = trip.login.facts.left_out.clone();
        let done = |accounts, kept, unread| {
            if any_new {
                Outcome::Connected { accounts, kept, unread, left_out }
            } else {
                Outcome::Refreshed { accounts, kept, unread, left_out }
            }
        };
        Ok(tally.end(unit, trip.attempt, done, || refused.unwrap_or(Outcome::NotAllowed)))
    }
}
