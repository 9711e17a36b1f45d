//! Writes a unit: all of its events in one statement, its rows after them, one commit.

use cqrs_es::persist::SerializedEvent;
use sqlx::{Arguments, QueryBuilder, error::ErrorKind, types::Json};

use crate::{CommitError, Committed, Database, Tx, Value, Write, unit::Submission};

/// Appends a unit to the journal and writes its rows.
pub(crate) async fn append(database: &Database, unit: Submission) -> Result<Committed, CommitError> {
    let mut tx = database.begin().await.map_err(CommitError::Database)?;
    // Rows first: the journal's order is locked from the events' insert to the commit, so that stays short.
    for write in &unit.writes {
        if run(&mut tx, write).await.map_err(refused)? == 0 && write.guarded {
            return Err(CommitError::Refused);
        }
    }
    let position = if unit.events.is_empty() { None } else { Some(insert(&mut tx, &unit).await.map_err(refused)?) };
    tx.commit().await.map_err(|error| match error {
        sqlx::Error::Database(_) => refused(error),
        _ => CommitError::Unknown(error),
    })?;
    Ok(Committed { position })
}

/// Inserts the events in one statement and answers with the last one's position.
async fn insert(tx: &mut Tx, unit: &Submission) -> Result<i64, sqlx::Error> {
    macro_rules! insert {
        ($tx:expr) => {{
            let mut query = QueryBuilder::new(
                "INSERT INTO events \
                 (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, at) ",
            );
            query.push_values(&unit.events, |mut row, event: &SerializedEvent| {
                row.push_bind(&event.aggregate_type)
                    .push_bind(&event.aggregate_id)
                    .push_bind(i64::try_from(event.sequence).unwrap_or(i64::MAX))
                    .push_bind(&event.event_type)
                    .push_bind(&event.event_version)
                    .push_bind(Json(&event.payload))
                    .push_bind(Json(&event.metadata))
                    .push_bind(unit.at);
            });
            query.push(" RETURNING position");
            let positions: Vec<i64> = query.build_query_scalar().fetch_all(&mut **$tx).await?;
            positions.into_iter().max().ok_or(sqlx::Error::RowNotFound)
        }};
    }
    match tx {
        Tx::Sqlite(tx) => insert!(tx),
        Tx::Postgres(tx) => insert!(tx),
    }
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

/// A unique violation means that somebody else was there first: of the events' stream, or of a row such as the profile
/// that says which account it is. Loading again shows what that was.
fn refused(error: sqlx::Error) -> CommitError {
    match &error {
        sqlx::Error::Database(cause)
            if cause.kind() == ErrorKind::UniqueViolation || is_serialization(cause.code().as_deref()) =>
        {
            CommitError::Conflict
        }
        _ => CommitError::Database(error),
    }
}

/// PostgreSQL's `serialization_failure` and `deadlock_detected`: nothing was written, and again is right.
fn is_serialization(code: Option<&str>) -> bool {
    matches!(code, Some("40001" | "40P01"))
}
