//! Refresh, in its three ways: signed in from the account, from the public access token page, by a reconnect link.
//!
//! A refresh touches no widget: ids, settings and the stored feed stay as they are until the next pull.

use chrono::{DateTime, Utc};
use domain::{
    Account, AccountCommand, AccountError, AccountId, Authority, Connection, LinkId, Reason, UserId, account::Standing,
    token::Way,
};
use engine::{Decision, Unit};
use meta::Profile;
use url::Url;

use crate::{
    Commands, Error, Outcome,
    attempt::{Attempt, Purpose, Start},
    connect::Ask,
    link::Link,
    login::Login,
    profiles,
    proof::{Ending, Found, Proof, Proofs, Trip},
    tally::Tally,
};

impl Commands {
    /// Begins a refresh from the account's page: through the login that the account uses.
    ///
    /// # Errors
    /// When the account isn't connected, or the user has no right on it.
    pub async fn start_refresh(
        &self,
        account: AccountId,
        user: UserId,
        by: Authority,
        browser: &str,
        ask: Ask,
    ) -> Result<Url, Error> {
        let connection = self.account(account).await?.connected_for(by)?;
        let start = Start {
            purpose: Purpose::Account,
            connection,
            account: Some(account),
            user: Some(user),
            link: None,
            link_ends_at: None,
            browser,
        };
        self.set_out(start, self.ask(account, ask).await?).await
    }

    /// Begins a refresh from the access token page, for whatever account the login reaches.
    ///
    /// # Errors
    /// [`Error::NotOffered`] when no app is configured for this login.
    pub async fn start_public(&self, connection: Connection, browser: &str, ask: Ask) -> Result<Url, Error> {
        let start = Start {
            purpose: Purpose::TokenPage,
            connection,
            account: None,
            user: None,
            link: None,
            link_ends_at: None,
            browser,
        };
        self.set_out(start, ask).await
    }

    /// Begins a refresh by a reconnect link.
    ///
    /// # Errors
    /// When the account isn't connected any more.
    pub async fn start_by_link(&self, link: &Link, browser: &str, ask: Ask) -> Result<Url, Error> {
        self.start_for(link.account, Some(link.id), Some(link.ends_at), browser, ask).await
    }

    async fn start_for(
        &self,
        account: AccountId,
        link: Option<LinkId>,
        link_ends_at: Option<DateTime<Utc>>,
        browser: &str,
        ask: Ask,
    ) -> Result<Url, Error> {
        let connection = self.account(account).await?.connected_for(Authority::Staff)?;
        let start = Start {
            purpose: Purpose::Link,
            connection,
            account: Some(account),
            user: None,
            link,
            link_ends_at,
            browser,
        };
        self.set_out(start, self.ask(account, ask).await?).await
    }

    /// Begins the same trip once more, after one that led to nothing: for the same purpose and account, in the browser
    /// that set out. Where the account doesn't decide the login, `connection` does.
    ///
    /// # Errors
    /// As the first time.
    pub async fn start_again(
        &self,
        attempt: &Attempt,
        connection: Connection,
        by: Option<Authority>,
        browser: &str,
        ask: Ask,
    ) -> Result<Url, Error> {
        let missing = || Error::Missing("attempt");
        match (attempt.purpose, attempt.account, attempt.user) {
            (Purpose::TokenPage, _, _) => self.start_public(connection, browser, ask).await,
            (Purpose::Connect, _, Some(user)) => self.start_connect(user, connection, browser, ask).await,
            (Purpose::Account, Some(account), Some(user)) => {
                self.start_refresh(account, user, by.ok_or_else(missing)?, browser, ask).await
            }
            (Purpose::Switch, Some(account), Some(user)) => {
                self.start_switch(account, user, by.ok_or_else(missing)?, browser, ask).await
            }
            (Purpose::Link, Some(account), _) => {
                // The link may have been used up since, by this very trip, or its time may be over.
                let is_over = attempt.link_ends_at.is_none_or(|at| at <= self.clock.now());
                if is_over || self.granted_at(account).await?.is_none_or(|at| at >= attempt.started_at) {
                    return Err(Error::Missing("link that still works"));
                }
                self.start_for(account, attempt.link, attempt.link_ends_at, browser, ask).await
            }
            _ => Err(missing()),
        }
    }

