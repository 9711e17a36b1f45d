//! What is known about a unit's events besides what happened.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// What is known about a unit's events besides what happened, the same for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// When they happened, on the program's clock. Microseconds are the finest unit that is kept.
    pub at: DateTime<Utc>,
    /// A JSON object of texts: cqrs-es allows no other values.
    pub(crate) json: String,
}

impl Metadata {
    /// That of events that happened at `at`, with facts under names of the application's choice.
    pub fn new(at: DateTime<Utc>, facts: &BTreeMap<&str, String>) -> Self {
        Self { at, json: serde_json::to_string(facts).unwrap_or_else(|_| "{}".to_owned()) }
    }
}
