//! Who signs in: customers and staff by password, machines by API key.

pub mod api_key;
pub mod form;
pub mod mails;
pub mod passwords;
pub mod sessions;
pub mod user;

pub use form::{Guarded, Nothing, Posted};
pub use user::{Role, User, Users};
