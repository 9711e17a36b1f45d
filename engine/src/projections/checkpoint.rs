//! Checkpoints: how far projections are.

use super::projection::Target;
use crate::{Database, On, Store, StoreError, Tx, sql};

/// What a checkpoint is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A projection whose rows can be made anew.
    View,
    /// The same, while it is made anew beside the rows that serve.
    Rebuild,
    /// What answers events by work.
    Reaction,
    /// Nothing of this program's: of an older or a newer one.
    Unknown,
}

impl Kind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Rebuild => "rebuild",
            Self::Reaction => "reaction",
            Self::Unknown => "unknown",
        }
    }
}

/// How far a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its name; with `_rebuild` of one that is rebuilt.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The version that made its rows.
    pub version: i64,
    /// The last event that is in its rows.
    pub position: i64,
    /// How many aggregates it has set aside ([`quarantined`](crate::quarantined)).
    pub quarantined: i64,
    /// Where it has stopped, and why: too much of the journal can't be applied.
    pub failure: Option<(i64, String)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    version: i64,
    position: i64,
    failed_position: Option<i64>,
    failure: Option<String>,
    stopped_by: Option<String>,
    quarantined: i64,
}

const SELECT: &str = "SELECT name, version, position, failed_position, failure, stopped_by, \
    (SELECT count(*) FROM quarantine WHERE projection = name) AS quarantined FROM checkpoints";

/// How far those of these names are, in their order, each followed by its rebuild; then whatever else has a checkpoint.
pub(super) async fn states(store: &Store, known: &[(&str, Kind)]) -> Result<Vec<State>, StoreError> {
    let mut rows: Vec<Row> = sql(format!("{SELECT} ORDER BY name")).fetch_all(store.database()).await?;
    let mut states = Vec::new();
    for (name, kind) in known {
        for (name, kind) in [((*name).to_owned(), *kind), (Target::Beside.table(name), Kind::Rebuild)] {
            if let Some(at) = rows.iter().position(|row| row.name == name) {
                states.push(rows.remove(at).state(kind));
            }
        }
    }
    states.extend(rows.into_iter().map(|row| row.state(Kind::Unknown)));
    Ok(states)
}

impl Row {
    fn state(self, kind: Kind) -> State {
        let Self { name, version, position, failed_position, failure, quarantined, .. } = self;
        State { name, kind, version, position, quarantined, failure: failed_position.zip(failure) }
    }
}

/// How far a projection is, and which version of it made the rows: there is one for the tables that serve, and one for
/// those beside while they are rebuilt.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) position: i64,
    pub(super) version: i64,
    /// Where it has stopped, and why.
    pub(super) failure: Option<(i64, String)>,
    /// The program that stopped it.
    stopped_by: Option<String>,
}

impl From<Row> for Checkpoint {
    fn from(row: Row) -> Self {
        let Row { version, position, failed_position, failure, stopped_by, .. } = row;
        Self { position, version, failure: failed_position.zip(failure), stopped_by }
    }
}

impl Checkpoint {
    /// That of a name, if there is one.
    pub(super) async fn of(store: &Store, name: &str) -> Result<Option<Self>, StoreError> {
        let row: Option<Row> =
            sql(format!("{SELECT} WHERE name = $1")).bind(name).fetch_optional(store.database()).await?;
        Ok(row.map(Self::from))
    }

    /// Makes one before the first event, unless there is one.
    pub(super) async fn begin(store: &Store, name: &str, version: i64) -> Result<Self, StoreError> {
        sql("INSERT INTO checkpoints (name, version) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(version)
            .execute(store.database())
            .await?;
        let begun = Self { position: 0, version, failure: None, stopped_by: None };
        Ok(Self::of(store, name).await?.unwrap_or(begun))
    }

    /// Makes one behind the last event, unless there is one.
    pub(super) async fn begin_at_the_end(on: impl Into<On<'_>>, name: &str, version: i64) -> Result<(), StoreError> {
        sql("INSERT INTO checkpoints (name, version, position) \
             SELECT $1, $2, COALESCE(max(position), 0) FROM events WHERE true ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(version)
        .execute(on)
        .await?;
        Ok(())
    }

    /// Locks one until the transaction ends.
    pub(super) async fn locked(tx: &mut Tx, name: &str) -> Result<Option<Self>, StoreError> {
        let locked = tx.dialect().locked();
        let row: Option<Row> = sql(format!("{SELECT} WHERE name = $1{locked}")).bind(name).fetch_optional(tx).await?;
        Ok(row.map(Self::from))
    }

    /// Notes that others than its runner have changed its rows.
    pub(super) async fn changed(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
        sql("UPDATE checkpoints SET epoch = epoch + 1 WHERE name = $1").bind(name).execute(tx).await?;
        Ok(())
    }

    /// Moves one whose lock the transaction has.
    pub(super) async fn move_to(tx: &mut Tx, name: &str, position: i64) -> Result<(), StoreError> {
        sql("UPDATE checkpoints SET position = $1 WHERE name = $2").bind(position).bind(name).execute(tx).await?;
        Ok(())
    }

    /// Records that a projection stopped after a position, for all nodes. Whether it was there: another node may have passed
    /// what this one could not.
    pub(super) async fn stop(
        database: &Database,
        (name, version, from): (&str, i64, i64),
        (position, failure): (i64, &str),
        program: &str,
    ) -> Result<bool, StoreError> {
        let stopped = sql("UPDATE checkpoints SET failed_position = $1, failure = $2, stopped_by = $3 \
                           WHERE name = $4 AND version <= $5 AND position = $6 AND failed_position IS NULL")
        .bind(position)
        .bind(failure)
        .bind(program)
        .bind(name)
        .bind(version)
        .bind(from)
        .execute(database)
        .await?;
        Ok(stopped > 0)
    }

    /// Whether it has stopped, and another program than this one did that.
    pub(super) fn was_stopped_by_another(&self, program: &str) -> bool {
        self.failure.is_some() && self.stopped_by.as_deref() != Some(program)
    }

    /// Lets one that stopped go on; whether it had stopped.
    pub(super) async fn resume(database: &Database, (name, version): (&str, i64)) -> Result<bool, StoreError> {
        let resumed = sql("UPDATE checkpoints SET failed_position = NULL, failure = NULL, stopped_by = NULL \
                           WHERE name = $1 AND version <= $2 AND failed_position IS NOT NULL")
        .bind(name)
        .bind(version)
        .execute(database)
        .await?;
        Ok(resumed > 0)
    }
}
