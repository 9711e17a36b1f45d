//! The write side with Relight's events, on both databases.

mod group;
mod journal;
mod schema;
mod shapes;
mod units;
mod upgrade;
mod writer;
