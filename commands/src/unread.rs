//! The posts can't be read although the token works: the account's matter, not the token's.
//!
//! It is held like what isn't clear ([`crate::hold`]), for it may be the app's. Once it is sure, it is a state of its own, which
//! ends by itself.

use domain::{
    AccountId, Connection, Evidence, Reason, Token, TokenCommand, TokenId, Verdict, failure::Call, token::Current,
};
use engine::{Decision, Unit};
use meta::{MetaError, Presence};

use crate::{
    App, Commands, Context, Error,
    hold::{self, Suspicion},
    judge::judged,
    lasting::Lasting,
    report_failure::{Failed, evidence, lacking},
    vault::Opened,
};

impl Commands {
    /// Judges what reading the posts met. Where the answer may mean the token, Meta is asked about that: if it works, reading is
    /// refused, and the token stays.
    pub(crate) async fn report_unread(
        &self,
        (account, current): (AccountId, &Current),
        opened: &Opened,
        call: Call,
        error: &MetaError,
        context: &Context,
    ) -> Result<Failed, Error> {
        let (connection, row) = (current.connection, judged(error));
        if self.is_the_accounts_own(connection, row.verdict) {
            self.reading_fails((account, current), opened, (call, error), context).await?;
        }
        let suspected = match row.verdict {
            Verdict::BadRequest => Suspicion::reading(Reason::Unknown),
            Verdict::Unclear(reason) | Verdict::AppOrAccount(reason) => Suspicion::reading(reason),
            Verdict::Alarm | Verdict::NotTheToken => Suspicion::reading(Reason::Unknown).for_a_day(),
            _ => return self.report_failure(account, connection, opened, call, error, context).await,
        };
        match self.token_works(connection, opened).await {
            Ok(true) => {}
            Ok(false) => return self.report_failure(account, connection, opened, call, error, context).await,
            Err(error) => return self.report_failure(account, connection, opened, Call::Check, &error, context).await,
        }
        let (words, shut_out) = (error.to_string(), error.answer().and_then(|answer| answer.shut_out));
        let failed = |verdict| Failed { verdict, shut_out, row: row.name, words };
        if current.reading_refused_at.is_some() {
            return Ok(failed(Verdict::NotTheToken));
        }
        let evidence = evidence(error, row, call, self.clock.now());
        self.hold((account, connection), opened.id, suspected, &evidence).await?;
        // Instagram's own word on the token shows that the app works; Facebook's doesn't.
        Ok(failed(match (row.verdict, connection) {
            (Verdict::AppOrAccount(reason), Connection::Business) => Verdict::AppOrAccount(reason),
            (Verdict::Alarm | Verdict::NotTheToken, _) => Verdict::Alarm,
            _ => Verdict::Unclear(suspected.reason),
        }))
    }

    /// Whether a temporary failure is this account's own: Meta answers other calls, and the app as a whole is not limited.
    pub(crate) fn is_the_accounts_own(&self, connection: Connection, verdict: Verdict) -> bool {
        let is_its_own = verdict.is_temporary() && verdict != Verdict::AppThrottled;
        is_its_own && self.presence(connection) != Presence::Away
    }

    /// Counts a temporary failure to read. After days of them, while other accounts are read and the token works, the posts
    /// count as refused.
    async fn reading_fails(
        &self,
        (account, current): (AccountId, &Current),
        opened: &Opened,
        (call, error): (Call, &MetaError),
        context: &Context,
    ) -> Result<(), Error> {
        let (connection, row) = (current.connection, judged(error));
        if current.reading_refused_at.is_some()
            || self.count_failure(account, opened.id, Lasting::ReadingForNow).await?.is_none()
            || !self.other_worked_lately(account, connection).await?
        {
            return Ok(());
        }
        // While calls about the account are limited, one more would lengthen that.
        if row.verdict.is_limit() || self.token_works(connection, opened).await == Ok(true) {
            let evidence = evidence(error, row, call, self.clock.now());
            self.unread(account, opened.id, evidence, context).await?;
        }
        Ok(())
    }

    /// Whether Meta says that a token works, with all that is needed. Its posts are not asked for.
    pub(crate) async fn token_works(&self, connection: Connection, opened: &Opened) -> Result<bool, MetaError> {
        match self.app(connection) {
            Ok(App::Consumer(consumer)) => consumer.me(&opened.token, None).await.map(|_| true),
            Ok(App::Business(business)) => Ok(lacking(&business.debug(&opened.token).await?).is_none()),
            Err(_) => Ok(false),
        }
    }

    /// The posts were read: if they were refused before, that is over.
    pub(crate) async fn reads(
        &self,
        account: AccountId,
        current: &Current,
        call: Call,
        context: &Context,
    ) -> Result<(), Error> {
        if current.reading_refused_at.is_none() {
            return Ok(());
        }
        let (token, evidence) = (current.id, Evidence::of(call, self.clock.now()));
        let read = Record { account, command: TokenCommand::RecordReading { token, evidence } };
        self.store.run(&self.metadata(context), &read).await?;
        Ok(())
    }

    /// What was held is sure: the posts are refused.
    pub(crate) async fn unread(
        &self,
        account: AccountId,
        token: TokenId,
        evidence: Evidence,
        context: &Context,
    ) -> Result<(), Error> {
        let refused = Record { account, command: TokenCommand::RecordReadingRefused { token, evidence } };
        self.store.run(&self.metadata(context), &refused).await?;
        Ok(())
    }
}

/// A command to the account's token, after which nothing is held against it.
struct Record {
    account: AccountId,
    command: TokenCommand,
}

impl Decision for Record {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        unit.write(hold::nothing(self.account));
        Ok(unit.execute::<Token>(self.account, self.command.clone()).await?)
    }
}
