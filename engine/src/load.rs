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
    position: i64,
    event_type: String,
    event_version: String,
    payload: String,
}

impl Row {
    const fn is_last_of<A>(&self, state: &State<A>) -> bool {
        self.sequence == state.sequence && self.position == state.position
    }
}

/// What reading on in a stream has found.
enum Page {
    /// As many events as are read at once: there may be more.
    Full,
    /// The end of the stream.
    Last,
    /// The state's own last event isn't there.
    Gone,
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
        if let Some(hot) = hot
            && let Some(state) = self.walk(key, hot).await?
        {
            return Ok(state);
        }
        // What it may still remember is longer than what there is.
        self.cache.forget(key);
        loop {
            let mut begun = State::default();
            if !matches!(self.page(key, &mut begun).await?, Page::Full) {
                return Ok(begun);
            }
            // A long stream: somebody may have kept its state.
            let kept = match snapshot::of::<A>(self, key).await? {
                Some(kept) => self.walk(key, kept.clone()).await?.map(|state| (kept.sequence, state)),
                None => None,
            };
            let read = match kept {
                Some(read) => Some(read),
                None => self.walk(key, begun).await?.map(|state| (0, state)),
            };
            let Some((from, state)) = read else { continue };
            if snapshot::is_due(from, state.sequence) {
                snapshot::keep(self, key, &AnyState::new(state.clone()));
            }
            return Ok(state);
        }
    }

    /// Reads a state to the end of its stream. `None`: an event that it was built upon isn't there any more.
    async fn walk<A: Aggregate>(&self, key: &Key, mut state: State<A>) -> Result<Option<State<A>>, StoreError> {
        loop {
            match self.page(key, &mut state).await? {
                Page::Full => {}
                Page::Last => return Ok(Some(state)),
                Page::Gone => return Ok(None),
            }
        }
    }

    /// Folds the next events into a state.
    async fn page<A: Aggregate>(&self, key: &Key, state: &mut State<A>) -> Result<Page, StoreError> {
        let from = state.sequence.max(1);
        let select = format!(
            "SELECT sequence, position, event_type, event_version, {} AS payload FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence >= $3 ORDER BY sequence LIMIT {PAGE}",
            self.database.dialect().text_of_json("payload")
        );
        let rows = sql(select).bind(key.0).bind(&key.1).bind(from).fetch_all::<Row>(&self.database).await;
        let rows = rows.map_err(|error| match error {
            error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => undecodable(key, &error.to_string()),
            error => error.into(),
        })?;
        if state.sequence > 0 && rows.first().is_none_or(|first| !first.is_last_of(state)) {
            return Ok(Page::Gone);
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
            (state.sequence, state.position) = (row.sequence, row.position);
        }
        Ok(if is_full { Page::Full } else { Page::Last })
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
