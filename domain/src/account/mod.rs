//! An account: how it is connected, who may do what with it, which widgets show its posts.

mod command;
mod error;
mod event;
mod state;
#[cfg(test)]
mod tests;

pub use command::AccountCommand;
pub use error::AccountError;
pub use event::{AccountEvent, NoticeKind, Plan};
pub use state::{Account, Standing};
