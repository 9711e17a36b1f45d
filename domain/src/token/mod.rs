//! The token of an account: by which string Relight reads its posts, until when, and why not any more.
//!
//! The aggregate never sees the string. It knows token ids, clocks and reasons; the string lies sealed in the vault.

mod command;
mod current;
mod error;
mod event;
mod replacement;
mod state;
#[cfg(test)]
mod tests;

pub use command::{Grant, Revocation, TokenCommand, Told, Way};
pub use current::{Clock, Current, DataAccess, HEARD_WITHIN, runs_out_at};
pub use error::TokenError;
pub use event::TokenEvent;
pub use replacement::{Candidate, Present, Replacement};
pub use state::{DECLINES_EVERY, Token};
