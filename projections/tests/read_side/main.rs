//! The read side on both engines.

mod followers;
mod lists;
mod rebuilds;
mod tries;
mod world;
