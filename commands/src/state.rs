//! What use cases look up before they ask Meta: an account's state, its token, its app.

use domain::{Account, AccountId, Connection, Token, account::Standing, token::Current};
use engine::StoreError;
use meta::{Business, Consumer, Profile};

use crate::{Commands, Context, Error, profiles};

/// The app of a login.
#[derive(Debug, Clone, Copy)]
pub(crate) enum App<'a> {
    Consumer(&'a Consumer),
    Business(&'a Business),
}

impl Commands {
    /// The app of a login.
    pub(crate) fn app(&self, connection: Connection) -> Result<App<'_>, Error> {
        match connection {
            Connection::Consumer => self.consumer.as_ref().map(App::Consumer),
            Connection::Business => self.business.as_ref().map(App::Business),
        }
        .ok_or(Error::NotOffered)
    }

    pub(crate) async fn account(&self, account: AccountId) -> Result<Account, Error> {
        Ok(self.store.unit(self.metadata(&Context::relight())).load(account).await?)
    }

    /// Those of a login's accounts that can be decided on. One whose history can't be read keeps the login from no other;
    /// where there is no other, that is the error.
    pub(crate) async fn readable(&self, profiles: &[Profile]) -> Result<Vec<Profile>, Error> {
        let (mut readable, mut unreadable) = (Vec::with_capacity(profiles.len()), None);
        for profile in profiles {
            let Some(account) = profiles::find(self.store.database(), &profile.instagram_id).await? else {
                readable.push(profile.clone());
                continue;
            };
            let loaded = async { Ok::<_, Error>((self.account(account).await?, self.token(account).await?)) };
            match loaded.await {
                Ok(_) => readable.push(profile.clone()),
                Err(error @ Error::Store(StoreError::Undecodable(_))) => {
                    tracing::error!(%account, %error, "a login leaves out an account whose history can't be read");
                    unreadable = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match unreadable {
            Some(error) if readable.is_empty() => Err(error),
            _ => Ok(readable),
        }
    }

    pub(crate) async fn token(&self, account: AccountId) -> Result<Token, Error> {
        Ok(self.store.unit(self.metadata(&Context::relight())).load(account).await?)
    }

    /// How the account is connected, if it has a token that can be used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn usable(&self, account: AccountId) -> Result<Option<Connection>, Error> {
        Ok(self.usable_token(account).await?.map(|(connection, _)| connection))
    }

    /// The same with what is known of that token.
    pub(crate) async fn usable_token(&self, account: AccountId) -> Result<Option<(Connection, Current)>, Error> {
        let (state, token) = (self.account(account).await?, self.token(account).await?);
        Ok(match (state.standing(), token.active()) {
            (Standing::Connected(connection), Some(current)) => Some((connection, *current)),
            _ => None,
        })
    }
}

impl Context {
    /// For reads that lead to no event.
    fn relight() -> Self {
        Self { actor: domain::Actor::Relight, correlation: String::new(), causation: None, request: None }
    }
}
