//! What is known about an event besides what happened: when, by whom, why.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::Actor;

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
    /// The facts, by the names under which they are stored.
    pub fn facts(&self) -> BTreeMap<&'static str, String> {
        let Self { at, actor, correlation, causation, request, program } = self;
        let mut facts = BTreeMap::from([
            ("at", at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            ("actor", actor.to_string()),
            ("correlation", correlation.clone()),
            ("program", (*program).to_owned()),
        ]);
        facts.extend(causation.clone().map(|causation| ("causation", causation)));
        facts.extend(request.clone().map(|request| ("request", request)));
        facts
    }
}

impl From<&Metadata> for engine::Metadata {
    fn from(metadata: &Metadata) -> Self {
        Self::new(metadata.at, &metadata.facts())
    }
}

impl From<Metadata> for engine::Metadata {
    fn from(metadata: Metadata) -> Self {
        Self::from(&metadata)
    }
}
