//! Overdue: what becomes of a token whose time has run out. Where Meta was heard of it lately, time decides alone; otherwise
//! Meta is asked first.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    AccountId, Connection, DataAccess, Evidence, Reason, Token, TokenCommand, TokenId,
    failure::Call,
    token::{Current, Told},
};
use engine::{Decision, Unit};
use meta::{End, Presence, TokenFacts};

use crate::{App, Commands, Context, Error};

/// What is known of a token besides what the journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// When Meta last said that it works.
    pub at: Option<DateTime<Utc>>,
    /// Meta was asked since its time ran out, and there was time enough to answer.
    pub was_asked: bool,
}

/// What becomes of a token that may have run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has expired, or its time is still to come: when the next of its clocks runs out, if any.
    Decided(Option<DateTime<Utc>>),
    /// Meta, by the app of this login, is to be asked first.
    Ask(Connection),
    /// The time can't be trusted: nothing is decided.
    Wait,
}

/// When Meta is asked again about a token that works although its time has run out.
pub const ASK_AGAIN: TimeDelta = TimeDelta::hours(6);

impl Commands {
    /// Whether Meta answers calls of the app of a login.
    pub fn presence(&self, connection: Connection) -> Presence {
        match self.app(connection) {
            Ok(App::Consumer(consumer)) => consumer.presence(),
            Ok(App::Business(business)) => business.presence(),
            // Without an app there is nobody to ask.
            Err(_) => Presence::Away,
        }
    }

    /// Asks Meta what time it is, by each app; what it answers reaches the clock.
    pub async fn ask_the_time(&self) {
        let consumer = async { Some(self.consumer.as_ref()?.ask_the_time().await) };
        let business = async { Some(self.business.as_ref()?.ask_the_time().await) };
        let (consumer, business) = tokio::join!(consumer, business);
        for error in [consumer, business].into_iter().flatten().filter_map(Result::err) {
            tracing::debug!(%error, "Meta did not say what time it is");
        }
    }

    /// Marks the account's token expired if one of its clocks ran out, unless Meta is to be asked first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire(&self, account: AccountId, heard: Heard, context: &Context) -> Result<Due, Error> {
        let expire = Expire { commands: self, account, heard };
        Ok(self.store.run(&self.metadata(context), &expire).await?.0)
    }

    /// Whether the account's token has run out and is not expired: Meta may not have answered yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_overdue(&self, account: AccountId) -> Result<bool, Error> {
        let current = self.usable_token(account).await?;
        Ok(current.is_some_and(|(_, current)| current.ran_out(self.clock.now()).is_some()))
    }

    /// Takes the deadlines that Meta returned for a token, and expires it where one of them is over. Whether it is still usable.
    pub(crate) async fn told_deadlines(
        &self,
        account: AccountId,
        token: TokenId,
        facts: &TokenFacts,
        context: &Context,
    ) -> Result<bool, Error> {
        // By Meta's answer it may just have turned out that it is not the time that it seemed to be.
        if self.clock.doubt().is_some() {
            return Ok(true);
        }
        let (session_ends, data_access) = deadlines(facts);
        let move_on = MoveDeadlines { account, token, session_ends, data_access };
        self.store.run(&self.metadata(context), &move_on).await?;
        let reason = self.token(account).await?.active().and_then(|current| current.ran_out(self.clock.now()));
        let is_told = match reason {
            None => false,
            Some(Reason::DataAccessEnded) => data_access != Told::Nothing,
            Some(_) => session_ends != Told::Nothing,
        };
        if is_told {
            self.expire(account, Heard { at: None, was_asked: true }, context).await?;
        }
        Ok(self.usable(account).await?.is_some())
    }
}

/// When a token's session and data access end, as Meta tells it.
pub(crate) fn deadlines(facts: &TokenFacts) -> (Told<DateTime<Utc>>, Told<DataAccess>) {
    (
        told(facts.session_ends, |at| at),
        told(facts.data_access_ends, |ends_at| DataAccess { ends_at, estimated: false }),
    )
}

fn told<T>(end: End, at: impl FnOnce(DateTime<Utc>) -> T) -> Told<T> {
    match end {
        End::Untold => Told::Nothing,
        End::Never => Told::Never,
        End::At(end) => Told::At(at(end)),
    }
}

struct Expire<'a> {
    commands: &'a Commands,
    account: AccountId,
    heard: Heard,
}

impl Decision for Expire<'_> {
    type Output = Due;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<Due, Error> {
        let Self { commands, account, heard } = self;
        if commands.clock.doubt().is_some() {
            return Ok(Due::Wait);
        }
        let at = unit.metadata().at;
        if let Some(end) = unit.load::<Token>(*account).await?.active().and_then(Current::runs_out_at)
            && let Some(again) = heard.at.filter(|heard| *heard >= end && end <= at).map(|heard| heard + ASK_AGAIN)
            && again > at
        {
            // It worked when its time was over already.
            return Ok(Due::Decided(Some(again)));
        }
        if let Some(current) = unit.load::<Token>(*account).await?.active()
            && !heard.was_asked
            && current.is_to_be_asked_about(at, heard.at)
            && commands.presence(current.connection) != Presence::Away
        {
            return Ok(Due::Ask(current.connection));
        }
        unit.execute::<Token>(*account, TokenCommand::Expire { at }).await?;
        let current = unit.load::<Token>(*account).await?;
        Ok(Due::Decided(current.active().and_then(Current::runs_out_at)))
    }
}

struct MoveDeadlines {
    account: AccountId,
    token: TokenId,
    session_ends: Told<DateTime<Utc>>,
    data_access: Told<DataAccess>,
}

impl Decision for MoveDeadlines {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account, token, session_ends, data_access } = *self;
        let evidence = Evidence::of(Call::Check, unit.metadata().at);
        let command = TokenCommand::RecordDeadlines { token, session_ends, data_access, evidence };
        Ok(unit.execute::<Token>(account, command).await?)
    }
}
