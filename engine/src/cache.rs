//! Hot aggregates as this node saw them last, so that a command on one needs no `SELECT`.
//!
//! What lies here may be stale: another node may have appended since. That is found out at the append, whose sequence then
//! conflicts; a decision that leads to no append is made again on a fresh load (see [`crate::Unit::execute`]).

use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cqrs_es::Aggregate;
use moka::{ops::compute::Op, sync::Cache as Moka};

/// How many aggregates are kept. One takes about a kilobyte.
const AGGREGATES: u64 = 20_000;

/// The type and the id of a stream.
pub(crate) type Key = (&'static str, String);

/// An aggregate, and the last event that it has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct State<A> {
    pub(crate) aggregate: A,
    pub(crate) sequence: i64,
    /// The event's position; 0 while it is not committed. After a loss another event may have its
    /// sequence; the position tells them apart.
    pub(crate) position: i64,
}

/// A state of whatever aggregate.
#[derive(Clone)]
pub(crate) struct AnyState {
    sequence: i64,
    position: i64,
    aggregate: Arc<dyn Any + Send + Sync>,
    json: fn(&(dyn Any + Send + Sync)) -> Option<String>,
}

impl fmt::Debug for AnyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.sequence)
    }
}

impl AnyState {
    pub(crate) fn new<A: Aggregate + 'static>(state: State<A>) -> Self {
        let json = |aggregate: &(dyn Any + Send + Sync)| serde_json::to_string(aggregate.downcast_ref::<A>()?).ok();
        Self { sequence: state.sequence, position: state.position, aggregate: Arc::new(state.aggregate), json }
    }

    /// The length of its stream.
    pub(crate) const fn sequence(&self) -> i64 {
        self.sequence
    }

    /// The position of its last event; 0 while that is not committed.
    pub(crate) const fn position(&self) -> i64 {
        self.position
    }

    /// The state with its last event committed at this position.
    pub(crate) fn at(self, position: i64) -> Self {
        Self { position, ..self }
    }

    /// The aggregate as JSON.
    pub(crate) fn json(&self) -> Option<String> {
        (self.json)(&*self.aggregate)
    }

    /// The state, if it is of this aggregate.
    pub(crate) fn of<A: Aggregate + Clone + 'static>(&self) -> Option<State<A>> {
        let aggregate = self.aggregate.downcast_ref().cloned()?;
        Some(State { aggregate, sequence: self.sequence, position: self.position })
    }
}

/// The hot aggregates. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    states: Moka<Key, AnyState>,
    /// How many connections had been made when the last event that was acknowledged to this node was there.
    confirmed: Arc<AtomicU64>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { states: Moka::new(AGGREGATES), confirmed: Arc::default() }
    }
}

impl Cache {
    pub(crate) fn get<A: Aggregate + Clone + 'static>(&self, key: &Key) -> Option<State<A>> {
        self.states.get(key)?.of()
    }

    /// Whether what is remembered is known to be of the server behind so many connections.
    pub(crate) fn is_of(&self, connections: u64) -> bool {
        self.confirmed.load(Ordering::Acquire) == connections
    }

    pub(crate) fn confirm(&self, connections: u64) {
        self.confirmed.store(connections, Ordering::Release);
    }

    /// Keeps a state, unless a later one is here already.
    pub(crate) fn keep(&self, key: Key, state: AnyState) {
        self.states.entry(key).and_compute_with(|known| match known {
            Some(known) if known.value().position >= state.position => Op::Nop,
            _ => Op::Put(state),
        });
    }

    pub(crate) fn clear(&self) {
        self.states.invalidate_all();
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.states.invalidate(key);
    }
}
