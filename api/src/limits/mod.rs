//! How often who may do what. Every limit is per something (an address prefix, a person, an account), and bounded in
//! memory.

pub mod address;
mod bucket;
pub mod failures;
mod lines;

use std::{net::IpAddr, time::Duration};

use domain::AccountId;

pub use address::Address;
use bucket::Buckets;
pub use failures::{Door, Failures};

use crate::error::Error;

/// All limits of a node.
#[derive(Debug)]
pub struct Limits {
    /// What was tried in vain.
    pub failures: Failures,
    login: Buckets<IpAddr>,
    check: Buckets<AccountId>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: Failures::default(),
            // Links, buttons and callbacks of a login each make a row: a person makes a handful; an office shares an address.
            login: Buckets::new(60, Duration::from_secs(1)),
            check: Buckets::new(6, Duration::from_secs(10)),
        }
    }
}

impl Limits {
    /// A step of a trip to Meta's login.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn login(&self, Address(from): Address) -> Result<(), Error> {
        self.login.take(&address::network(from)).map_err(too_many)
    }

    /// A request to ask Meta about an account.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check(&self, account: AccountId) -> Result<(), Error> {
        self.check.take(&account).map_err(too_many)
    }
}

fn too_many(wait: Duration) -> Error {
    Error::TooMany(wait.as_secs() + 1)
}
