//! Projections: rows that are made of the journal's events, by runners that keep them up to date.

mod checkpoint;
mod projection;
mod rebuild;
mod registry;
mod runner;

pub use checkpoint::{State, states};
pub use projection::{Projection, Target};
pub use rebuild::Progress;
pub use registry::{Registry, Running};
