//! What follows the journal: views, which are rows made of its events, and reactions, which answer them by work.

mod batch;
mod checkpoint;
mod follower;
mod parts;
mod projection;
mod quarantine;
mod reaction;
mod rebuild;
mod registry;
mod retry;
mod runner;
mod transaction;
mod upkeep;

pub use checkpoint::{Kind, State};
pub use projection::{Projection, Target};
pub use quarantine::{Quarantined, quarantined, quarantined_of};
pub use reaction::{Reaction, hold};
pub use rebuild::Progress;
pub use registry::{Registry, Running};
pub use retry::Retried;
