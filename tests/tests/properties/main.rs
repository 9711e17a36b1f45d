//! Properties: what must hold for every input from outside, tried with random ones. Nothing panics, no request is answered
//! with a 5xx, and nothing that the program or a database can't hold gets in.
//!
//! All of them together take about [`running::SECONDS`] on the three threads that `./check` gives them. For ten minutes:
//! `RELIGHT_TEST_SECONDS_OF_PROPERTIES=600 cargo test -p tests --test properties -- --test-threads=3`. A failure prints the
//! smallest input that was found; it belongs into a test of its own, for no seeds are kept.

mod addresses;
mod answering;
mod cursors;
mod folds;
mod forms;
mod headers;
mod inputs;
mod json;
mod meta_answers;
mod meta_shapes;
mod passwords;
mod reads;
mod running;
mod service;
mod signed_requests;
