//! Pull: asks Meta for an account's latest posts.

use domain::{AccountId, TokenId, failure::Call};
use meta::Post;

use crate::{App, Commands, Context, Error, profiles, report_failure::Failed};

/// What a pull brought.
#[derive(Debug)]
pub enum Pulled {
    /// The posts, newest first, and by which token.
    Posts(TokenId, Vec<Post>),
    /// Meta answered otherwise.
    Failed(Failed),
    /// There is no active token to ask with.
    Nothing,
}

impl Commands {
    /// Asks Meta for an account's latest posts; if it says explicitly that the token can't be used, the token expires.
    ///
    /// # Errors
    /// When the store or the vault fails.
    pub async fn pull(&self, account: AccountId, posts: usize, context: &Context) -> Result<Pulled, Error> {
        let Some((connection, current)) = self.usable_token(account).await? else { return Ok(Pulled::Nothing) };
        let Some(profile) = profiles::of(self.store.database(), account).await? else { return Ok(Pulled::Nothing) };
        let opened = self.open_token(account).await?;
        let id = profile.instagram_id.as_str();
        let asked = match self.app(connection)? {
            App::Consumer(consumer) => consumer.media(&opened.token, id, posts).await,
            App::Business(business) => business.media(&opened.token, id, posts).await,
        };
        match asked {
            Ok(posts) => {
                self.worked(account, connection).await?;
                self.reads(account, &current, Call::Pull, context).await?;
                Ok(Pulled::Posts(opened.id, posts))
            }
            Err(error) => {
                tracing::info!(%account, %error, "a pull failed");
                let failed = self.report_unread((account, &current), &opened, Call::Pull, &error, context).await?;
                Ok(Pulled::Failed(failed))
            }
        }
    }
}
