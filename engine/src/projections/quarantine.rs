//! What one event can stop: a single aggregate, in a single view or reaction. It is set aside with what could not be
//! applied, and everything else goes on.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::{Database, On, Store, StoreError, Tx, sql};

/// So many may be set aside whatever their share is…
const FEW: i64 = 100;
/// …and beyond that, one in so many aggregates of the journal: with more the program is wrong, or its tables are.
const ONE_IN: i64 = 100;
/// Failures are kept no longer than this many characters.
const LONGEST: usize = 500;

/// An aggregate that a view or a reaction has set aside.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Quarantined {
    /// The view or the reaction; with `_rebuild` of a view that is rebuilt.
    pub projection: String,
    /// Which aggregate.
    pub aggregate_id: String,
    /// The first event that isn't in the rows.
    pub position: i64,
    /// Why it can't be applied.
    pub failure: String,
    /// The program that could not apply it.
    pub program: String,
    /// Since when, on the database's clock.
    pub since: DateTime<Utc>,
}

/// An event that can't be applied.
#[derive(Debug, Clone)]
pub(super) struct Culprit {
    pub(super) aggregate_id: String,
    pub(super) position: i64,
    pub(super) failure: String,
}

const SELECT: &str = "SELECT projection, aggregate_id, position, failure, program, since FROM quarantine";

/// What is set aside, in all views and reactions or one; the first so many by name and age.
///
/// # Errors
/// When the database fails.
pub async fn quarantined(store: &Store, projection: Option<&str>, limit: i64) -> Result<Vec<Quarantined>, StoreError> {
    let order = "ORDER BY projection, since, aggregate_id LIMIT $1";
    let query = match projection {
        Some(name) => sql(format!("{SELECT} WHERE projection = $2 {order}")).bind(limit).bind(name),
        None => sql(format!("{SELECT} {order}")).bind(limit),
    };
    Ok(query.fetch_all(store.database()).await?)
}

/// The ids of those that one has set aside.
pub(super) async fn ids(on: impl Into<On<'_>>, projection: &str) -> Result<HashSet<String>, StoreError> {
    let ids: Vec<String> =
        sql("SELECT aggregate_id FROM quarantine WHERE projection = $1").bind(projection).scalars(on).await?;
    Ok(ids.into_iter().collect())
}

/// One that was set aside, locked until the transaction ends.
pub(super) async fn locked(tx: &mut Tx, projection: &str, id: &str) -> Result<Option<Quarantined>, StoreError> {
    let locked = tx.dialect().locked();
    let one = sql(format!("{SELECT} WHERE projection = $1 AND aggregate_id = $2{locked}")).bind(projection).bind(id);
    Ok(one.fetch_optional(tx).await?)
}

/// Sets an aggregate aside, unless that makes too many: then the projection is to stop, and this says why.
pub(super) async fn set_aside(
    tx: &mut Tx,
    (projection, program): (&str, &str),
    culprit: &Culprit,
) -> Result<Result<(), String>, StoreError> {
    sql("INSERT INTO quarantine (projection, aggregate_id, position, failure, program) VALUES ($1, $2, $3, $4, $5)")
        .bind(projection)
        .bind(&culprit.aggregate_id)
        .bind(culprit.position)
        .bind(short(&culprit.failure))
        .bind(program)
        .execute(&mut *tx)
        .await?;
    let aside: i64 =
        sql("SELECT count(*) FROM quarantine WHERE projection = $1").bind(projection).scalar(&mut *tx).await?;
    if aside <= FEW {
        return Ok(Ok(()));
    }
    // No further than it takes to know that they are few.
    let enough = aside * ONE_IN;
    let all: i64 = sql("SELECT count(*) FROM (SELECT DISTINCT aggregate_id FROM events LIMIT $1) AS counted")
        .bind(enough)
        .scalar(tx)
        .await?;
    if all >= enough {
        return Ok(Ok(()));
    }
    let Culprit { aggregate_id, failure, .. } = culprit;
    Ok(Err(format!("{aside} of {all} aggregates can't be applied, the last is {aggregate_id}: {}", short(failure))))
}

/// Notes why an aggregate stays aside after it was tried again.
pub(super) async fn stays(
    database: &Database,
    (projection, program): (&str, &str),
    id: &str,
    failure: &str,
) -> Result<(), StoreError> {
    sql("UPDATE quarantine SET failure = $1, program = $2 WHERE projection = $3 AND aggregate_id = $4")
        .bind(short(failure))
        .bind(program)
        .bind(projection)
        .bind(id)
        .execute(database)
        .await?;
    Ok(())
}

/// Takes an aggregate back.
pub(super) async fn take_back(tx: &mut Tx, projection: &str, id: &str) -> Result<(), StoreError> {
    sql("DELETE FROM quarantine WHERE projection = $1 AND aggregate_id = $2")
        .bind(projection)
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Forgets what one has set aside: it begins anew.
pub(super) async fn clear(tx: &mut Tx, projection: &str) -> Result<(), StoreError> {
    sql("DELETE FROM quarantine WHERE projection = $1").bind(projection).execute(tx).await?;
    Ok(())
}

/// Lets a view have set aside what its rebuild did.
pub(super) async fn take_over(tx: &mut Tx, serving: &str, beside: &str) -> Result<(), StoreError> {
    clear(tx, serving).await?;
    sql("UPDATE quarantine SET projection = $1 WHERE projection = $2").bind(serving).bind(beside).execute(tx).await?;
    Ok(())
}

/// The event after a position, as the one that can't be applied.
pub(super) async fn culprit_after(tx: &mut Tx, position: i64, failure: String) -> Result<Option<Culprit>, StoreError> {
    let first: Option<(i64, String)> =
        sql("SELECT position, aggregate_id FROM events WHERE position > $1 ORDER BY position LIMIT 1")
            .bind(position)
            .fetch_optional(tx)
            .await?;
    Ok(first.map(|(position, aggregate_id)| Culprit { aggregate_id, position, failure }))
}

fn short(failure: &str) -> String {
    failure.chars().filter(|character| *character != '\0').take(LONGEST).collect()
}
