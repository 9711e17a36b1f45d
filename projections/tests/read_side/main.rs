//! The read side on both engines.

mod followers;
mod lists;
mod queue;
mod rebuilds;
mod world;
