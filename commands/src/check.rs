//! Check: asks Meta whether an account's token works.

use domain::{AccountId, TokenId, failure::Call, token::Current};
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
    Works {
        /// Which one.
        token: TokenId,
        /// Its time has run out as far as is known, and Meta says nothing else.
        is_overdue: bool,
    },
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
            App::Business(business) => self.ask_business(business, (account, &current), &opened, context).await?,
        };
        match asked {
            Ok(Some(permission)) => {
                Ok(Checked::Failed(opened.id, self.lacks(account, connection, opened.id, permission).await?))
            }
            Ok(None) => {
                self.worked(account, connection).await?;
                let is_overdue = current.ran_out(self.clock.now()).is_some() && self.is_overdue(account).await?;
                Ok(Checked::Works { token: opened.id, is_overdue })
            }
            Err(error) => {
                let failed = self.report_failure(account, connection, &opened, Call::Check, &error, context).await?;
                tracing::info!(%account, %error, verdict = ?failed.verdict, "a check failed");
                Ok(Checked::Failed(opened.id, failed))
            }
        }
    }

    /// Which permission Meta says that the token lacks. An app that may not read any more has tokens that look well, so that is
    /// tried.
    async fn ask_business(
        &self,
        business: &Business,
        (account, current): (AccountId, &Current),
        opened: &Opened,
        context: &Context,
    ) -> Result<Result<Option<String>, MetaError>, Error> {
        let facts = match business.debug(&opened.token).await {
            Ok(facts) => facts,
            Err(error) => return Ok(Err(error)),
        };
        let has_run_out = current.ran_out(self.clock.now()).is_some();
        if has_run_out && !self.told_deadlines(account, opened.id, &facts, context).await? {
            return Ok(Ok(None));
        }
        let profile = profiles::of(self.store.database(), account).await?;
        let (lacking, Some(profile)) = (lacking(&facts), profile) else { return Ok(Ok(None)) };
        if lacking.is_some() {
            return Ok(Ok(lacking));
        }
        Ok(business.media(&opened.token, &profile.instagram_id, 1).await.map(|_| None))
    }
}
