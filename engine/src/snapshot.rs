//! Snapshots: the state of a long stream, so that nobody reads it from its beginning again.
//!
//! They are no truth, and may be deleted at any time. A snapshot has the number of its shape ([`Store::with_shapes`]): one of
//! another shape is not read.

use cqrs_es::Aggregate;

use crate::{
    Store, StoreError,
    cache::{AnyState, Key, State},
    sql,
};

/// A snapshot is kept each time that a stream has grown by so many events.
const EVERY: i64 = 500;

/// Whether a stream that grew from one length to another is due for a snapshot.
pub(crate) const fn is_due(before: i64, now: i64) -> bool {
    before / EVERY < now / EVERY
}

/// The kept state of a stream, if there is one of this program's shape.
pub(crate) async fn of<A: Aggregate>(store: &Store, key: &Key) -> Result<Option<State<A>>, StoreError> {
    let Some(shape) = store.shape(key.0) else { return Ok(None) };
    let kept: Option<(i64, i64, String)> =
        sql("SELECT sequence, position, state FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND shape = $3")
            .bind(key.0)
            .bind(&key.1)
            .bind(shape)
            .fetch_optional(&store.database)
            .await?;
    Ok(kept.and_then(|(sequence, position, json)| match serde_json::from_str(&json) {
        Ok(aggregate) => Some(State { aggregate, sequence, position }),
        Err(error) => {
            tracing::warn!(aggregate = key.0, id = key.1, %error, "a snapshot can't be read: the stream is read instead");
            None
        }
    }))
}

/// Keeps a state, beside what the caller does.
pub(crate) fn keep(store: &Store, key: &Key, state: &AnyState) {
    let (Some(shape), Some(json)) = (store.shape(key.0), state.json()) else { return };
    let (database, key, sequence, position) = (store.database.clone(), key.clone(), state.sequence(), state.position());
    tokio::spawn(async move {
        let kept = sql("INSERT INTO snapshots (aggregate_type, aggregate_id, shape, sequence, position, state) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE \
             SET shape = excluded.shape, sequence = excluded.sequence, position = excluded.position, \
             state = excluded.state \
             WHERE snapshots.shape < excluded.shape \
             OR (snapshots.shape = excluded.shape AND snapshots.position < excluded.position)")
        .bind(key.0)
        .bind(&key.1)
        .bind(shape)
        .bind(sequence)
        .bind(position)
        .bind(json)
        .execute(&database)
        .await;
        if let Err(error) = kept {
            tracing::debug!(aggregate = key.0, id = key.1, %error, "a snapshot could not be kept");
        }
    });
}
