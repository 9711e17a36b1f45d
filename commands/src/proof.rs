//! Proof: what Meta says now, before a login's token becomes an account's token.
//!
//! Two questions, asked outside of any transaction. Does the present token work, where the login has no right to replace
//! one that does ([`domain::Token::guarded_from`])? And are the posts read with the new string? The decision is made on the
//! answers, and only as long as the token that was asked about is still the current one; otherwise all is asked again.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    Account, AccountId, Actor, Authority, Connection, Evidence, Right, TokenError, TokenId, Verdict,
    account::Standing,
    failure::Call,
    token::{Candidate, Present, Replacement},
};
use engine::{Decision, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use meta::Profile;
use tokio::time::{Instant, timeout_at};

use crate::{
    Commands, Context, Error, Outcome,
    allowance::{self, Change},
    attempt::{Attempt, Purpose},
    check::Checked,
    login::Login,
    new_id, profiles,
    reading::Reading,
};

/// How often it is asked and decided again, when other writers keep changing the token.
const TRIES: u32 = 4;
/// How many accounts are asked about at once.
const TOGETHER: usize = 4;
/// How long asking may take for all accounts of a login. What isn't known by then counts as not answered.
const WITHIN: Duration = Duration::from_mins(1);
/// How long asking goes on when the program stops. Then the login's grant waits to be tried again. Less than the
/// server gives to requests under way, so that the browser still gets its answer.
const BEFORE_STOP: Duration = Duration::from_secs(3);

/// A login on its way to a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trip<'a> {
    pub(crate) attempt: &'a Attempt,
    pub(crate) login: &'a Login,
    /// In whose power, if somebody is signed in.
    pub(crate) by: Option<Authority>,
    pub(crate) context: &'a Context,
}

/// What Meta says of one account.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The account's token, active or expired, that it was asked for.
    pub(crate) present: Option<TokenId>,
    pub(crate) found: Found,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The posts are read with the new token, and it may take the present one's place.
    Reads,
    /// The present token works, and stays.
    Works(Evidence),
    /// Meta doesn't say whether the present token works; it stays.
    Unconfirmed,
    /// The posts could not be read with the new token just now.
    Unread,
    /// Meta refuses the new token the posts.
    ReadingRefused,
    /// The app may not read this account.
    NoAccess,
    /// Meta refuses the app itself.
    AppRefused,
    /// The allowance for logins is used up; Meta wasn't asked.
    Spent,
}

/// What Meta says of a login's accounts, by their Instagram ids. Accounts that this login can't be for have no proof.
#[derive(Debug, Default)]
pub(crate) struct Proofs(BTreeMap<String, Proof>);

impl Proofs {
    /// The proof for an account. Without one the account has changed since.
    pub(crate) fn of(&self, profile: &Profile) -> Result<&Proof, TokenError> {
        self.0.get(&profile.instagram_id).ok_or(TokenError::Changed)
    }
}

/// How a decision on a trip ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The attempt is over.
    Over,
    /// Meta could not be asked to the end: the grant waits to be tried again.
    Waits(Outcome),
}