    /// When a person last went through the account's login.
    async fn granted_at(&self, account: AccountId) -> Result<Option<DateTime<Utc>>, Error> {
        let token = self.token(account).await?;
        Ok(token.current().map(|current| current.granted_at))
    }

    /// An account whose data access has ended needs a login that restarts it, whatever else the token met.
    async fn ask(&self, account: AccountId, ask: Ask) -> Result<Ask, Error> {
        let (token, now) = (self.token(account).await?, self.clock.now());
        let ended = token.expired() == Some(Reason::DataAccessEnded)
            || token.current().and_then(|current| current.ran_out(now)) == Some(Reason::DataAccessEnded);
        Ok(if ended && ask == Ask::Usual { Ask::DataAccess } else { ask })
    }

    pub(crate) async fn refresh(&self, trip: &Trip<'_>) -> Result<(), Error> {
        let Some(account) = trip.attempt.account else {
            let reached = self.readable(&trip.login.reached()).await?;
            let decision = |proofs| RefreshReached { commands: self, trip, reached: &reached, proofs };
            return self.settle(trip, &reached, decision).await;
        };
        match self.meant(account, trip.login).await? {
            Err(outcome) => self.finish(trip.attempt, &outcome, trip.context).await,
            Ok(profile) => {
                let mut profiles = vec![profile];
                profiles.extend(self.also_expired(account, trip).await?);
                let decision = |proofs| RefreshMeant { commands: self, trip, account, profiles: &profiles, proofs };
                self.settle(trip, &profiles, decision).await
            }
        }
    }

    /// The other expired accounts that the login reaches and the member has a right on: they are refreshed as well. A link is
    /// for its own account alone.
    async fn also_expired(&self, meant: AccountId, trip: &Trip<'_>) -> Result<Vec<Profile>, Error> {
        let (Purpose::Account, Some(user)) = (trip.attempt.purpose, trip.attempt.user) else { return Ok(Vec::new()) };
        let mut also = Vec::new();
        for profile in self.readable(&trip.login.reached()).await? {
            let Some(account) = profiles::find(self.store.database(), &profile.instagram_id).await? else { continue };
            let (state, token) = (self.account(account).await?, self.token(account).await?);
            let is_theirs = state.right_of(user).is_some()
                && matches!(state.standing(), Standing::Connected(uses) if uses == trip.login.facts.connection);
            if account != meant && is_theirs && token.expired().is_some() {
                also.push(profile);
            }
        }
        Ok(also)
    }

    /// Which of a login's accounts is the meant one, or what the person is told if it isn't among them.
    pub(crate) async fn meant(&self, account: AccountId, login: &Login) -> Result<Result<Profile, Outcome>, Error> {
        let meant = profiles::of(self.store.database(), account).await?.ok_or(Error::Missing("account"))?;
        let found = login.reached().into_iter().find(|profile| profile.instagram_id == meant.instagram_id);
        Ok(found.ok_or_else(|| {
            let (meant, reached) = (meant.username, login.names());
            match login.facts.connection {
                Connection::Business if login.is_partial() => Outcome::MetaUnavailable,
                // Who manages the Page may just have left it unticked.
                Connection::Business => {
                    Outcome::PageNotChosen { meant, reached, left_out: login.facts.left_out.clone() }
                }
                Connection::Consumer => Outcome::WrongAccount { meant, reached },
            }
        }))
    }
}

/// One account that is meant, from its page or by a link; and others after it.
struct RefreshMeant<'a> {
    commands: &'a Commands,
    trip: &'a Trip<'a>,
    account: AccountId,
    /// The meant one first.
    profiles: &'a [Profile],
    proofs: Proofs,
}

