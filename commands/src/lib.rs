//! The write side: one use case a file.
//!
//! A use case collects facts (what Meta answers, the time, new ids), lets the domain decide on them, and submits one
//! unit: events and the rows that belong to them. On the way of a refresh this is where the callback's state is checked,
//! the code exchanged, the identity compared and the token sealed. No call over HTTP happens inside a transaction.

pub mod access;
mod again;
pub mod allowance;
pub mod app_check;
pub mod attempt;
pub mod callback;
pub mod check;
pub mod clock;
pub mod connect;
pub mod deauthorize;
pub mod disconnect;
pub mod erase;
mod error;
pub mod hold;
pub mod incident;
mod judge;
mod lasting;
pub mod link;
mod log_in;
mod login;
pub mod notices;
pub mod outcome;
pub mod overdue;
pub mod pages;
mod profiles;
mod proof;
pub mod pull;
mod reading;
pub mod refresh;
pub mod renew;
pub mod report_failure;
pub mod restore;
mod state;
pub mod switch;
mod tally;
mod unread;
pub mod vault;
pub mod widgets;

pub use clock::Clock;
pub use error::Error;
pub use outcome::Outcome;
pub use vault::Vault;

pub(crate) use state::App;

use chrono::TimeDelta;
use domain::{AccountId, Actor, Connection};
use engine::Store;
use meta::{Budget, Business, Consumer};
use store::Metadata;
use tokio_util::sync::CancellationToken;

/// What every use case works with.
#[derive(Debug, Clone)]
pub struct Commands {
    /// The event store.
    pub store: Store,
    /// Where tokens lie sealed.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Instagram Login, if an app for it is configured.
    pub consumer: Option<Consumer>,
    /// Facebook Login, if an app for it is configured.
    pub business: Option<Business>,
    /// What is configured besides.
    pub settings: Settings,
    /// Cancelled when the program stops.
    pub stop: CancellationToken,
}

/// What use cases take from the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where browsers reach Relight, without a slash at the end.
    pub public_url: String,
    /// How long a consumer connection's data access is assumed to last after a grant; `None`: no assumption.
    pub consumer_data_access: Option<TimeDelta>,
    /// How long before one of its deadlines a token that works may be replaced by every login that reaches its account.
    pub remind_window: TimeDelta,
    /// When token errors are an incident.
    pub guard: incident::Guard,
    /// The program's name and version, for the events' metadata.
    pub program: &'static str,
}

/// On whose behalf and in which story a use case runs.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who.
    pub actor: Actor,
    /// What the story's events share, such as an attempt's or a request's id.
    pub correlation: String,
    /// What directly led to it.
    pub causation: Option<String>,
    /// The HTTP request's id.
    pub request: Option<String>,
}

impl Commands {
    /// Whether an app for this login is configured.
    pub fn offers(&self, connection: Connection) -> bool {
        self.app(connection).is_ok()
    }

    /// What Meta allows the app of a login, and how much of it is used up.
    pub fn budget(&self, connection: Connection) -> Option<&Budget> {
        Some(match self.app(connection).ok()? {
            App::Consumer(consumer) => consumer.budget(),
            App::Business(business) => business.budget(),
        })
    }

    /// How long calls for an account should wait, so that its app isn't throttled; `None`: they may be made. `first`:
    /// somebody waits for them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn must_wait(&self, account: AccountId, first: bool) -> Result<Option<TimeDelta>, Error> {
        let is_short =
            Connection::ALL.into_iter().filter_map(|connection| self.budget(connection)).any(Budget::is_short);
        if !is_short && (first || !self.any_incident().await?) {
            return Ok(None);
        }
        let Some(connection) = self.usable(account).await? else { return Ok(None) };
        let is_probe = !first && self.open_incident(connection).await?.is_some();
        let Some(budget) = self.budget(connection) else { return Ok(None) };
        let profile = if is_short { profiles::of(self.store.database(), account).await? } else { None };
        let instagram_id = profile.as_ref().map(|profile| profile.instagram_id.as_str());
        // A probe is spaced once: further apart than what the budget asks for.
        match budget.wait(instagram_id, first || is_probe) {
            None if is_probe => Ok(budget.space(incident::PROBE_EVERY)),
            wait => Ok(wait),
        }
    }

    /// Where Meta sends browsers back to; must be entered at Meta exactly like this.
    pub fn redirect_uri(&self, connection: Connection) -> String {
        format!("{}/oauth/{connection}/callback", self.settings.public_url)
    }

    pub(crate) fn metadata(&self, context: &Context) -> Metadata {
        Metadata {
            at: self.clock.now(),
            actor: context.actor,
            correlation: context.correlation.clone(),
            causation: context.causation.clone(),
            request: context.request.clone(),
            program: self.settings.program,
        }
    }

    /// The account's current token, opened, with what is needed to use it.
    ///
    /// # Errors
    /// When there is none, or the vault can't open it.
    pub async fn open_token(&self, account: AccountId) -> Result<vault::Opened, Error> {
        self.vault.open_token(self.store.database(), account).await
    }
}

/// A new random id. Version 7: ids made together stand together in an index.
pub fn new_id() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}
