//! Renew: extends the session of a token while it still can be; data access goes on as before.

use chrono::{DateTime, Utc};
use domain::{AccountId, Evidence, Token, TokenCommand, TokenId, Verdict, failure::Call, token::Current};
use engine::{Decision, StoreError, Unit};
use meta::{LongToken, MetaError};
use secrecy::SecretString;

use crate::{
    App, Commands, Context, Error,
    judge::judged,
    lasting::{self, Lasting},
    new_id,
    report_failure::{Failed, evidence},
    vault::Opened,
};

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
        unit.write(lasting::clear_renewal(*account));
        Ok(true)
    }
}

impl Commands {
    /// Judges what extending a session met. Where the answer may mean the token, Meta is asked about that. If it works, the
    /// failures are counted, and after a day a person must log in; after three days where the error is temporary: passing, a
    /// block, or a limit of the account.
    async fn report_unrenewed(
        &self,
        (account, current): (AccountId, &Current),
        opened: &Opened,
        error: &MetaError,
        context: &Context,
    ) -> Result<Failed, Error> {
        let (connection, row) = (current.connection, judged(error));
        let report = |call, error| self.report_failure(account, connection, opened, call, error, context);
        let may_be_the_token = row.verdict.may_mean_the_token();
        if may_be_the_token {
            match self.token_works(connection, opened).await {
                Ok(true) => {}
                Ok(false) => return report(Call::Renew, error).await,
                Err(error) => return report(Call::Check, &error).await,
            }
        } else if !self.is_the_accounts_own(connection, row.verdict) {
            return report(Call::Renew, error).await;
        }
        let what = if may_be_the_token { Lasting::Renewal } else { Lasting::RenewalForNow };
        let since = self.count_failure(account, opened.id, what).await?;
        if let Some(since) = since.filter(|_| current.renewal_failing_since.is_none()) {
            let evidence = evidence(error, row, Call::Renew, self.clock.now());
            let failing = Failing { account, token: opened.id, since, evidence };
            self.store.run(&self.metadata(context), &failing).await?;
        }
        if !may_be_the_token {
            return report(Call::Renew, error).await;
        }
        let shut_out = error.answer().and_then(|answer| answer.shut_out);
        Ok(Failed { verdict: Verdict::NotTheToken, shut_out, row: row.name, words: error.to_string() })
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