impl Commands {
    /// Asks Meta about these accounts of a login, and runs the decision that ends the attempt. When the attempt is over
    /// already (its commit happened and the answer got lost, or two choices raced), the first end counts.
    pub(crate) async fn settle<D>(
        &self,
        trip: &Trip<'_>,
        profiles: &[Profile],
        decision: impl Fn(Proofs) -> D,
    ) -> Result<(), Error>
    where
        D: Decision<Output = Ending, Error = Error>,
    {
        let (mut readings, mut refused) = (BTreeMap::new(), false);
        let mut stopped = pin!(self.stopped());
        for _ in 0..TRIES {
            let proofs = tokio::select! {
                proofs = self.prove(trip, profiles, &mut readings) => proofs?,
                () = stopped.as_mut() => return self.await_again(trip.attempt, &Outcome::Interrupted).await,
            };
            match self.store.run(&self.metadata(trip.context), &decision(proofs)).await {
                Ok((Ending::Over, _)) => return Ok(()),
                Ok((Ending::Waits(why), _)) => {
                    let until = self.limited_until(trip, profiles);
                    return self.await_again(trip.attempt, &why.limited(until)).await;
                }
                Err(Error::Token(TokenError::Changed) | Error::Store(StoreError::Conflict)) => refused = false,
                // A guarded row: the attempt is over, another token lies in the vault, or the allowance is used up.
                Err(Error::Store(StoreError::Refused)) => {
                    if self.is_over(trip.attempt).await? {
                        return Ok(());
                    }
                    refused = true;
                }
                Err(error) => return Err(error),
            }
        }
        // What is left of the allowance is less than what this login's accounts need; or others were faster each time.
        if refused && self.is_spent(trip, profiles).await? {
            return self.finish(trip.attempt, &Outcome::TooOften, trip.context).await;
        }
        self.await_again(trip.attempt, &Outcome::Interrupted).await
    }

    /// Until when Meta's limits let no one ask about some of these accounts.
    fn limited_until(&self, trip: &Trip<'_>, profiles: &[Profile]) -> Option<DateTime<Utc>> {
        let budget = self.budget(trip.login.facts.connection)?;
        let waits = profiles.iter().filter_map(|profile| budget.wait(Some(&profile.instagram_id), true));
        waits.max().map(|wait| self.clock.now() + wait)
    }

