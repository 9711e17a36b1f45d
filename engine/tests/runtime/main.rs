//! The engine with events, projections and jobs of its own, on both databases: one program, for each that is linked costs.

mod beside;
mod connections;
mod examples;
mod followers;
mod jobs;
mod long;
mod lost;
mod pooler;
mod purse;
mod rebuilds;
mod rolling;
