//! What is known about an event besides what happened: when, by whom, why.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::Actor;

/// The metadata of each event, from the first one on. Stored as a JSON object of strings (cqrs-es allows no other
/// values) under the names of the fields; what is absent has no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// When it happened, on the clock of the program. Microseconds are the finest unit that is kept.
    pub at: DateTime<Utc>,
    /// Who caused it.
    pub actor: Actor,
    /// What the events of one story share: the attempt, the API request, the worker's run.
    pub correlation: String,
    /// What directly led to it, if it is known: the position of an event, or a link's id.
    pub causation: Option<String>,
    /// The HTTP request's id, if there was one.
    pub request: Option<String>,
    /// Name and version of the program that decided.
    pub program: &'static str,
}

impl Metadata {
    /// The form that cqrs-es stores.
    pub fn to_map(&self) -> HashMap<String, String> {
        let mut map = HashMap::from([
            ("at".to_owned(), self.at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            ("actor".to_owned(), self.actor.to_string()),
            ("correlation".to_owned(), self.correlation.clone()),
            ("program".to_owned(), self.program.to_owned()),
        ]);
        if let Some(causation) = &self.causation {
            map.insert("causation".to_owned(), causation.clone());
        }
        if let Some(request) = &self.request {
            map.insert("request".to_owned(), request.clone());
        }
        map
    }
}
