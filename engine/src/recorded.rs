//! An event as the journal has it, and its way from a row to the shape of today.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sqlx::types::Json;

use crate::{Decoded, EventSet, Head, StoreError};

/// An event as the journal has it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its place in the one order of all events.
    pub position: i64,
    /// The type of the aggregate.
    pub aggregate: String,
    /// The id of the aggregate.
    pub aggregate_id: String,
    /// Its place in its stream, from 1.
    pub sequence: i64,
    /// Its type.
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

impl Recorded {
    /// What comes of decoding it.
    pub fn decoded<E: EventSet>(&self) -> Decoded<E> {
        let head = Head { aggregate: &self.aggregate, event_type: &self.event_type, version: &self.version };
        E::decode(&head, self.payload.get())
    }

    /// The event itself.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`] if it can't be decoded.
    pub fn event<E: EventSet>(&self) -> Result<E, StoreError> {
        let unreadable = |why: &str| {
            let Self { position, aggregate, event_type, .. } = self;
            StoreError::Undecodable(format!("position {position}, {aggregate} {event_type}: {why}"))
        };
        match self.decoded() {
            Decoded::Event(event) => Ok(event),
            other => Err(unreadable(&other.failure().unwrap_or_else(|| "it is not among these events".to_owned()))),
        }
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

/// Brings a stored event to the shape of today, through the same upcasters as the aggregates; `None` if it has it already,
/// as nearly all have: only the others become a tree of JSON.
pub(crate) fn upcast(
    head: &Head<'_>,
    payload: &str,
    upcasters: &[Box<dyn EventUpcaster>],
) -> Option<Result<SerializedEvent, String>> {
    if !upcasters.iter().any(|upcaster| upcaster.can_upcast(head.event_type, head.version)) {
        return None;
    }
    let payload = match serde_json::from_str(payload) {
        Ok(payload) => payload,
        Err(error) => return Some(Err(error.to_string())),
    };
    let Head { aggregate, event_type, version } = *head;
    let event = SerializedEvent::new(
        String::new(),
        0,
        aggregate.to_owned(),
        event_type.to_owned(),
        version.to_owned(),
        payload,
        Value::Null,
    );
    Some(Ok(upcasters.iter().fold(event, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    })))
}

pub(crate) fn recorded(row: Row, upcasters: &[Box<dyn EventUpcaster>]) -> Recorded {
    let mut recorded = Recorded {
        position: row.position,
        aggregate: row.aggregate_type,
        aggregate_id: row.aggregate_id,
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
    let head = Head { aggregate, event_type, version };
    if let Some(Ok(today)) = upcast(&head, payload.get(), upcasters)
        && let Ok(json) = RawValue::from_string(today.payload.to_string())
    {
        (*aggregate, *event_type, *version) = (today.aggregate_type, today.event_type, today.event_version);
        *payload = json;
    }
    recorded
}
