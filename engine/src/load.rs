//! Loading an aggregate: from the state that this node knows, or a snapshot, or nothing, by the events that came after it.
//!
//! A stream is read in pages, so that a long one takes no more memory than a short one. A state that is built upon must have its
//! last event in the database still: a restored copy may have lost it.

use std::panic::AssertUnwindSafe;

use cqrs_es::{Aggregate, DomainEvent};
use futures::FutureExt;

use crate::{
    Head, Store, StoreError, away,
    cache::{AnyState, Key, State},
    recorded::upcast,
    snapshot, sql,
};

/// How many events are read at once.
const PAGE: usize = 500;

/// An event of a stream, as loading reads it.
#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: String,
}

impl Store {
    /// The aggregate as the database has it; it is hot from then on.
    pub(crate) async fn fresh<A: Aggregate + Clone + 'static>(&self, key: &Key) -> Result<State<A>, StoreError> {
        // After new connections it isn't known whether what this node remembers happened on the server that answers.
        let hot = if self.cache.is_of(away::connections()) { self.cache.get::<A>(key) } else { None };
        let loading = AssertUnwindSafe(self.load_from(key, hot));
        let state = loading.catch_unwind().await.map_err(|_| undecodable(key, "its fold panicked"))??;
        if state.sequence > 0 {
            self.cache.keep(key.clone(), AnyState::new(state.clone()));
        }
        Ok(state)
    }

    async fn load_from<A: Aggregate + Clone + 'static>(
        &self,
        key: &Key,
        hot: Option<State<A>>,
    ) -> Result<State<A>, StoreError> {
        if let Some(mut state) = hot
            && let Some(mut more) = self.page(key, &mut state).await?
        {
            while more {
                more = self.page(key, &mut state).await?.unwrap_or_default();
            }
            return Ok(state);
        }
        // What it may still remember is longer than what there is.
        self.cache.forget(key);
        let mut state = State::default();
        let mut more = self.page(key, &mut state).await?.unwrap_or_default();
        if !more {
            return Ok(state);
        }
        // A long stream: somebody may have kept its state.
        let begun = if let Some(mut kept) = snapshot::of::<A>(self, key).await?
            && let Some(goes_on) = self.page(key, &mut kept).await?
        {
            let begun = kept.sequence;
            (state, more) = (kept, goes_on);
            begun
        } else {
            0
        };
        while more {
            more = self.page(key, &mut state).await?.unwrap_or_default();
        }
        if snapshot::is_due(begun, state.sequence) {
            snapshot::keep(self, key, &AnyState::new(state.clone()));
        }
        Ok(state)
    }

    /// Folds the next events into a state; whether there may be more. `None`: the state's own last event isn't there.
    async fn page<A: Aggregate>(&self, key: &Key, state: &mut State<A>) -> Result<Option<bool>, StoreError> {
        let from = state.sequence.max(1);
        let select = format!(
            "SELECT sequence, event_type, event_version, {} AS payload FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence >= $3 ORDER BY sequence LIMIT {PAGE}",
            self.database.dialect().text_of_json("payload")
        );
        let rows = sql(select).bind(key.0).bind(&key.1).bind(from).fetch_all::<Row>(&self.database).await;
        let rows = rows.map_err(|error| match error {
            error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => undecodable(key, &error.to_string()),
            error => error.into(),
        })?;
        if state.sequence > 0 && rows.first().is_none_or(|first| first.sequence != state.sequence) {
            return Ok(None);
        }
        let (is_full, upcasters) = (rows.len() == PAGE, (self.upcasters)());
        let known = state.sequence;
        for row in rows.iter().filter(|row| row.sequence > known) {
            if row.sequence != state.sequence + 1 {
                return Err(undecodable(key, &format!("event {} is missing", state.sequence + 1)));
            }
            let head = Head { aggregate: key.0, event_type: &row.event_type, version: &row.event_version };
            let event = match upcast(&head, &row.payload, &upcasters) {
                None => decoded::<A::Event>(&head, &row.payload),
                Some(Err(why)) => Err(why),
                Some(Ok(today)) => {
                    let (event_type, version) = (today.event_type.as_str(), today.event_version.as_str());
                    decoded::<A::Event>(&Head { event_type, version, ..head }, &today.payload.to_string())
                }
            };
            let event = event.map_err(|why| undecodable(key, &format!("event {}: {why}", row.sequence)))?;
            state.aggregate.apply(event);
            state.sequence = row.sequence;
        }
        Ok(Some(is_full))
    }
}

/// The event that a row says it is: of this type, and of the version that this program writes.
fn decoded<E: DomainEvent>(head: &Head<'_>, json: &str) -> Result<E, String> {
    let event: E = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let (event_type, version) = (event.event_type(), event.event_version());
    if (head.event_type, head.version) == (&*event_type, &*version) {
        Ok(event)
    } else {
        let Head { event_type: of_type, version: of_version, .. } = head;
        Err(format!("{of_type} of version {of_version} is read as {event_type} of version {version}"))
    }
}

fn undecodable((aggregate, id): &Key, why: &str) -> StoreError {
    StoreError::Undecodable(format!("{aggregate} {id}: {why}"))
}
