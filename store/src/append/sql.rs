//! The statements of an append, on either engine.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::{Arguments, PgConnection, SqliteConnection, error::ErrorKind};

use crate::{
    CommitError, Database, Tx, Value, Write, build,
    unit::{NewEvent, Submission},
};

/// Why a batch was not written as it is.
pub(super) enum Failure {
    /// This unit of it can't be written; the others may.
    Unit(usize, CommitError),
    /// Another node appended to one of the streams.
    Conflict,
    /// The database won't have one of the events.
    Refused(Arc<sqlx::Error>),
    /// Nothing was written.
    NotWritten(Arc<sqlx::Error>),
    /// The connection broke: it may have been written or not.
    Unknown(Arc<sqlx::Error>),
}

/// Writes units in one commit; returns the position of the last event, if there is one.
pub(super) async fn write(database: &Database, units: &[&Submission]) -> Result<Option<i64>, Failure> {
    let not_written = |error| Failure::NotWritten(Arc::new(error));
    let events: Vec<_> = units.iter().flat_map(|unit| unit.events.iter().map(move |event| (*unit, event))).collect();
    // Events alone are one statement, which is its own transaction: one round trip.
    if units.iter().all(|unit| unit.writes.is_empty()) {
        let inserted = match database {
            Database::Sqlite(pools) => {
                let mut on = pools.write.acquire().await.map_err(not_written)?;
                insert_sqlite(&mut on, &events).await
            }
            Database::Postgres(pool) => {
                let mut on = pool.acquire().await.map_err(not_written)?;
                insert_postgres(&mut on, &events).await
            }
        };
        return inserted.map(Some).map_err(|error| failure(error, Failure::Unknown));
    }
    let mut tx = database.begin().await.map_err(not_written)?;
    // Rows first: the journal's order is locked from the events' insert to the commit, so that stays short.
    for (index, unit) in units.iter().enumerate() {
        for write in &unit.writes {
            match run(&mut tx, write).await {
                Ok(0) if write.guarded => return Err(Failure::Unit(index, CommitError::Refused)),
                Ok(_) => {}
                // The row that says which account it is, or another one that is there only once.
                Err(error) if is_conflict(&error) => return Err(Failure::Unit(index, CommitError::Conflict)),
                Err(error) => return Err(Failure::Unit(index, CommitError::Database(Arc::new(error)))),
            }
        }
    }
    let mut last = None;
    if !events.is_empty() {
        let inserted = match &mut tx {
            Tx::Sqlite(tx) => insert_sqlite(tx, &events).await,
            Tx::Postgres(tx) => insert_postgres(tx, &events).await,
        };
        last = Some(inserted.map_err(|error| failure(error, Failure::NotWritten))?);
    }
    tx.commit().await.map_err(|error| failure(error, Failure::Unknown))?;
    Ok(last)
}

fn failure(error: sqlx::Error, broken: impl Fn(Arc<sqlx::Error>) -> Failure) -> Failure {
    match error {
        error if is_conflict(&error) => Failure::Conflict,
        error @ (sqlx::Error::Database(_) | sqlx::Error::Encode(_)) => Failure::Refused(Arc::new(error)),
        error => broken(Arc::new(error)),
    }
}

/// Somebody else was there first: a unique violation, or PostgreSQL's `serialization_failure` and `deadlock_detected`.
fn is_conflict(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(cause) = error else { return false };
    cause.kind() == ErrorKind::UniqueViolation || matches!(cause.code().as_deref(), Some("40001" | "40P01"))
}

type Events<'a> = [(&'a Submission, &'a NewEvent)];

/// One parameter a column, so that the statement is the same for any number of events. The trigger that keeps the order
/// runs before the first position is drawn.
async fn insert_postgres(on: &mut PgConnection, events: &Events<'_>) -> Result<i64, sqlx::Error> {
    let sql = "WITH inserted AS (INSERT INTO events \
        (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at) \
        SELECT a, i, s, e, v, p::json, m::json, t FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], \
        $5::text[], $6::text[], $7::text[], $8::timestamptz[]) WITH ORDINALITY AS new (a, i, s, e, v, p, m, t, n) \
        ORDER BY n RETURNING position) SELECT max(position) FROM inserted";
    let texts = |text: fn(&NewEvent) -> &str| events.iter().map(|(_, event)| text(event)).collect::<Vec<_>>();
    sqlx::query_scalar(sql)
        .bind(texts(|event| event.aggregate_type))
        .bind(texts(|event| &event.aggregate_id))
        .bind(events.iter().map(|(_, event)| event.sequence).collect::<Vec<_>>())
        .bind(texts(|event| &event.event_type))
        .bind(texts(|event| &event.event_version))
        .bind(texts(|event| &event.payload))
        .bind(events.iter().map(|(unit, _)| unit.metadata.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|(unit, _)| unit.at).collect::<Vec<DateTime<Utc>>>())
        .fetch_one(on)
        .await
}

/// One parameter for all: a JSON array, so that the statement is the same for any number of events.
async fn insert_sqlite(on: &mut SqliteConnection, events: &Events<'_>) -> Result<i64, sqlx::Error> {
    let sql = "INSERT INTO events \
        (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at) \
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7 \
        FROM json_each($1) ORDER BY key";
    let row = |(unit, event): &(&Submission, &NewEvent)| {
        // The form in which sqlx writes an instant, so that all of them compare as texts.
        let at = unit.at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        serde_json::json!([
            event.aggregate_type,
            event.aggregate_id,
            event.sequence,
            event.event_type,
            event.event_version,
            event.payload,
            unit.metadata,
            at
        ])
    };
    let rows = serde_json::Value::Array(events.iter().map(row).collect()).to_string();
    Ok(sqlx::query(sql).bind(rows).execute(on).await?.last_insert_rowid())
}

/// How far the streams of these units have come.
pub(super) async fn heads(
    database: &Database,
    units: &[&Submission],
) -> Result<HashMap<(String, String), i64>, sqlx::Error> {
    let mut streams: Vec<_> = units
        .iter()
        .flat_map(|unit| unit.events.iter().map(|event| (event.aggregate_type, event.aggregate_id.as_str())))
        .collect();
    streams.sort_unstable();
    streams.dedup();
    let mut tx = database.begin().await?;
    let rows = build!(&mut tx, query => {
        query.push("WITH streams (type, id) AS (");
        query.push_values(&streams, |mut row, (aggregate, id)| {
            row.push_bind(*aggregate).push_bind(*id);
        });
        query.push(
            ") SELECT type, id, coalesce((SELECT max(sequence) FROM events \
             WHERE aggregate_type = type AND aggregate_id = id), 0) FROM streams",
        );
    }, fetch (String, String, i64))?;
    Ok(rows.into_iter().map(|(aggregate, id, head)| ((aggregate, id), head)).collect())
}

async fn run(tx: &mut Tx, write: &Write) -> Result<u64, sqlx::Error> {
    macro_rules! run {
        ($tx:expr, $arguments:ty) => {{
            let mut arguments = <$arguments>::default();
            for value in &write.values {
                match value {
                    Value::Text(text) => arguments.add(text.as_deref()),
                    Value::Int(number) => arguments.add(number),
                    Value::Time(at) => arguments.add(at),
                    Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            sqlx::query_with(write.sql, arguments).execute(&mut **$tx).await.map(|done| done.rows_affected())
        }};
    }
    match tx {
        Tx::Sqlite(tx) => run!(tx, sqlx::sqlite::SqliteArguments<'_>),
        Tx::Postgres(tx) => run!(tx, sqlx::postgres::PgArguments),
    }
}
