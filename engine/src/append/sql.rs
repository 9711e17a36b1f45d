//! The statements of an append, on either engine.

use std::sync::Arc;

use sqlx::error::ErrorKind;

use super::Last;
use crate::{
    CommitError, Database, On, Tx,
    connection::Connection,
    is_away, jobs, sql,
    unit::{self, Appended, COLUMNS, Submission},
};

/// Why a batch was not written as it is.
pub(super) enum Failure {
    /// This unit of it can't be written; the others may.
    Unit(usize, CommitError),
    /// Another node appended to one of the streams.
    Conflict,
    /// The database won't have one of the events.
    Refused(CommitError),
    /// Nobody's fault: nothing was written, or nobody knows.
    All(CommitError),
}

/// Writes units in one commit; returns the position of the last event, if there is one.
pub(super) async fn write(
    database: &Database,
    own: &mut Connection,
    units: &[&Submission],
) -> Result<Option<i64>, Failure> {
    let not_written = |error| Failure::All(CommitError::Database(Arc::new(error)));
    let events: Vec<_> = units.iter().flat_map(|unit| unit.events.iter().map(move |event| (*unit, event))).collect();
    // Events alone are one statement, which is its own transaction: one round trip.
    if units.iter().all(|unit| unit.writes.is_empty() && unit.ends.is_empty()) {
        let inserted = match database {
            Database::Sqlite(on) => insert(&mut *on.writer.turn().await.map_err(not_written)?, &events).await,
            Database::Postgres(pool) => {
                let mut on = own.take(pool).await.map_err(not_written)?;
                let inserted = insert(&mut *on, &events).await;
                own.keep(on, inserted.as_ref().err());
                inserted
            }
        };
        return inserted.map(Some).map_err(|error| failure(error, CommitError::Unknown));
    }
    let mut tx = database.begin().await.map_err(not_written)?;
    if let Some(late) = end_jobs(&mut tx, units).await.map_err(|error| failure(error, CommitError::Database))? {
        return Err(Failure::Unit(late, CommitError::Refused));
    }
    // Rows first: the journal's order is locked from the events' insert to the commit, so that stays short.
    for (index, unit) in units.iter().enumerate() {
        for write in &unit.writes {
            match write.execute(&mut tx).await {
                Ok(0) if write.is_guarded() => return Err(Failure::Unit(index, CommitError::Refused)),
                Ok(_) => {}
                // A row that is there only once, such as one that holds a name.
                Err(error) if is_conflict(&error) => return Err(Failure::Unit(index, CommitError::Conflict)),
                Err(error) => return Err(Failure::Unit(index, CommitError::Database(Arc::new(error)))),
            }
        }
    }
    let mut last = None;
    if !events.is_empty() {
        last = Some(insert(&mut tx, &events).await.map_err(|error| failure(error, CommitError::Database))?);
    }
    tx.commit().await.map_err(|error| failure(error, CommitError::Unknown))?;
    Ok(last)
}

/// Ends the jobs of all units together; the first unit whose job isn't held any more.
async fn end_jobs(tx: &mut Tx, units: &[&Submission]) -> Result<Option<usize>, sqlx::Error> {
    let ends = || units.iter().enumerate().flat_map(|(index, unit)| unit.ends.iter().map(move |end| (index, end)));
    let all: Vec<_> = ends().map(|(_, (held, end))| (held, end.clone())).collect();
    let held = jobs::end_held(tx, &all).await?;
    Ok(ends().zip(held).find(|(_, held)| !held).map(|((index, _), _)| index))
}

fn failure(error: sqlx::Error, broken: impl Fn(Arc<sqlx::Error>) -> CommitError) -> Failure {
    match error {
        error if is_conflict(&error) => Failure::Conflict,
        // Not the fault of any unit.
        error if is_away(&error) => Failure::All(broken(Arc::new(error))),
        sqlx::Error::Database(_) | sqlx::Error::Encode(_) => Failure::Refused(CommitError::Database(Arc::new(error))),
        error => Failure::All(broken(Arc::new(error))),
    }
}

/// Another writer was faster, or the unit was decided on events that are gone: a unique violation, PostgreSQL's
/// `serialization_failure` (which a gap in a stream is, too) and `deadlock_detected`, SQLite's `SQLITE_CONSTRAINT_TRIGGER`.
fn is_conflict(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(cause) = error else { return false };
    cause.kind() == ErrorKind::UniqueViolation || matches!(cause.code().as_deref(), Some("40001" | "40P01" | "1811"))
}

/// Inserts events; the position of the last.
async fn insert(on: impl Into<On<'_>>, events: &[Appended<'_>]) -> Result<i64, sqlx::Error> {
    let insert = |rows: &str| format!("INSERT INTO events ({COLUMNS}) {rows}");
    match on.into() {
        On::Sqlite(on) => unit::bulk(events).insert_sqlite(on, insert).await,
        on => {
            // The trigger that keeps the order runs before the first position is drawn.
            let last = |rows: &str| {
                format!("WITH inserted AS ({} RETURNING position) SELECT max(position) FROM inserted", insert(rows))
            };
            let last: Vec<(i64,)> = unit::bulk(events).fetch_all(on, last).await?;
            last.first().map(|(last,)| *last).ok_or(sqlx::Error::RowNotFound)
        }
    }
}

/// Whether the last event that was acknowledged is still there, after new connections were made: a server may have lost its
/// end, or another one may answer, which never had it.
pub(super) async fn has(database: &Database, last: &Last) -> Result<bool, sqlx::Error> {
    sql("SELECT EXISTS (SELECT 1 FROM events WHERE position = $1 AND aggregate_id = $2 AND sequence = $3)")
        .bind(last.position)
        .bind(&last.aggregate_id)
        .bind(last.sequence)
        .scalar(database)
        .await
}

/// How far the streams of these units have come.
pub(super) async fn heads(database: &Database, units: &[&Submission]) -> Result<super::Heads, sqlx::Error> {
    let ids: Vec<_> = units.iter().flat_map(|unit| &unit.events).map(|event| event.aggregate_id.clone()).collect();
    let heads = sql(format!(
        "SELECT aggregate_type, aggregate_id, max(sequence) FROM events WHERE aggregate_id {} \
         GROUP BY aggregate_type, aggregate_id",
        database.dialect().among("$1")
    ));
    let rows: Vec<(String, String, i64)> = heads.bind(ids).fetch_all(database).await?;
    // A stream without events is at 0.
    let events = units.iter().flat_map(|unit| &unit.events);
    let mut heads: super::Heads = events.map(|event| (event.stream(), 0)).collect();
    heads.extend(rows.into_iter().map(|(aggregate, id, head)| ((aggregate, id), head)));
    Ok(heads)
}
