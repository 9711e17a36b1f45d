//! Checkpoints: how far projections are.

use crate::{Store, StoreError, sql};

/// How far a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The projection's name; with `_rebuild` of one that is rebuilt.
    pub name: String,
    /// The version that made its rows.
    pub version: i64,
    /// The last event that is in its rows.
    pub position: i64,
    /// The event that could not be applied, and why.
    pub failure: Option<(i64, String)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    version: i64,
    position: i64,
    failed_position: Option<i64>,
    failure: Option<String>,
}

/// How far every projection is.
///
/// # Errors
/// When the database fails.
pub async fn states(store: &Store) -> Result<Vec<State>, StoreError> {
    let rows: Vec<Row> =
        sql("SELECT name, version, position, failed_position, failure FROM checkpoints ORDER BY name, version")
            .fetch_all(store.database())
            .await?;
    let state = |row: Row| State {
        name: row.name,
        version: row.version,
        position: row.position,
        failure: row.failed_position.zip(row.failure),
    };
    Ok(rows.into_iter().map(state).collect())
}

/// How far a projection is, and which version of it made the rows: there is one for the tables that serve, and one for
/// those beside while they are rebuilt.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(super) struct Checkpoint {
    pub(super) position: i64,
    pub(super) version: i64,
    pub(super) failed_position: Option<i64>,
}

impl Checkpoint {
    /// That of a name, if there is one.
    pub(super) async fn of(store: &Store, name: &str) -> Result<Option<Self>, StoreError> {
        Ok(sql("SELECT position, version, failed_position FROM checkpoints WHERE name = $1")
            .bind(name)
            .fetch_optional(store.database())
            .await?)
    }

    /// Makes one, unless there is one.
    pub(super) async fn begin(store: &Store, name: &str, version: i64) -> Result<Self, StoreError> {
        sql("INSERT INTO checkpoints (name, version) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(version)
            .execute(store.database())
            .await?;
        let begun = Self { position: 0, version, failed_position: None };
        Ok(Self::of(store, name).await?.unwrap_or(begun))
    }

    /// Records that a projection stopped at an event, for all nodes, until somebody mends it.
    pub(super) async fn stop_at(
        store: &Store,
        (name, version): (&str, i64),
        position: i64,
        failure: &str,
    ) -> Result<(), StoreError> {
        sql("UPDATE checkpoints SET failed_position = $1, failure = $2 WHERE name = $3 AND version <= $4")
            .bind(position)
            .bind(failure)
            .bind(name)
            .bind(version)
            .execute(store.database())
            .await?;
        Ok(())
    }
}
