//! Check: asks Meta whether an account's token works.

use chrono::{DateTime, Utc};
use domain::{AccountId, Token, TokenCommand, TokenId, failure::Call, token::Current};
use engine::{Decision, Unit};
use meta::{Business, MetaError};

use crate::{
    App, Commands, Context, Error, profiles,
    report_failure::{Failed, lacking},
    vault::Opened,
};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The token works.
    Works(TokenId),
    /// Meta answered otherwise.
    Failed(TokenId, Failed),
    /// There is no active token to ask about.
    Nothing,
}

impl Commands {
    /// Asks Meta whether the account's token works; if it says explicitly that it doesn't, the token expires.
    ///
    /// # Errors
    /// When the store or the vault fails.
    pub async fn check(&self, account: AccountId, context: &Context) -> Result<Checked, Error> {
        let Some((connection, current)) = self.usable_token(account).await? else { return Ok(Checked::Nothing) };
        let opened = self.open_token(account).await?;
        let asked = match self.app(connection)? {
            App::Consumer(consumer) => consumer.me(&opened.token).await.map(|_| None),
            App::Business(business) => self.ask_business(business, account, &opened).await?,
        };
        match asked {
            Ok(Some(permission)) => {
                Ok(Checked::Failed(opened.id, self.lacks(account, connection, opened.id, permission).await?))
            }
            Ok(None) => {
                self.worked(account, connection).await?;
                if current.ran_out(self.clock.now()).is_some() {
                    self.expire(account, context).await?;
                }
                Ok(Checked::Works(opened.id))
            }
            Err(error) => {
                let failed = self.report_failure(account, connection, &opened, Call::Check, &error, context).await?;
                tracing::info!(%account, %error, verdict = ?failed.verdict, "a check failed");
                Ok(Checked::Failed(opened.id, failed))
            }
        }
    }

    /// What Meta says about the token, and whether it reads: an app that may not read any more has tokens that look well.
    async fn ask_business(
        &self,
        business: &Business,
        account: AccountId,
        opened: &Opened,
    ) -> Result<Result<Option<String>, MetaError>, Error> {
        let facts = match business.debug(&opened.token).await {
            Ok(facts) => facts,
            Err(error) => return Ok(Err(error)),
        };
        let profile = profiles::of(self.store.database(), account).await?;
        let (lacking, Some(profile)) = (lacking(&facts), profile) else { return Ok(Ok(None)) };
        if lacking.is_some() {
            return Ok(Ok(lacking));
        }
        Ok(business.media(&opened.token, &profile.instagram_id, 1).await.map(|_| None))
    }

    /// Marks the account's token expired if one of its clocks ran out. Otherwise says when the next one does, if any.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire(&self, account: AccountId, context: &Context) -> Result<Option<DateTime<Utc>>, Error> {
        let (next, _) = self.store.run(&self.metadata(context), &Expire { account }).await?;
        Ok(next)
    }
}

struct Expire {
    account: AccountId,
}

impl Decision for Expire {
    type Output = Option<DateTime<Utc>>;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<Self::Output, Error> {
        let at = unit.metadata().at;
        unit.execute::<Token>(self.account, TokenCommand::Expire { at }).await?;
        let current = unit.load::<Token>(self.account).await?;
        Ok(current.active().and_then(Current::runs_out_at))
    }
}
