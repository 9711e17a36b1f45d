//! The read side: the projections that the engine keeps up to date with the journal, the queries that pages and API ask, and
//! the jobs that they schedule.
//!
//! On the way of a refresh this is where the status view turns active and the account's pull becomes due now.

mod account_status;
pub mod accounts;
pub mod feeds;
pub mod jobs;
pub mod pictures;
pub mod story;
pub mod widgets;
mod work;

use std::sync::Arc;

use domain::{AccountId, schedule::Schedule};
use engine::{Registry, StoreError};

/// An event of the journal, as projections fold it.
pub(crate) type Entry = engine::Entry<store::Event>;

/// The name of the projection of accounts' states, rights and widgets.
pub const ACCOUNT_STATUS: &str = "account_status";
/// The name of the projection of what is due.
pub const WORK: &str = "work";

/// All projections, with the times at which things are due.
pub fn registry(schedule: Schedule) -> Registry {
    Registry::new().view(account_status::AccountStatus).view(work::Work::new(Arc::new(schedule)))
}

/// A text from one of our own rows, as what it must be.
pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable(format!("a view's row with {text:?}")))
}

/// An account's id from one of our own rows.
pub(crate) fn account(text: &str) -> Result<AccountId, StoreError> {
    parse(text)
}
