//! One way to run SQL on either engine: a statement is built once, and runs on the database, in a transaction, or as part of
//! a unit. What differs between the engines stands in `dialect`.

mod bulk;
mod dialect;
mod on;
mod query;
mod run;
#[cfg(feature = "testing")]
mod sites;
mod value;

pub use bulk::Bulk;
pub use dialect::Dialect;
pub use on::On;
pub use query::{Query, sql};
pub use run::Row;
pub use value::Value;
