//! Check: asks Meta whether an account's token works.

use chrono::{DateTime, Utc};
use domain::{AccountId, Connection, TokenId, failure::Call};
use meta::{Business, Consumer, MetaError, Profile};

use crate::{
    App, Commands, Context, Error, profiles,
    report_failure::{Failed, lacking},
    vault::Opened,
};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What Meta answered.
enum Asked {
    /// The token works, and reads the posts.
    Reads,
    /// The token works, without this permission.
    Lacks(String),
    /// Its time is over, says Meta; or the account was erased meanwhile.
    Over,
    /// Something else of the token.
    Failed(MetaError),
    /// The token works, and the posts are not read.
    Unread(MetaError),
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
            App::Consumer(consumer) => self.ask_consumer(consumer, account, &opened).await?,
            App::Business(business) => self.ask_business(business, account, &opened, context).await?,
        };
        match asked {
            Asked::Reads => {
                self.reads(account, &current, Call::Check, context).await?;
                self.worked(account, connection).await?;
                let is_overdue = current.ran_out(self.clock.now()).is_some() && self.is_overdue(account).await?;
                Ok(Checked::Works { token: opened.id, is_overdue })
            }
            Asked::Lacks(permission) => {
                Ok(Checked::Failed(opened.id, self.lacks(account, connection, opened.id, permission).await?))
            }
            Asked::Over => Ok(Checked::Nothing),
            Asked::Failed(error) => {
                tracing::info!(%account, %error, "a check failed");
                let failed = self.report_failure(account, connection, &opened, Call::Check, &error, context).await?;
                Ok(Checked::Failed(opened.id, failed))
            }
            Asked::Unread(error) => {
                tracing::info!(%account, %error, "a check could not read the posts");
                let failed = self.report_unread((account, &current), &opened, Call::Check, &error, context).await?;
                Ok(Checked::Failed(opened.id, failed))
            }
        }
    }

    /// Keeps the name that Meta tells of the account, if it is that account.
    async fn renamed(&self, account: AccountId, told: &Profile) -> Result<(), Error> {
        let (database, now) = (self.store.database(), self.clock.now());
        if let Some(known) = profiles::of(database, account).await?
            && known.instagram_id == told.instagram_id
            && is_name(&told.username)
        {
            if known.username != told.username {
                tracing::info!(%account, "an account has another name now");
            }
            profiles::rename(database, account, &told.username, now).await?;
        }
        Ok(())
    }

    /// When Meta last told the account's name: only a check does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn named_at(&self, account: AccountId) -> Result<Option<DateTime<Utc>>, Error> {
        Ok(profiles::told_at(self.store.database(), account).await?)
    }

    /// Whose token it is, and whether a post can be read with it.
    async fn ask_consumer(&self, consumer: &Consumer, account: AccountId, opened: &Opened) -> Result<Asked, Error> {
        let Some(profile) = profiles::of(self.store.database(), account).await? else { return Ok(Asked::Over) };
        match consumer.me(&opened.token, Some(&profile.instagram_id)).await {
            Ok(me) => self.renamed(account, &me.profile).await?,
            Err(error) => return Ok(Asked::Failed(error)),
        }
        Ok(match consumer.media(&opened.token, &profile.instagram_id, 1).await {
            Ok(_) => Asked::Reads,
            Err(error) => Asked::Unread(error),
        })
    }

    /// What Meta knows of the token. An app that may not read any more has tokens that look well, so that is tried.
    async fn ask_business(
        &self,
        business: &Business,
        account: AccountId,
        opened: &Opened,
        context: &Context,
    ) -> Result<Asked, Error> {
        let Some(profile) = profiles::of(self.store.database(), account).await? else { return Ok(Asked::Over) };
        let facts = match business.debug(&opened.token).await {
            Ok(facts) => facts,
            Err(error) => return Ok(Asked::Failed(error)),
        };
        // Meta knows the app by its own token again.
        self.app_token_works(Connection::Business).await?;
        if !self.told_deadlines(account, opened.id, &facts, context).await? {
            return Ok(Asked::Over);
        }
        if let Some(permission) = lacking(&facts) {
            return Ok(Asked::Lacks(permission));
        }
        if let Err(error) = business.media(&opened.token, &profile.instagram_id, 1).await {
            return Ok(Asked::Unread(error));
        }
        // What it is called is of no matter for whether the token works.
        if let Ok(now) = business.profile(&opened.token, &profile.instagram_id).await {
            self.renamed(account, &now).await?;
        }
        Ok(Asked::Reads)
    }
}

/// Whether it can be an account's name: it goes into rows and pages.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.chars().count()) && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@')
}
