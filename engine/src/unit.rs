//! A unit: what one use case writes, in one commit.
//!
//! While the use case decides, the unit collects: events from the aggregates' commands, and the writes to rows that
//! belong to them. Nothing reaches the database before [`Unit::commit`]; what is submitted then is plain data, so that
//! several units can share a statement and a commit.

use std::{collections::HashMap, fmt::Display};

use chrono::{DateTime, SubsecRound, Utc};
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};

use crate::{
    Bulk, CommitError, ExecuteError, Metadata, Query, Store, StoreError,
    cache::{AnyState, Key, State},
    jobs::{End, Held},
    snapshot,
};

/// What a use case decides: loads, gives commands, collects writes. It is run again when another writer was faster.
pub trait Decision: Sync {
    /// What the caller gets when the unit is committed.
    type Output: Send;
    /// Why it was not; must be able to say what the store says.
    type Error: From<StoreError> + Send;

    /// Decides. Must not write anywhere but to the unit.
    fn decide(&self, unit: &mut Unit) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The position of the unit's last event; `None` if it had none, because everything was so already.
    pub position: Option<i64>,
}

/// The collected events and writes of one use case.
#[derive(Debug)]
pub struct Unit {
    store: Store,
    metadata: Metadata,
    events: Vec<NewEvent>,
    /// The aggregates as they are after the collected events.
    states: HashMap<Key, AnyState>,
    writes: Vec<Query>,
    ends: Vec<(Held, End)>,
}

impl Unit {
    pub(crate) fn new(store: Store, metadata: Metadata) -> Self {
        Self { store, metadata, events: Vec::new(), states: HashMap::new(), writes: Vec::new(), ends: Vec::new() }
    }

    /// Gives a command to an aggregate; its events join the unit.
    ///
    /// An aggregate that is hot is not loaded again. What was decided on it is sure only where it leads to an append, for
    /// that is refused if others were faster; anything else is decided again on a fresh load.
    ///
    /// # Errors
    /// [`ExecuteError::Rule`] when the domain refuses.
    pub async fn execute<A>(&mut self, id: impl Display, command: A::Command) -> Result<(), ExecuteError<A::Error>>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
        A::Command: Clone,
    {
        let key = (A::TYPE, id.to_string());
        let state = match self.states.get(&key).and_then(AnyState::of::<A>) {
            Some(ours) => ours,
            None => {
                if let Some(hot) = self.store.cache.get::<A>(&key)
                    && let Ok((state, events)) = decide(hot, command.clone()).await
                    && !events.is_empty()
                {
                    return Ok(self.collect(key, state, &events)?);
                }
                self.store.fresh::<A>(&key).await?
            }
        };
        let (state, events) = decide(state, command).await.map_err(ExecuteError::Rule)?;
        Ok(self.collect(key, state, &events)?)
    }

