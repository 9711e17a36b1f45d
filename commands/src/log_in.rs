//! From an authorization code to a login: the calls of the exchange, and the outcome where one of them fails.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Connection, DataAccess, Reason, Verdict,
    failure::{ExchangeFailure, exchange_failure},
};
use meta::{LongToken, MetaError, TokenFacts};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{
    Commands, Outcome,
    judge::{facts, judge_and_pause, retry_passing},
    login::{Facts, Login},
    outcome::is_partial,
    overdue::deadlines,
    pages,
};

/// How long data access lasts after a login, where Meta doesn't tell it.
/// Source: Meta, "Facebook Login: Data Access Expiration".
const DATA_ACCESS: TimeDelta = TimeDelta::days(90);

/// A login that led to nothing.
#[derive(Debug)]
pub(crate) struct FailedLogin {
    /// How the attempt ends.
    pub(crate) outcome: Outcome,
    /// The app-scoped id of the person who logged in, if Meta returned it.
    pub(crate) grantor_id: Option<String>,
}

impl From<Outcome> for FailedLogin {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, grantor_id: None }
    }
}

impl Commands {
    /// Exchanges a code and asks who logged in.
    pub(crate) async fn log_in(&self, connection: Connection, code: &SecretString) -> Result<Login, FailedLogin> {
        match connection {
            Connection::Consumer => self.log_in_consumer(code).await,
            Connection::Business => self.log_in_business(code).await,
        }
    }

