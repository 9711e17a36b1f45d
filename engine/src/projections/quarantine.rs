//! What one event can stop: a single aggregate, in a single view or reaction. It is set aside with what could not be
//! applied, and everything else goes on.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Utc};

use crate::{Bulk, Database, On, Store, StoreError, Tx, sql};

/// So many may be set aside whatever their share is…
const FEW: i64 = 100;
/// …and beyond that, one in so many aggregates of the journal: with more the program is wrong, or its tables are.
const ONE_IN: i64 = 100;
/// So many are set aside in one transaction at most.
pub(super) const AT_ONCE: usize = 100;
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

/// Where an aggregate is set aside.
///
/// # Errors
/// When the database fails.
pub async fn quarantined_of(store: &Store, aggregate_id: &str) -> Result<Vec<Quarantined>, StoreError> {
    let of_one = sql(format!("{SELECT} WHERE aggregate_id = $1 ORDER BY projection"));
    Ok(of_one.bind(aggregate_id).fetch_all(store.database()).await?)
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

/// Sets aggregates aside. Where that makes too many, the projection is to stop, and this says at which event and why.
/// `known`: so many aggregates the journal has at least, as far as it was counted.
pub(super) async fn set_aside(
    tx: &mut Tx,
    (projection, program): (&str, &str),
    culprits: &[Culprit],
    known: &AtomicI64,
) -> Result<Option<(i64, String)>, StoreError> {
    let Some(last) = culprits.last() else { return Ok(None) };
    let failures: Vec<_> = culprits.iter().map(|culprit| short(&culprit.failure)).collect();
    let rows = Bulk::new()
        .text("projection", culprits.iter().map(|_| projection))
        .text("aggregate_id", culprits.iter().map(|culprit| culprit.aggregate_id.as_str()))
        .int("position", culprits.iter().map(|culprit| culprit.position))
        .text("failure", failures.iter().map(String::as_str))
        .text("program", culprits.iter().map(|_| program));
    let names = rows.names();
    let insert = |rows: &str| {
        format!("INSERT INTO quarantine ({names}) {rows} ON CONFLICT (projection, aggregate_id) DO NOTHING")
    };
    rows.execute(&mut *tx, insert).await?;
    let aside: i64 =
        sql("SELECT count(*) FROM quarantine WHERE projection = $1").bind(projection).scalar(&mut *tx).await?;
    let enough = aside * ONE_IN;
    if aside <= FEW || known.load(Ordering::Relaxed) >= enough {
        return Ok(None);
    }
    // Counted no further than it takes to know that they are few, and then not again until they are twice as many.
    let all: i64 = sql("SELECT count(*) FROM (SELECT DISTINCT aggregate_id FROM events LIMIT $1) AS counted")
        .bind(2 * enough)
        .scalar(tx)
        .await?;
    known.fetch_max(all, Ordering::Relaxed);
    if all >= enough {
        return Ok(None);
    }
    let (id, failure) = (&last.aggregate_id, short(&last.failure));
    let why = format!("{aside} of {all} aggregates can't be applied, the last is {id}: {failure}");
    Ok(Some((last.position, why)))
}

/// Whether an aggregate was set aside at this event.
pub(super) async fn is_aside_at(database: &Database, projection: &str, position: i64) -> Result<bool, StoreError> {
    Ok(sql("SELECT EXISTS (SELECT 1 FROM quarantine WHERE projection = $1 AND aggregate_id = \
            (SELECT aggregate_id FROM events WHERE position = $2))")
    .bind(projection)
    .bind(position)
    .scalar(database)
    .await?)
}

/// Whether another program than this one has set something aside.
pub(super) async fn is_of_another(tx: &mut Tx, projection: &str, program: &str) -> Result<bool, StoreError> {
    Ok(sql("SELECT EXISTS (SELECT 1 FROM quarantine WHERE projection = $1 AND program <> $2)")
        .bind(projection)
        .bind(program)
        .scalar(tx)
        .await?)
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
