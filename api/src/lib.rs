//! The HTTP side of Relight: pages, JSON API, workers, and the command line that starts them.
//!
//! On the way of a refresh this is where the callback comes in, and where the page tells that the widgets are fresh.
//! Handlers parse, call one use case or query, and render; only `error` knows status codes.

pub mod app;
pub mod cli;
pub mod config;
pub mod cookie;
pub mod database;
pub mod error;
pub mod input;
pub mod json;
pub mod limits;
pub mod mail;
pub mod meta_calls;
pub mod pages;
pub mod query;
pub mod reach;
pub mod readiness;
pub mod request;
pub mod routes;
pub mod server;
pub mod service;
pub mod sign_in;
pub mod vault;
pub mod webhooks;
pub mod words;
pub mod workers;