    async fn log_in_consumer(&self, code: &SecretString) -> Result<Login, FailedLogin> {
        let consumer = self.consumer.as_ref().ok_or(Outcome::MetaUnavailable)?;
        let granted_at = self.clock.now();
        let redirect_uri = self.redirect_uri(Connection::Consumer);
        let short = consumer.exchange(code, &redirect_uri).await.map_err(|error| exchange_failed(&error))?;
        // Where the answer doesn't say what was granted, reading the posts does.
        let permissions = match short.permissions {
            Some(granted) => complete(Connection::Consumer, granted)?,
            None => Vec::new(),
        };
        let me = self.asked(Connection::Consumer, || consumer.me(&short.token, None)).await?;
        let failed = |outcome| FailedLogin { outcome, grantor_id: me.app_scoped_id.clone() };
        if me.personal {
            return Err(failed(Outcome::PersonalAccount { username: me.profile.username.clone() }));
        }
        let long = self.asked(Connection::Consumer, || consumer.extend(&short.token)).await.map_err(failed)?;
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

    async fn log_in_business(&self, code: &SecretString) -> Result<Login, FailedLogin> {
        let business = self.business.as_ref().ok_or(Outcome::MetaUnavailable)?;
        let granted_at = self.clock.now();
        let redirect_uri = self.redirect_uri(Connection::Business);
        let short = business.exchange(code, &redirect_uri).await.map_err(|error| exchange_failed(&error))?;
        let permissions = self.asked(Connection::Business, || business.permissions(&short.token)).await?;
        let permissions = match complete(Connection::Business, permissions) {
            Ok(permissions) => permissions,
            Err(outcome) => {
                // Who that was: declining now may have ended what they granted before.
                let grantor_id = business.debug(&short.token).await.ok().and_then(|facts| facts.user_id);
                return Err(FailedLogin { outcome, grantor_id });
            }
        };
        let (long, facts) = self.long_token(short).await?;
        let failed = |outcome| FailedLogin { outcome, grantor_id: facts.user_id.clone() };
        let ends = Instant::now() + pages::WITHIN;
        let ask = || pages::reached(business, &long.token, &facts, ends);
        let found = self.asked(Connection::Business, ask).await.map_err(failed)?;
        if found.accounts.is_empty() {
            return Err(failed(nothing_reached(found)));
        }
        let (expires_at, data_access) = token_ends(&facts, &long, granted_at);
        if data_access.is_some_and(|end| end.ends_at <= granted_at) {
            return Err(failed(Outcome::DataAccessEnded));
        }
        if expires_at.is_some_and(|end| end <= granted_at) {
            tracing::warn!("a login brought a token that has run out");
            return Err(failed(Outcome::MetaUnavailable));
        }
        let reached = found.accounts.into_iter().map(|account| (account.instagram_id, account.username)).collect();
        Ok(Login {
            token: long.token,
            facts: Facts {
                connection: Connection::Business,
                granted_at,
                expires_at,
                data_access,
                permissions,
                grantor_id: facts.user_id,
                reached,
                left_out: found.left_out,
            },
        })
    }

    /// The token that a code was exchanged for, as one for 60 days, with what Meta knows of it. A system user's has no end, and can't
    /// be extended.
    async fn long_token(&self, short: LongToken) -> Result<(LongToken, TokenFacts), Outcome> {
        let business = self.business.as_ref().ok_or(Outcome::MetaUnavailable)?;
        let debug =
            |token: SecretString| async move { self.asked(Connection::Business, || business.debug(&token)).await };
        if short.expires_in.is_none() {
            let facts = debug(short.token.clone()).await?;
            if facts.never_ends() {
                return Ok((short, facts));
            }
        }
        let long = self.asked(Connection::Business, || business.extend(&short.token)).await?;
        let facts = debug(long.token.clone()).await?;
        Ok((long, facts))
    }

    /// Asks again when an error passes: the person should not have to go through the login again for it. The exchange of the
    /// code itself is never repeated.
    async fn asked<T, F>(&self, connection: Connection, ask: impl Fn() -> F) -> Result<T, Outcome>
    where
        F: Future<Output = Result<T, MetaError>>,
    {
        retry_passing(ask).await.map_err(|error| self.told(connection, &error))
    }

    /// The outcome for an error that a call of a login met.
    fn told(&self, connection: Connection, error: &MetaError) -> Outcome {
        let Some(budget) = self.budget(connection) else { return Outcome::MetaUnavailable };
        let row = judge_and_pause(budget, None, error);
        let outcome = match row.verdict {
            Verdict::AppRefused => Outcome::AppMisconfigured,
            Verdict::AppOrAccount(_) => Outcome::NoAccess,
            Verdict::Expired(Reason::DataAccessEnded) => Outcome::DataAccessEnded,
            Verdict::Expired(Reason::Checkpoint | Reason::Unconfirmed) | Verdict::Unclear(Reason::Checkpoint) => {
                Outcome::CheckWaits
            }
            Verdict::Unclear(Reason::PermissionMissing) => {
                Outcome::PermissionMissing { missing: named(connection, error) }
            }
            // The login brought a token that doesn't work.
            Verdict::Expired(_) | Verdict::Unclear(_) => Outcome::CodeRefused,
            _ => Outcome::MetaUnavailable,
        };
        if outcome == Outcome::AppMisconfigured {
            tracing::error!(event = "app.misconfigured", %error, "Meta refuses the app at a login");
        } else if outcome == Outcome::MetaUnavailable && !row.verdict.is_temporary() {
            tracing::error!(%error, row = row.name, "Meta refuses a call of a login");
        } else {
            tracing::warn!(%error, row = row.name, "a login could not be completed");
        }
        outcome
    }
}

/// When a new token's session and data access end. What Meta's facts leave out, the exchange says, or is our estimate.
fn token_ends(
    facts: &TokenFacts,
    long: &LongToken,
    granted_at: DateTime<Utc>,
) -> (Option<DateTime<Utc>>, Option<DataAccess>) {
    let (session_ends, data_access) = deadlines(facts);
    let estimate = DataAccess { ends_at: granted_at + DATA_ACCESS, estimated: true };
    (
        session_ends.or_known(long.expires_in.map(|lasts| granted_at + lasts)),
        data_access.or_known(Some(estimate).filter(|_| !facts.never_ends())),
    )
}

/// The outcome of a login that reaches no account.
fn nothing_reached(found: pages::Reached) -> Outcome {
    if is_partial(&found.left_out) {
        Outcome::MetaUnavailable
    } else if !found.left_out.is_empty() {
        Outcome::PagesRefused { pages: found.left_out }
    } else if found.without_account.is_empty() {
        Outcome::NoPage
    } else {
        Outcome::PageWithoutAccount { pages: found.without_account }
    }
}

fn needed(connection: Connection) -> Vec<String> {
    connection.permissions().iter().map(|name| (*name).to_owned()).collect()
}

/// The needed permissions that Meta names in an error.
fn named(connection: Connection, error: &MetaError) -> Vec<String> {
    let said = error.answer().map_or("", |answer| answer.message());
    needed(connection).into_iter().filter(|name| said.contains(name.as_str())).collect()
}

/// All permissions that are needed must have been granted.
fn complete(connection: Connection, granted: Vec<String>) -> Result<Vec<String>, Outcome> {
    let missing: Vec<_> = needed(connection).into_iter().filter(|name| !granted.contains(name)).collect();
    if missing.is_empty() { Ok(granted) } else { Err(Outcome::PermissionMissing { missing }) }
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
