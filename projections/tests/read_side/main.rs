//! The read side on both engines.

mod followers;
mod queue;
mod rebuilds;
mod world;
