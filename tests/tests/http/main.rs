//! Relight over HTTP, through the real redirects, on both engines.

mod allowances;
mod api;
mod connect;
mod connections;
mod deauthorize;
mod doors;
mod feeds;
mod forms;
mod headers;
mod incidents;
mod inputs;
mod keys;
mod limits;
mod notices;
mod passwords;
mod races;
mod reading;
mod refresh;
mod refusals;
mod replacement;
mod rights;
mod routes;
mod sessions;
mod tokens;
mod verdicts;
mod webhooks;
