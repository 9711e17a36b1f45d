//! The rules of Relight: what an account and its token are, what may happen to them, and what follows.
//!
//! Nothing in here reads a clock, makes a random number or talks to anything. Facts (time, ids, what Meta
//! answered) arrive inside commands; a decision is a pure function from state and command to events. On the way of
//! a refresh this is the room where the grant becomes the event `Refreshed`.

pub mod account;
mod actor;
mod connection;
pub mod failure;
mod ids;
mod reason;
pub mod schedule;
pub mod token;

pub use account::{Account, AccountCommand, AccountError, AccountEvent};
pub use actor::{Actor, Authority, Right};
pub use connection::Connection;
pub use failure::{Evidence, Verdict};
pub use ids::{AccountId, AttemptId, LinkId, ParseError, TokenId, UserId, WidgetId};
pub use reason::Reason;
pub use token::{DataAccess, Token, TokenCommand, TokenError, TokenEvent};

/// The upcasters that bring stored events of older versions to the shape of today.
///
/// A shipped event never changes shape: a new version comes with an upcaster here and a test on the old JSON. The
/// aggregates and the journal apply the same list. No event has had a second version yet.
pub fn upcasters() -> Vec<Box<dyn cqrs_es::persist::EventUpcaster>> {
    Vec::new()
}
