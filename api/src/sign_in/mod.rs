//! Who signs in: customers and staff by password, machines by API key.

pub mod api_key;
pub mod erase;
pub mod flash;
pub mod form;
pub mod invitations;
pub mod known;
pub mod mails;
pub mod passwords;
pub mod role;
pub mod sessions;
pub mod signed_in;
pub mod strength;
pub mod user;

pub use form::{Guarded, Nothing, Posted};
pub use role::Role;
pub use user::{User, Users};
