//! The read side: followers that keep the views up to date with the journal, the queries that pages and API ask, and the
//! queue of things due.
//!
//! On the way of a refresh this is where the status view turns active and the account's pull becomes due now.

mod account_status;
pub mod accounts;
pub mod feeds;
mod follower;
mod followers;
mod projection;
pub mod queue;
pub mod rebuild;
pub mod story;
pub mod widgets;
mod work;

pub use followers::{Followers, State, catch_up, states};

use chrono::TimeDelta;
use domain::AccountId;
use engine::StoreError;

/// A text from one of our own rows, as what it must be.
pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable(format!("a view's row with {text:?}")))
}

/// An account's id from one of our own rows.
pub(crate) fn account(text: &str) -> Result<AccountId, StoreError> {
    parse(text)
}

/// How long a worker may hold what it claimed, on the database's clock.
pub const LEASE: TimeDelta = TimeDelta::minutes(3);
