//! From a code to a grant: what Meta says of a login before anything is decided.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    AttemptId, Connection, DataAccess, TokenId,
    failure::{Answer, ExchangeFailure, Row, Verdict, exchange_failure, judge},
    token::{Grant, Way},
};
use meta::{MetaError, Profile};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{Commands, Outcome, new_id, outcome::LeftOut};

/// What came of a login. Serialized only to be sealed.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) token: SecretString,
    pub(crate) facts: Facts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) connection: Connection,
    pub(crate) granted_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) data_access: Option<DataAccess>,
    pub(crate) permissions: Vec<String>,
    /// The app-scoped id of whoever logged in.
    pub(crate) grantor_id: Option<String>,
    /// The accounts that the login reaches; never empty.
    pub(crate) reached: Vec<(String, String)>,
    /// Pages that could not be read.
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    token: String,
    facts: Facts,
}

impl Login {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored { token: self.token.expose_secret().to_owned(), facts: self.facts.clone() };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        Some(Self { token: stored.token.into(), facts: stored.facts })
    }

    pub(crate) fn reached(&self) -> Vec<Profile> {
        let profile = |(instagram_id, username): &(String, String)| Profile {
            instagram_id: instagram_id.clone(),
            username: username.clone(),
        };
        self.facts.reached.iter().map(profile).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.facts.reached.iter().map(|(_, username)| username.clone()).collect()
    }

    /// The grant for one account, under a token id of its own.
    pub(crate) fn grant(&self, attempt: AttemptId, way: Way) -> Grant {
        let facts = self.facts.clone();
        Grant {
            token: TokenId::new(new_id()),
            attempt,
            connection: facts.connection,
            way,
            granted_at: facts.granted_at,
            expires_at: facts.expires_at,
            data_access: facts.data_access,
            permissions: facts.permissions,
        }
    }
}

impl Commands {
    /// Exchanges a code and asks who it was; what the person must be told otherwise is the error.
    pub(crate) async fn log_in(&self, connection: Connection, code: &SecretString) -> Result<Login, Outcome> {
        let login = match connection {
            Connection::Consumer => self.log_in_consumer(code).await?,
            Connection::Business => self.log_in_business(code).await?,
        };
        Ok(login)
    }

    async fn log_in_consumer(&self, code: &SecretString) -> Result<Login, Outcome> {
        let consumer = self.consumer.as_ref().ok_or(Outcome::MetaUnavailable)?;
        let granted_at = self.clock.now();
        let redirect_uri = self.redirect_uri(Connection::Consumer);
        let short = consumer.exchange(code, &redirect_uri).await.map_err(|error| exchange_failed(&error))?;
        let permissions = complete(Connection::Consumer, short.permissions)?;
        let me = again(|| consumer.me(&short.token)).await?;
        if me.personal {
            return Err(Outcome::PersonalAccount { username: me.profile.username });
        }
        let long = again(|| consumer.extend(&short.token)).await?;
        let data_access = self.settings.consumer_data_access;
        Ok(Login {
            token: long.token,
            facts: Facts {
                connection: Connection::Consumer,
                granted_at,
                expires_at: long.expires_in.map(|lasts| granted_at + lasts),
                data_access: data_access.map(|lasts| DataAccess { ends_at: granted_at + lasts, estimated: true }),
                permissions,
                grantor_id: me.app_scoped_id,
                reached: vec![(me.profile.instagram_id, me.profile.username)],
                left_out: Vec::new(),
            },
        })
    }

