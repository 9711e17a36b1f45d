//! Relight over HTTP, through the real redirects, on both engines.

mod allowances;
mod api;
mod connect;
mod deauthorize;
mod feeds;
mod forms;
mod incidents;
mod limits;
mod notices;
mod races;
mod reading;
mod refresh;
mod refusals;
mod replacement;
mod rights;
mod tokens;
mod verdicts;
mod webhooks;
