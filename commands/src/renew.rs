//! Renew: extends the session of a token while it still can be; data access goes on as before.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, Evidence, Token, TokenCommand, TokenId, Verdict, failure::Call, token::Current};
use engine::{Decision, StoreError, Unit, sql};
use meta::{LongToken, MetaError, Presence};
use secrecy::SecretString;

use crate::{
    App, Commands, Context, Error,
    login::judged,
    new_id,
    report_failure::{Failed, evidence},
    vault::Opened,
};

/// So many failures…
const FAILURES: i64 = 3;
/// …over so long are more than bad luck.
const FOR_A_DAY: TimeDelta = TimeDelta::days(1);
/// The same of errors that Meta calls passing.
const FOR_DAYS: TimeDelta = TimeDelta::days(3);

/// What a renewal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The session was extended; by the token that Meta answered with.
    Done,
    /// Meta answered otherwise.
    Failed(Failed),
    /// There is no token any more that this was for.
    Nothing,
}

impl Commands {
    /// Extends the session of the account's token.
    ///
    /// # Errors
    /// When the store or the vault fails.
    pub async fn renew(&self, account: AccountId, context: &Context) -> Result<Renewal, Error> {
        let Some((connection, current)) = self.usable_token(account).await? else { return Ok(Renewal::Nothing) };
        let opened = self.open_token(account).await?;
        let now = self.clock.now();
        let asked = match self.app(connection)? {
            App::Consumer(consumer) => {
                let ends = |long: LongToken| (long.token, long.expires_in.map(|lasts| now + lasts));
                consumer.renew(&opened.token).await.map(ends)
            }
            App::Business(business) => business.renew(&opened.token, now).await,
        };
        match asked {
            Ok((string, expires_at)) => {
                let token = TokenId::new(new_id());
                let renew = Renew { commands: self, account, previous: opened.id, token, string, expires_at };
                let recorded = match self.store.run(&self.metadata(context), &renew).await {
                    Ok((recorded, _)) => recorded,
                    // Another token took its place meanwhile: this result is dropped, with its token.
                    Err(Error::Store(StoreError::Refused)) => false,
                    Err(error) => return Err(error),
                };
                // It shows nothing of whether the app may read: what is held stays so until a read works.
                Ok(if recorded { Renewal::Done } else { Renewal::Nothing })
            }
            Err(error) => {
                let failed = self.report_unrenewed((account, &current), &opened, &error, context).await?;
                tracing::info!(%account, %error, verdict = ?failed.verdict, "a renewal failed");
                Ok(Renewal::Failed(failed))
            }
        }
    }
}

struct Renew<'a> {
    commands: &'a Commands,
    account: AccountId,
    previous: TokenId,
    token: TokenId,
    string: SecretString,
    expires_at: Option<DateTime<Utc>>,
}

impl Decision for Renew<'_> {
    /// Whether the renewed token is the account's current one.
    type Output = bool;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<bool, Error> {
        let Self { commands, account, previous, token, expires_at, .. } = self;
        let at = unit.metadata().at;
        let command = TokenCommand::RecordRenewal { previous: *previous, token: *token, expires_at: *expires_at, at };
        unit.execute::<Token>(*account, command).await?;
        if unit.load::<Token>(*account).await?.active().is_none_or(|current| current.id != *token) {
            return Ok(false);
        }
        unit.write(commands.vault.replace(*account, *previous, *token, &self.string, at)?);
        unit.write(sql("DELETE FROM renewal_failures WHERE account_id = $1").bind(account.to_string()));
        Ok(true)
    }
}

impl Commands {
    /// Judges what extending a session met. Where the answer may mean the token, Meta is asked about that: if it works, the
    /// failures are counted, and after a day a person must log in; after three days where Meta calls the error passing, and answers the
    /// same token otherwise.
    async fn report_unrenewed(
        &self,
        (account, current): (AccountId, &Current),
        opened: &Opened,
        error: &MetaError,
        context: &Context,
    ) -> Result<Failed, Error> {
        let (connection, row) = (current.connection, judged(error));
        let may_be_the_token = matches!(
            row.verdict,
            Verdict::Expired(_)
                | Verdict::BadRequest
                | Verdict::Unclear(_)
                | Verdict::AppOrAccount(_)
                | Verdict::Alarm
                | Verdict::NotTheToken
        );
        // Meta answers other calls: it may be this token that it can't extend.
        let is_passing = row.verdict == Verdict::Passing && self.presence(connection) != Presence::Away;
        if !may_be_the_token && !is_passing {
            return self.report_failure(account, connection, opened, Call::Renew, error, context).await;
        }
        match self.token_works(connection, opened).await {
            Ok(true) => {}
            Ok(false) => return self.report_failure(account, connection, opened, Call::Renew, error, context).await,
            Err(error) => return self.report_failure(account, connection, opened, Call::Check, &error, context).await,
        }
        let now = self.clock.now();
        let (failures, since): (i64, DateTime<Utc>) = sql(
            "INSERT INTO renewal_failures (account_id, token_id, first_at, failures) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (account_id) DO UPDATE SET \
             first_at = CASE WHEN renewal_failures.token_id = excluded.token_id THEN renewal_failures.first_at \
             ELSE excluded.first_at END, \
             failures = CASE WHEN renewal_failures.token_id = excluded.token_id THEN renewal_failures.failures + 1 ELSE 1 END, \
             token_id = excluded.token_id RETURNING failures, first_at",
        )
        .bind(account.to_string())
        .bind(opened.id.to_string())
        .bind(now)
        .fetch_one(self.store.database().writing())
        .await?;
        let goes_on_for = if is_passing { FOR_DAYS } else { FOR_A_DAY };
        if failures >= FAILURES && now - since >= goes_on_for && current.renewal_failing_since.is_none() {
            let evidence = evidence(error, row, Call::Renew, now);
            let failing = Failing { account, token: opened.id, since, evidence };
            self.store.run(&self.metadata(context), &failing).await?;
        }
        let shut_out = error.answer().and_then(|answer| answer.shut_out);
        let verdict = if is_passing { Verdict::Passing } else { Verdict::NotTheToken };
        Ok(Failed { verdict, shut_out, row: row.name, words: error.to_string() })
    }
}

struct Failing {
    account: AccountId,
    token: TokenId,
    since: DateTime<Utc>,
    evidence: Evidence,
}

impl Decision for Failing {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let (token, since, evidence) = (self.token, self.since, self.evidence.clone());
        let command = TokenCommand::RecordRenewalFailing { token, since, evidence };
        Ok(unit.execute::<Token>(self.account, command).await?)
    }
}