    /// Loads an aggregate as it is after what this unit has collected. An unknown id is an aggregate's default state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load<A: Aggregate + Clone + 'static>(&self, id: impl Display) -> Result<A, StoreError> {
        let key = (A::TYPE, id.to_string());
        match self.states.get(&key).and_then(AnyState::of::<A>) {
            Some(ours) => Ok(ours.aggregate),
            None => Ok(self.store.fresh::<A>(&key).await?.aggregate),
        }
    }

    /// Adds a write to a row that belongs to the events.
    pub fn write(&mut self, write: Query) {
        self.writes.push(write);
    }

    /// Ends a job. The whole unit is refused ([`CommitError::Refused`]) if the job's lease has ended.
    pub fn end(&mut self, held: Held, end: End) {
        self.ends.push((held, end));
    }

    /// How many events it has collected.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// The length of an aggregate's stream with what this unit adds to it; 0 if the unit adds nothing to it.
    pub fn sequence<A: Aggregate + Clone + 'static>(&self, id: impl Display) -> i64 {
        let state = self.states.get(&(A::TYPE, id.to_string())).and_then(AnyState::of::<A>);
        state.map_or(0, |state| state.sequence)
    }

    /// The metadata that its events will have.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Submits the unit. It is written whole or not at all.
    ///
    /// # Errors
    /// [`CommitError`] says whether it makes sense to decide again.
    pub async fn commit(self) -> Result<Committed, CommitError> {
        if self.events.is_empty() && self.writes.is_empty() && self.ends.is_empty() {
            return Ok(Committed { position: None });
        }
        let keys: Vec<Key> = self.states.keys().cloned().collect();
        let long = self.long_streams();
        let submission = Submission {
            events: self.events,
            states: self.states,
            writes: self.writes,
            ends: self.ends,
            at: self.metadata.at.trunc_subsecs(6),
            metadata: self.metadata.json,
        };
        let committed = self.store.appender.append(submission).await;
        if let Ok(Committed { position: Some(last) }) = committed {
            for (key, state, later) in long {
                snapshot::keep(&self.store, &key, &state.at(last - later));
            }
        } else if committed.is_err() {
            // Others were faster, or nobody knows: the next decision is made on a fresh load.
            for key in &keys {
                self.store.cache.forget(key);
            }
        }
        committed
    }

    /// The states of streams that are due for a snapshot when this unit is committed, and how many of its events come after
    /// the last of each.
    fn long_streams(&self) -> Vec<(Key, AnyState, i64)> {
        // The first event of each comes last, and stays.
        let firsts: HashMap<_, _> = self.events.iter().rev().map(|event| (event.key(), event.sequence)).collect();
        let is_due = |(key, state): &(&Key, &AnyState)| {
            firsts.get(*key).is_some_and(|first| snapshot::is_due(first - 1, state.sequence()))
        };
        let after = |key: &Key| (0..).zip(self.events.iter().rev()).find(|(_, event)| event.key() == *key);
        let long = |(key, state): (&Key, &AnyState)| Some((key.clone(), state.clone(), after(key)?.0));
        self.states.iter().filter(is_due).filter_map(long).collect()
    }

    /// Takes over what an aggregate decided.
    fn collect<A: Aggregate + 'static>(
        &mut self,
        key: Key,
        mut state: State<A>,
        events: &[A::Event],
    ) -> Result<(), StoreError> {
        state.position = if events.is_empty() { state.position } else { 0 };
        for event in events {
            state.sequence += 1;
            self.events.push(NewEvent {
                aggregate_type: key.0,
                aggregate_id: key.1.clone(),
                sequence: state.sequence,
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload: serde_json::to_string(event).map_err(|error| StoreError::Unreadable(error.to_string()))?,
            });
        }
        self.states.insert(key, AnyState::new(state));
        Ok(())
    }
}

/// Lets an aggregate handle a command: its events, and its state with them applied.
async fn decide<A: Aggregate<Services = ()>>(
    mut state: State<A>,
    command: A::Command,
) -> Result<(State<A>, Vec<A::Event>), A::Error> {
    let sink = EventSink::default();
    state.aggregate.handle(command, &(), &sink).await?;
    Ok((state, sink.collect().await))
}

/// A unit as it is submitted: plain data.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) events: Vec<NewEvent>,
    pub(crate) states: HashMap<Key, AnyState>,
    pub(crate) writes: Vec<Query>,
    pub(crate) ends: Vec<(Held, End)>,
    /// JSON.
    pub(crate) metadata: String,
    pub(crate) at: DateTime<Utc>,
}

impl Submission {
    /// Its states as they are once its events are committed, the last of them at this position.
    pub(crate) fn committed_states(&mut self, last: i64) -> impl Iterator<Item = (Key, AnyState)> {
        // The last event of each stream comes first, and the others don't replace it.
        let mut positions = HashMap::new();
        for (later, event) in (0..).zip(self.events.iter().rev()) {
            positions.entry(event.key()).or_insert(last - later);
        }
        self.states.drain().map(move |(key, state)| {
            let position = positions.get(&key).copied().unwrap_or(state.position());
            (key, state.at(position))
        })
    }
}

/// An event that is to be appended.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    /// JSON.
    pub(crate) payload: String,
}

impl NewEvent {
    fn key(&self) -> Key {
        (self.aggregate_type, self.aggregate_id.clone())
    }

    /// The stream that it is appended to.
    pub(crate) fn stream(&self) -> (String, String) {
        (self.aggregate_type.to_owned(), self.aggregate_id.clone())
    }
}

/// An event and the unit that it is of.
pub(crate) type Appended<'a> = (&'a Submission, &'a NewEvent);

pub(crate) const COLUMNS: &str =
    "aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at";

/// The rows of events, in the order in which they are to be inserted: both engines read arrays out in their order.
pub(crate) fn bulk<'a>(events: &[Appended<'a>]) -> Bulk<'a> {
    let texts = |text: fn(&'a NewEvent) -> &'a str| events.iter().map(move |(_, event)| text(event));
    Bulk::new()
        .text("aggregate_type", texts(|event| event.aggregate_type))
        .text("aggregate_id", texts(|event| &event.aggregate_id))
        .int("sequence", events.iter().map(|(_, event)| event.sequence))
        .text("event_type", texts(|event| &event.event_type))
        .text("event_version", texts(|event| &event.event_version))
        .json("payload", texts(|event| &event.payload))
        .json("metadata", events.iter().map(|(unit, _)| unit.metadata.as_str()))
        .time("at", events.iter().map(|(unit, _)| unit.at))
}
