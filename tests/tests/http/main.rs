//! Relight over HTTP, through the real redirects, on both engines.

mod api;
mod connect;
mod connections;
mod deauthorize;
mod feeds;
mod forms;
mod incidents;
mod limits;
mod notices;
mod passwords;
mod races;
mod refresh;
mod refusals;
mod rights;
mod tokens;
mod verdicts;
mod webhooks;
