//! Restore: an expired token that works again, says Meta, becomes the current one again.
//!
//! A checkpoint that was cleared, a role that was given back, a wrong clock: what ended a token may pass. Which answers may be
//! taken back stands in the table of answers ([`Row::may_return`](domain::failure::Row)).

use chrono::{DateTime, Utc};
use domain::{
    AccountId, Connection, DataAccess, Evidence, Token, TokenCommand, TokenId,
    account::Standing,
    failure::{Call, Verdict},
    token::Current,
};
use engine::{Decision, StoreError, Unit};
use meta::MetaError;
use secrecy::SecretString;

use crate::{
    App, Commands, Context, Error, hold, new_id, overdue::deadlines, profiles, report_failure::lacking, vault::Opened,
};

/// What Meta says of an expired token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rechecked {
    /// It works, and is the account's current one again.
    Restored,
    /// It is refused still; in Meta's words.
    Refused(String),
    /// Nobody knows; in Meta's words.
    Unknown(String),
    /// There is no expired token that may be asked about.
    Nothing,
}

/// An expired token that works: with which string, and until when.
struct Working {
    string: SecretString,
    expires_at: Option<DateTime<Utc>>,
    data_access: Option<DataAccess>,
}

impl Commands {
    /// Until when it makes sense to ask about the account's expired token, and since when it is known; `None`: it is not asked
    /// about.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn may_return(&self, account: AccountId) -> Result<Option<(Connection, Current)>, Error> {
        let (state, token) = (self.account(account).await?, self.token(account).await?);
        Ok(match (state.standing(), token.may_return()) {
            (Standing::Connected(connection), Some(current)) => Some((connection, *current)),
            _ => None,
        })
    }

    /// Asks Meta whether the account's expired token works again.
    ///
    /// # Errors
    /// When the store or the vault fails.
    pub async fn recheck(&self, account: AccountId, context: &Context) -> Result<Rechecked, Error> {
        let Some((connection, current)) = self.may_return(account).await? else { return Ok(Rechecked::Nothing) };
        let opened = self.open_token(account).await?;
        if opened.id != current.id || self.clock.doubt().is_some() {
            return Ok(Rechecked::Nothing);
        }
        let asked = match self.app(connection)? {
            App::Consumer(_) => self.recheck_consumer(account, &current, &opened).await?,
            App::Business(_) => self.recheck_business(account, &current, &opened).await?,
        };
        let working = match asked {
            Ok(Some(working)) => working,
            Ok(None) => return Ok(Rechecked::Refused("it lacks a permission, or its time is over".to_owned())),
            Err(error) => {
                let row = self.judge_and_pause(account, connection, &error).await?;
                tracing::info!(%account, %error, "an expired token doesn't work again");
                if let (Verdict::Expired(reason), false) = (row.verdict, row.may_return) {
                    // It won't come back.
                    self.report_failure(account, connection, &opened, Call::Check, &error, context).await?;
                    tracing::info!(%account, reason = reason.name(), "an expired token is expired for good");
                }
                let words = error.to_string();
                return Ok(if row.verdict.is_refusal() {
                    Rechecked::Refused(words)
                } else {
                    Rechecked::Unknown(words)
                });
            }
        };
        let token = TokenId::new(new_id());
        let restore = Restore { commands: self, account, previous: opened.id, token, working };
        let restored = match self.store.run(&self.metadata(context), &restore).await {
            Ok((restored, _)) => restored,
            // Another token took its place meanwhile.
            Err(Error::Store(StoreError::Refused)) => false,
            Err(error) => return Err(error),
        };
        if restored {
            self.app_works(connection, Some(account)).await?;
        }
        Ok(if restored { Rechecked::Restored } else { Rechecked::Nothing })
    }

    /// Instagram tells no deadlines: those that are known go on, and where the session's is over, extending it tells the next.
    async fn recheck_consumer(
        &self,
        account: AccountId,
        current: &Current,
        opened: &Opened,
    ) -> Result<Result<Option<Working>, MetaError>, Error> {
        let App::Consumer(consumer) = self.app(Connection::Consumer)? else { return Err(Error::NotOffered) };
        let Some(profile) = profiles::of(self.store.database(), account).await? else { return Ok(Ok(None)) };
        let now = self.clock.now();
        let ask = async {
            consumer.me(&opened.token, Some(&profile.instagram_id)).await?;
            consumer.media(&opened.token, &profile.instagram_id, 1).await?;
            let (string, expires_at) = if current.expires_at.is_some_and(|end| end <= now) {
                let long = consumer.renew(&opened.token).await?;
                (long.token, long.expires_in.map(|lasts| now + lasts))
            } else {
                (opened.token.clone(), current.expires_at)
            };
            Ok(Some(Working { string, expires_at, data_access: current.data_access }))
        };
        Ok(ask.await)
    }

    async fn recheck_business(
        &self,
        account: AccountId,
        current: &Current,
        opened: &Opened,
    ) -> Result<Result<Option<Working>, MetaError>, Error> {
        let App::Business(business) = self.app(Connection::Business)? else { return Err(Error::NotOffered) };
        let Some(profile) = profiles::of(self.store.database(), account).await? else { return Ok(Ok(None)) };
        let ask = async {
            let facts = business.debug(&opened.token).await?;
            if lacking(&facts).is_some() {
                return Ok(None);
            }
            business.media(&opened.token, &profile.instagram_id, 1).await?;
            let (session_ends, data_access) = deadlines(&facts);
            let expires_at = session_ends.or_known(current.expires_at);
            let data_access = data_access.or_known(current.data_access);
            Ok(Some(Working { string: opened.token.clone(), expires_at, data_access }))
        };
        Ok(ask.await)
    }
}

struct Restore<'a> {
    commands: &'a Commands,
    account: AccountId,
    previous: TokenId,
    token: TokenId,
    working: Working,
}

impl Decision for Restore<'_> {
    /// Whether the token is the account's current one again.
    type Output = bool;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<bool, Error> {
        let Self { commands, account, previous, token, working } = self;
        let (account, previous, token, at) = (*account, *previous, *token, unit.metadata().at);
        let Working { string, expires_at, data_access } = working;
        let evidence = Evidence::of(Call::Check, at);
        let (expires_at, data_access) = (*expires_at, *data_access);
        let command = TokenCommand::Restore { previous, token, expires_at, data_access, evidence };
        unit.execute::<Token>(account, command).await?;
        if unit.load::<Token>(account).await?.active().is_none_or(|current| current.id != token) {
            return Ok(false);
        }
        unit.write(commands.vault.replace(account, previous, token, string, at)?);
        unit.write(hold::nothing(account));
        Ok(true)
    }
}