    async fn log_in_business(&self, code: &SecretString) -> Result<Login, Outcome> {
        let business = self.business.as_ref().ok_or(Outcome::MetaUnavailable)?;
        let granted_at = self.clock.now();
        let redirect_uri = self.redirect_uri(Connection::Business);
        let short = business.exchange(code, &redirect_uri).await.map_err(|error| exchange_failed(&error))?;
        let permissions = again(|| business.permissions(&short.token)).await?;
        let permissions = complete(Connection::Business, permissions)?;
        // A system user's token has no end, and can't be extended.
        let short_facts = match short.expires_in {
            Some(_) => None,
            None => Some(again(|| business.debug(&short.token)).await?),
        };
        let (token, facts) = match short_facts {
            Some(facts) if facts.never_ends() => (short.token, facts),
            _ => {
                let long = again(|| business.extend(&short.token)).await?;
                let facts = again(|| business.debug(&long.token)).await?;
                (long.token, facts)
            }
        };
        let found = again(|| business.pages(&token, &facts)).await?;
        let left_out: Vec<_> = found.left_out.iter().map(LeftOut::of).collect();
        let pages = found.pages;
        if pages.is_empty() {
            return Err(if left_out.is_empty() { Outcome::NoPage } else { Outcome::PagesRefused { pages: left_out } });
        }
        let mut reached: Vec<_> = pages
            .iter()
            .filter_map(|page| page.account.as_ref())
            .map(|account| (account.instagram_id.clone(), account.username.clone()))
            .collect();
        reached.sort();
        reached.dedup();
        if reached.is_empty() {
            return Err(if left_out.is_empty() {
                Outcome::PageWithoutAccount { pages: pages.into_iter().map(|page| page.name).collect() }
            } else {
                Outcome::PagesRefused { pages: left_out }
            });
        }
        if facts.data_access_expires_at.is_some_and(|end| end <= granted_at) {
            return Err(Outcome::DataAccessEnded);
        }
        if facts.expires_at.is_some_and(|end| end <= granted_at) {
            tracing::warn!("a login brought a token that has run out");
            return Err(Outcome::MetaUnavailable);
        }
        let data_access = facts.data_access_expires_at.map(|ends_at| DataAccess { ends_at, estimated: false });
        Ok(Login {
            token,
            facts: Facts {
                connection: Connection::Business,
                granted_at,
                expires_at: facts.expires_at,
                data_access,
                permissions,
                grantor_id: facts.user_id,
                reached,
                left_out,
            },
        })
    }
}

/// All permissions that are needed must have been granted.
fn complete(connection: Connection, granted: Vec<String>) -> Result<Vec<String>, Outcome> {
    let needed = connection.permissions().iter().map(|name| (*name).to_owned());
    let missing: Vec<_> = needed.filter(|name| !granted.contains(name)).collect();
    if missing.is_empty() { Ok(granted) } else { Err(Outcome::PermissionMissing { missing }) }
}

/// Asks again when an error passes: the person should not have to go through the login again for it. The exchange of the
/// code itself is never repeated.
async fn again<T, F>(ask: impl Fn() -> F) -> Result<T, Outcome>
where
    F: Future<Output = Result<T, MetaError>>,
{
    let mut pause = Duration::from_millis(250);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if verdict(&error) == Verdict::Passing && pause < Duration::from_secs(2) => {
                tokio::time::sleep(pause).await;
                pause *= 3;
            }
            Err(error) => {
                let outcome = match verdict(&error) {
                    Verdict::AppRefused => Outcome::AppMisconfigured,
                    Verdict::AppOrAccount(_) => Outcome::NoAccess,
                    _ => Outcome::MetaUnavailable,
                };
                if outcome == Outcome::AppMisconfigured {
                    tracing::error!(event = "app.misconfigured", %error, "Meta refuses the app at a login");
                } else {
                    tracing::warn!(%error, "a login could not be completed");
                }
                return Err(outcome);
            }
        }
    }
}

fn exchange_failed(error: &MetaError) -> Outcome {
    let failure = exchange_failure(&facts(error));
    if failure == ExchangeFailure::App {
        tracing::error!(event = "app.misconfigured", %error, "Meta refuses the app's id, secret or redirect address");
    } else {
        tracing::warn!(%error, ?failure, "a code was not exchanged");
    }
    match failure {
        ExchangeFailure::Code => Outcome::CodeRefused,
        ExchangeFailure::ActivityOff => Outcome::ActivityOff,
        ExchangeFailure::NoAccess => Outcome::NoAccess,
        ExchangeFailure::App => Outcome::AppMisconfigured,
        ExchangeFailure::Meta => Outcome::MetaUnavailable,
    }
}

/// What an error means: the domain judges what the client reports.
pub(crate) fn verdict(error: &MetaError) -> Verdict {
    judged(error).verdict
}

/// The row of the domain's table by which an error is judged.
pub(crate) fn judged(error: &MetaError) -> &'static Row {
    judge(&facts(error))
}

pub(crate) fn facts(error: &MetaError) -> Answer<'_> {
    let answer = error.answer();
    // Meta calls it invalid and gives no error: as an error that gives no reason.
    let code = if *error == MetaError::Invalid { Some(190) } else { answer.map(|answer| answer.code) };
    Answer {
        status: error.status(),
        code,
        subcode: answer.and_then(|answer| answer.subcode),
        transient: answer.is_some_and(|answer| answer.transient),
        message: answer.map_or("", |answer| answer.message()),
    }
}
