//! An event as the journal has it, and its way from a row to the type of today.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use domain::{AccountEvent, AccountId, TokenEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sqlx::types::Json;

use crate::StoreError;

/// An event as the journal has it.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// Its place in the one order of all events.
    pub position: i64,
    /// `account` or `token`.
    pub aggregate: String,
    /// Whose story it belongs to.
    pub account_id: String,
    /// Its place in its stream, from 1.
    pub sequence: i64,
    /// Its type, such as `Refreshed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its shape.
    pub version: String,
    /// When it happened, on the program's clock.
    pub at: DateTime<Utc>,
    /// When it was written, on the database's clock.
    pub recorded_at: DateTime<Utc>,
    /// Who caused it.
    pub actor: String,
    /// The event, as JSON: one key, its type, with its facts; a text where there are none.
    pub payload: Box<RawValue>,
    /// What is known besides, as JSON.
    pub metadata: Box<RawValue>,
}

/// An event of either aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Of an account.
    Account(AccountEvent),
    /// Of a token.
    Token(TokenEvent),
}

impl Recorded {
    /// The event itself.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if this program doesn't know its shape.
    pub fn event(&self) -> Result<Event, StoreError> {
        decode(&self.aggregate, self.payload.get()).map_err(|error| {
            let (position, aggregate, event_type) = (self.position, &self.aggregate, &self.event_type);
            StoreError::Unreadable(format!("position {position}, {aggregate} {event_type}: {error}"))
        })
    }

    /// The account's id.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if the stream has no account's id.
    pub fn account(&self) -> Result<AccountId, StoreError> {
        self.account_id
            .parse()
            .map_err(|_| StoreError::Unreadable(format!("position {}: not an account's id", self.position)))
    }
}

/// What a stored JSON says, to look into it.
#[cfg(feature = "testing")]
pub fn json(stored: &RawValue) -> Value {
    serde_json::from_str(stored.get()).unwrap_or_default()
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    position: i64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: Json<Box<RawValue>>,
    metadata: Json<Box<RawValue>>,
    at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
}

/// What is needed of the metadata itself.
#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow, default)]
    actor: Cow<'a, str>,
}

/// What a [`Row`] is read by.
pub(crate) const COLUMNS: &str = "SELECT position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                       metadata, at, recorded_at FROM events";

pub(crate) fn decode(aggregate: &str, payload: &str) -> Result<Event, String> {
    match aggregate {
        "account" => serde_json::from_str(payload).map(Event::Account).map_err(|error| error.to_string()),
        "token" => serde_json::from_str(payload).map(Event::Token).map_err(|error| error.to_string()),
        other => Err(format!("unknown aggregate {other}")),
    }
}

/// Brings a stored event to the shape of today, through the same upcasters as the aggregates; `None` if it has it already,
/// as nearly all have: only the others become a tree of JSON.
pub(crate) fn upcast(
    aggregate: &str,
    event_type: &str,
    version: &str,
    payload: &str,
    upcasters: &[Box<dyn EventUpcaster>],
) -> Option<Result<SerializedEvent, String>> {
    if !upcasters.iter().any(|upcaster| upcaster.can_upcast(event_type, version)) {
        return None;
    }
    let payload = match serde_json::from_str(payload) {
        Ok(payload) => payload,
        Err(error) => return Some(Err(error.to_string())),
    };
    let (aggregate, event_type, version) = (aggregate.to_owned(), event_type.to_owned(), version.to_owned());
    let event = SerializedEvent::new(String::new(), 0, aggregate, event_type, version, payload, Value::Null);
    Some(Ok(upcasters.iter().fold(event, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    })))
}

pub(crate) fn recorded(row: Row, upcasters: &[Box<dyn EventUpcaster>]) -> Recorded {
    let mut recorded = Recorded {
        position: row.position,
        aggregate: row.aggregate_type,
        account_id: row.aggregate_id,
        sequence: row.sequence,
        event_type: row.event_type,
        version: row.event_version,
        at: row.at,
        recorded_at: row.recorded_at,
        actor: serde_json::from_str(row.metadata.get()).map(|Known { actor }| actor.into_owned()).unwrap_or_default(),
        payload: row.payload.0,
        metadata: row.metadata.0,
    };
    let Recorded { aggregate, event_type, version, payload, .. } = &mut recorded;
    if let Some(Ok(today)) = upcast(aggregate, event_type, version, payload.get(), upcasters)
        && let Ok(json) = RawValue::from_string(today.payload.to_string())
    {
        (*aggregate, *event_type, *version) = (today.aggregate_type, today.event_type, today.event_version);
        *payload = json;
    }
    recorded
}