    /// Whether a login for each of these accounts is more than an allowance has left.
    async fn is_spent(&self, trip: &Trip<'_>, profiles: &[Profile]) -> Result<bool, Error> {
        let (database, actor) = (self.store.database(), trip.context.actor);
        for profile in profiles {
            let Some(account) = profiles::find(database, &profile.instagram_id).await? else { continue };
            let logins = i64::try_from(profiles.len()).unwrap_or(i64::MAX);
            if allowance::lacks(database, (actor, Change::Login), account, logins, self.clock.now()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until the program stops, and for as long as Meta is asked after that.
    async fn stopped(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(BEFORE_STOP).await;
    }

    /// `readings`: what was found before is not asked again; a login's string stays the same.
    async fn prove(
        &self,
        trip: &Trip<'_>,
        profiles: &[Profile],
        readings: &mut BTreeMap<String, Reading>,
    ) -> Result<Proofs, Error> {
        let ends = Instant::now() + WITHIN;
        let each = profiles.iter().map(|profile| {
            let read = readings.get(&profile.instagram_id).copied();
            async move { Ok::<_, Error>((profile, self.prove_one(trip, profile, read, ends).await?)) }
        });
        let all: Vec<_> = stream::iter(each.collect::<Vec<_>>()).buffered(TOGETHER).try_collect().await?;
        let mut proofs = Proofs::default();
        for (profile, proof) in all {
            let Some((proof, read)) = proof else { continue };
            readings.extend(read.map(|read| (profile.instagram_id.clone(), read)));
            proofs.0.insert(profile.instagram_id.clone(), proof);
        }
        Ok(proofs)
    }

    async fn prove_one(
        &self,
        trip: &Trip<'_>,
        profile: &Profile,
        read: Option<Reading>,
        ends: Instant,
    ) -> Result<Option<(Proof, Option<Reading>)>, Error> {
        let known = profiles::find(self.store.database(), &profile.instagram_id).await?;
        let account = match (known, trip.attempt.purpose) {
            (Some(account), _) => account,
            (None, Purpose::Connect) => AccountId::new(new_id()),
            (None, _) => return Ok(None),
        };
        let (state, token) = (self.account(account).await?, self.token(account).await?);
        if !can_be_for(trip, &state) {
            return Ok(None);
        }
        let mut present = token.current().map(|current| current.id);
        let (actor, now) = (trip.context.actor, self.clock.now());
        if allowance::spent(self.store.database(), Change::Login, actor, account, now).await?.is_some() {
            return Ok(Some((Proof { present, found: Found::Spent }, read)));
        }
        let granted_by = profiles::grantor(self.store.database(), account).await?;
        let candidate = Candidate {
            entitled: is_entitled(trip, &state),
            same_grantor: granted_by.is_some() && granted_by == trip.login.facts.grantor_id,
            window: self.settings.remind_window,
            at: now,
        };
        if let Some(current) = token.guarded_from(candidate) {
            let asked = timeout_at(ends, self.ask_present(account, current.id, trip.context)).await;
            let (asked_about, answer) = asked.unwrap_or(Ok((current.id, Present::NoAnswer)))?;
            present = Some(asked_about);
            let found = match answer.replacement() {
                Replacement::Allowed => None,
                Replacement::Declined => Some(Found::Works(Evidence::of(Call::Check, self.clock.now()))),
                Replacement::Undecided => Some(Found::Unconfirmed),
            };
            if let Some(found) = found {
                return Ok(Some((Proof { present, found }, read)));
            }
        }
        let read = match read {
            Some(read) => read,
            None => self.read_with(trip.login, &profile.instagram_id, ends).await?,
        };
        if read == Reading::Reads {
            self.app_works(trip.login.facts.connection, known).await?;
        }
        let found = match read {
            Reading::Reads => Found::Reads,
            Reading::Later => Found::Unread,
            Reading::Refused => Found::ReadingRefused,
            Reading::NoAccess => Found::NoAccess,
            Reading::AppRefused => Found::AppRefused,
        };
        // What passes is asked again, should there be another round.
        Ok(Some((Proof { present, found }, Some(read).filter(|read| *read != Reading::Later))))
    }

    /// Asks Meta whether the present token works, as a check does: what it says against the token counts.
    async fn ask_present(
        &self,
        account: AccountId,
        token: TokenId,
        context: &Context,
    ) -> Result<(TokenId, Present), Error> {
        if self.must_wait(account, true).await?.is_some() {
            return Ok((token, Present::NoAnswer));
        }
        let suspected = self.is_suspected(account, token).await?;
        let is_unread = self.token(account).await?.active().is_some_and(|token| token.reading_refused_at.is_some());
        let context = Context { actor: Actor::Relight, ..context.clone() };
        Ok(match self.check(account, &context).await? {
            Checked::Works { token, .. } => (token, Present::Works),
            Checked::Nothing => (token, Present::Refused),
            Checked::Failed(token, failed) => match failed.verdict {
                Verdict::Expired(_) => (token, Present::Refused),
                Verdict::Unclear(_) => (token, Present::Unclear { suspected }),
                // Its posts have been refused for a while: another person's token may read them.
                Verdict::NotTheToken if is_unread => (token, Present::Unclear { suspected: true }),
                _ => (token, Present::NoAnswer),
            },
        })
    }
}

/// Whether a login can bring a token for an account as it stands. Otherwise the decision says why not.
fn can_be_for(trip: &Trip<'_>, account: &Account) -> bool {
    let connection: Connection = trip.login.facts.connection;
    match (trip.attempt.purpose, account.standing()) {
        (Purpose::Switch, Standing::Connected(_))
        | (Purpose::Connect, Standing::Unknown | Standing::Disconnected(_)) => true,
        (_, Standing::Connected(uses)) => uses == connection,
        _ => false,
    }
}

/// Whether who set out may replace a token that works. A right that a member got by connecting an account that others
/// own is not enough: otherwise two logins would do what one may not.
fn is_entitled(trip: &Trip<'_>, account: &Account) -> bool {
    let owns = trip.attempt.user.is_some_and(|user| account.right_of(user) == Some(Right::Owner));
    match trip.attempt.purpose {
        Purpose::TokenPage | Purpose::Link => false,
        Purpose::Account | Purpose::Switch => owns || trip.by == Some(Authority::Staff),
        Purpose::Connect => owns,
    }
}