impl Decision for RefreshMeant<'_> {
    type Output = Ending;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<Ending, Error> {
        let Self { commands, trip, account: meant, profiles, proofs } = self;
        let way = if trip.attempt.purpose == Purpose::Link { Way::Link } else { Way::Account };
        let (mut tally, mut refused) = (Tally::default(), None);
        for profile in *profiles {
            let known = profiles::find(commands.store.database(), &profile.instagram_id).await?;
            let Some(account) = known else { continue };
            // Of the others only success is told.
            let is_meant = account == *meant;
            let proof = match proofs.of(profile) {
                Err(_) if !is_meant => continue,
                proof => proof,
            };
            if is_meant {
                tally.is_about(account);
            } else if !matches!(proof, Ok(Proof { found: Found::Reads, .. })) {
                continue;
            }
            match confirm(unit, account, trip.login, profile).await? {
                Err(outcome) => refused = refused.or(Some(outcome).filter(|_| is_meant)),
                Ok(()) => {
                    let (taken, before) = (tally.taken.len(), unit.events());
                    commands.place(unit, trip, (account, profile, way), proof?, &mut tally).await?;
                    if tally.taken.len() > taken {
                        tally.is_about_too(account);
                        commands.count_login(unit, trip, account, before).await?;
                    }
                }
            }
        }
        let left_out = trip.login.facts.left_out.clone();
        let refreshed = |accounts, kept, unread| Outcome::Refreshed { accounts, kept, unread, left_out };
        Ok(tally.end(unit, trip.attempt, refreshed, || refused.unwrap_or(Outcome::Interrupted)))
    }
}

/// Whatever the login reaches: from the access token page.
struct RefreshReached<'a> {
    commands: &'a Commands,
    trip: &'a Trip<'a>,
    reached: &'a [Profile],
    proofs: Proofs,
}

impl Decision for RefreshReached<'_> {
    type Output = Ending;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<Ending, Error> {
        let Self { commands, trip, reached, proofs } = self;
        let (mut tally, mut refused) = (Tally::default(), None);
        for profile in *reached {
            let Some(account) = profiles::find(commands.store.database(), &profile.instagram_id).await? else {
                continue;
            };
            tally.is_about(account);
            match confirm(unit, account, trip.login, profile).await? {
                Err(outcome) => refused = refused.or(Some(outcome)),
                Ok(()) => {
                    let (proof, taken) = (proofs.of(profile)?, tally.taken.len());
                    let before = unit.events();
                    commands.place(unit, trip, (account, profile, Way::TokenPage), proof, &mut tally).await?;
                    if tally.taken.len() > taken {
                        commands.count_login(unit, trip, account, before).await?;
                    }
                }
            }
        }
        let left_out = trip.login.facts.left_out.clone();
        let refreshed = |accounts, kept, unread| Outcome::Refreshed { accounts, kept, unread, left_out };
        let never = || refused.unwrap_or_else(|| Outcome::NeverConnected { reached: trip.login.names() });
        Ok(tally.end(unit, trip.attempt, refreshed, never))
    }
}

/// Whether the account may be refreshed by this login; if not, what the person is told.
async fn confirm(
    unit: &mut Unit,
    account: AccountId,
    login: &Login,
    profile: &Profile,
) -> Result<Result<(), Outcome>, Error> {
    let username = profile.username.clone();
    let command = AccountCommand::ConfirmConnection { connection: login.facts.connection };
    match unit.execute::<Account>(account, command).await.map_err(Error::from) {
        // Whoever proved to hold the login may refresh, signed in or not: there is no right to ask for.
        Ok(()) => Ok(Ok(())),
        Err(Error::Account(AccountError::OtherConnection { uses })) => {
            Ok(Err(Outcome::WrongConnection { username, uses }))
        }
        Err(Error::Account(AccountError::Disconnected)) => Ok(Err(Outcome::Disconnected { username })),
        Err(Error::Account(AccountError::Missing)) => Ok(Err(Outcome::NeverConnected { reached: vec![username] })),
        Err(error) => Err(error),
    }
}
