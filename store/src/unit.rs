//! A unit: what one use case writes, in one commit.
//!
//! While the use case decides, the unit collects: events from the aggregates' commands, and the writes to rows that
//! belong to them. Nothing reaches the database before [`Unit::commit`]; what is submitted then is plain data, so that
//! several units can share a statement and a commit.

use chrono::{DateTime, SubsecRound, Utc};
use cqrs_es::{
    Aggregate, AggregateError, CqrsFramework, EventStore,
    persist::{PersistedEventStore, SerializedEvent},
};
use domain::{AccountId, Metadata};

use crate::{CommitError, ExecuteError, Store, StoreError, append, repository::Collector};

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
    collector: Collector,
    writes: Vec<Write>,
}

impl Unit {
    pub(crate) fn new(store: Store, metadata: Metadata) -> Self {
        let collector = Collector::new(store.database.clone());
        Self { store, metadata, collector, writes: Vec::new() }
    }

    /// Gives a command to an aggregate; its events join the unit.
    ///
    /// # Errors
    /// [`ExecuteError::Rule`] when the domain refuses.
    pub async fn execute<A>(&mut self, id: AccountId, command: A::Command) -> Result<(), ExecuteError<A::Error>>
    where
        A: Aggregate<Services = ()>,
        A::Command: Send,
        A::Error: Send + Sync + 'static,
    {
        let framework = CqrsFramework::new(self.event_store::<A>(), Vec::new(), ());
        framework.execute_with_metadata(&id.to_string(), command, self.metadata.to_map()).await.map_err(|error| {
            match error {
                AggregateError::UserError(rule) => ExecuteError::Rule(rule),
                other => ExecuteError::Store(unexpected(&other)),
            }
        })
    }

    /// Loads an aggregate as it is after what this unit has collected. An unknown id is an aggregate's default state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load<A: Aggregate>(&self, id: AccountId) -> Result<A, StoreError> {
        let loaded = self.event_store::<A>().load_aggregate(&id.to_string()).await;
        loaded.map(|context| context.aggregate).map_err(|error| unexpected(&error))
    }

    /// Adds a write to a row that belongs to the events.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
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
        let submission = Submission {
            events: self.collector.into_events(),
            writes: self.writes,
            at: self.metadata.at.trunc_subsecs(6),
        };
        if submission.events.is_empty() && submission.writes.is_empty() {
            return Ok(Committed { position: None });
        }
        let committed = append::append(&self.store.database, submission).await?;
        if let Some(position) = committed.position {
            self.store.wake.tell(position);
        }
        Ok(committed)
    }

    fn event_store<A: Aggregate>(&self) -> PersistedEventStore<Collector, A> {
        PersistedEventStore::new_event_store(self.collector.clone()).with_upcasters(domain::upcasters())
    }
}

/// A unit as it is submitted: plain data.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) events: Vec<SerializedEvent>,
    pub(crate) writes: Vec<Write>,
    pub(crate) at: DateTime<Utc>,
}

/// A write to a row that belongs to a unit's events, as data.
#[derive(Debug, Clone)]
pub struct Write {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
    pub(crate) guarded: bool,
}

impl Write {
    /// A statement with parameters `$1`, `$2`, …
    pub fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new(), guarded: false }
    }

    /// The next parameter's value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Refuses the whole unit ([`CommitError::Refused`]) unless the statement touches a row.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }
}

/// A parameter of a [`Write`].
#[derive(Debug, Clone)]
pub enum Value {
    /// A text, or an id as text.
    Text(Option<String>),
    /// A number.
    Int(Option<i64>),
    /// An instant, cut to microseconds.
    Time(Option<DateTime<Utc>>),
    /// Bytes, such as a ciphertext.
    Bytes(Vec<u8>),
}

macro_rules! value {
    ($($from:ty => |$value:ident| $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}

value! {
    &str => |text| Self::Text(Some(text.to_owned()));
    String => |text| Self::Text(Some(text));
    Option<String> => |text| Self::Text(text);
    AccountId => |id| Self::Text(Some(id.to_string()));
    domain::TokenId => |id| Self::Text(Some(id.to_string()));
    domain::AttemptId => |id| Self::Text(Some(id.to_string()));
    domain::WidgetId => |id| Self::Text(Some(id.to_string()));
    domain::UserId => |id| Self::Text(Some(id.to_string()));
    domain::LinkId => |id| Self::Text(Some(id.to_string()));
    i64 => |number| Self::Int(Some(number));
    Option<i64> => |number| Self::Int(number);
    DateTime<Utc> => |at| Self::Time(Some(at.trunc_subsecs(6)));
    Option<DateTime<Utc>> => |at| Self::Time(at.map(|at| at.trunc_subsecs(6)));
    Vec<u8> => |bytes| Self::Bytes(bytes);
}

fn unexpected<E: std::error::Error>(error: &AggregateError<E>) -> StoreError {
    match error {
        AggregateError::DatabaseConnectionError(source) | AggregateError::UnexpectedError(source) => {
            StoreError::Database(sqlx::Error::Protocol(source.to_string()))
        }
        AggregateError::AggregateConflict => StoreError::Conflict,
        other => StoreError::Unreadable(other.to_string()),
    }
}
