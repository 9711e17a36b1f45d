//! Hot aggregates as this node saw them last, so that a command on one needs no `SELECT`.
//!
//! What lies here may be stale: another node may have appended since. That is found out at the append, whose sequence then
//! conflicts; a decision that leads to no append is made again on a fresh load (see [`crate::Unit::execute`]).

use std::{any::Any, fmt, sync::Arc};

use cqrs_es::Aggregate;
use moka::{ops::compute::Op, sync::Cache as Moka};

/// How many aggregates are kept. One takes about a kilobyte.
const AGGREGATES: u64 = 20_000;

/// The type and the id of a stream.
pub(crate) type Key = (&'static str, String);

/// An aggregate, and the sequence of the last event that it has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct State<A> {
    pub(crate) aggregate: A,
    pub(crate) sequence: i64,
}

/// A state of whatever aggregate.
#[derive(Clone)]
pub(crate) struct AnyState {
    sequence: i64,
    state: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for AnyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.sequence)
    }
}

impl AnyState {
    pub(crate) fn new<A: Aggregate + 'static>(state: State<A>) -> Self {
        Self { sequence: state.sequence, state: Arc::new(state) }
    }

    /// The state, if it is of this aggregate.
    pub(crate) fn of<A: Aggregate + Clone + 'static>(&self) -> Option<State<A>> {
        self.state.downcast_ref().cloned()
    }
}

/// The hot aggregates. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Cache(Moka<Key, AnyState>);

impl Default for Cache {
    fn default() -> Self {
        Self(Moka::new(AGGREGATES))
    }
}

impl Cache {
    pub(crate) fn get<A: Aggregate + Clone + 'static>(&self, key: &Key) -> Option<State<A>> {
        self.0.get(key)?.of()
    }

    /// Keeps a state, unless a later one is here already.
    pub(crate) fn keep(&self, key: Key, state: AnyState) {
        self.0.entry(key).and_compute_with(|known| match known {
            Some(known) if known.value().sequence >= state.sequence => Op::Nop,
            _ => Op::Put(state),
        });
    }

    pub(crate) fn clear(&self) {
        self.0.invalidate_all();
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.0.invalidate(key);
    }
}
