//! Renew: extends the session of a token while it still can be; data access goes on as before.

use chrono::{DateTime, Utc};
use domain::{AccountId, Token, TokenCommand, TokenId, failure::Call};
use engine::{Decision, StoreError, Unit};
use meta::LongToken;
use secrecy::SecretString;

use crate::{App, Commands, Context, Error, new_id, report_failure::Failed};

/// What a renewal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let Some(connection) = self.usable(account).await? else { return Ok(Renewal::Nothing) };
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
                let failed = self.report_failure(account, connection, &opened, Call::Renew, &error, context).await?;
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
        Ok(true)
    }
}
