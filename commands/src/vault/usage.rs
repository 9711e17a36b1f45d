//! How many rows each key has.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use engine::{Database, StoreError, sql};

use super::{
    Vault,
    proof::Fault,
    reseal::page,
    tables::{ALL, Count, Row, SealedTable},
};
use crate::Error;

/// A key, and what it is needed for.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The key's id.
    pub key_id: String,
    /// Whether it is in the ring.
    pub is_configured: bool,
    /// Whether it is the one that seals.
    pub seals: bool,
    /// Its rows in each table of [`ALL`], in that order.
    pub counts: Vec<Count>,
    /// Whether it opened the rows that were tried.
    pub opens: bool,
    /// How many rows it doesn't open, where each was tried.
    pub unopened: Option<i64>,
}

impl Usage {
    /// All of its rows.
    pub fn rows(&self) -> i64 {
        self.counts.iter().map(|count| count.rows).sum()
    }

    /// Until when it is needed for reconnect links.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.counts.iter().filter_map(|count| count.until).max()
    }
}

/// The keys that the database's rows were sealed with, in order.
///
/// # Errors
/// When the database fails.
pub async fn key_ids(database: &Database) -> Result<BTreeSet<String>, Error> {
    let mut ids = BTreeSet::new();
    for table in ALL {
        let (name, key_id) = (table.name, table.key_id);
        // One engine: only beside a SQLite file can a key file be missing.
        let found: Vec<String> =
            sql(format!("SELECT DISTINCT {key_id} FROM {name} WHERE {key_id} IS NOT NULL")).scalars(database).await?;
        ids.extend(found);
    }
    Ok(ids)
}

/// The rows of each key id, by table.
///
/// # Errors
/// When the database fails.
pub async fn counts(database: &Database, now: DateTime<Utc>) -> Result<BTreeMap<String, Vec<Count>>, Error> {
    let mut counted: BTreeMap<String, Vec<Count>> = BTreeMap::new();
    for table in ALL {
        for (key_id, count) in counts_of(database, table, now).await? {
            counted.entry(key_id).or_default().push(count);
        }
    }
    Ok(counted)
}

/// The rows of each key id in one table.
pub(super) async fn counts_of(
    database: &Database,
    table: &SealedTable,
    now: DateTime<Utc>,
) -> Result<Vec<(String, Count)>, Error> {
    let (name, key_id, counts, until) = (table.name, table.key_id, table.counts(), table.until());
    let until = database.dialect().instant(&format!("max({until})"));
    let rows: Vec<(String, i64, Option<DateTime<Utc>>)> = sql(format!(
        "SELECT {key_id}, count(*), {until} FROM {name} WHERE {key_id} IS NOT NULL AND {counts} GROUP BY {key_id}"
    ))
    .bind(now)
    .fetch_all(database)
    .await?;
    Ok(rows.into_iter().map(|(key_id, rows, until)| (key_id, Count { table: name, rows, until })).collect())
}

impl Vault {
    /// The keys of the ring and those that rows need. `each`: every row is opened, not only some of each key and table.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage(&self, database: &Database, now: DateTime<Utc>, each: bool) -> Result<Vec<Usage>, Error> {
        let mut counted = counts(database, now).await?;
        let closed: BTreeSet<_> =
            self.prove(database, now).await?.into_iter().map(|fault: Fault| fault.key_id).collect();
        let others: Vec<_> = counted.keys().filter(|key_id| !self.has(key_id)).cloned().collect();
        let ids: Vec<_> = self.key_ids().map(str::to_owned).chain(others).collect();
        let mut usages = Vec::new();
        for key_id in ids {
            let found = counted.remove(&key_id).unwrap_or_default();
            let of = |table| found.iter().find(|count| count.table == table).copied();
            let none = |table| Count { table, rows: 0, until: None };
            let counts = ALL.iter().map(|table| of(table.name).unwrap_or_else(|| none(table.name))).collect();
            let unopened = if each { Some(self.unopened(database, &key_id).await?) } else { None };
            usages.push(Usage {
                is_configured: self.has(&key_id),
                seals: self.sealing_key() == key_id,
                counts,
                opens: !closed.contains(&key_id) && unopened.is_none_or(|rows| rows == 0),
                unopened,
                key_id,
            });
        }
        Ok(usages)
    }

    /// How many of a key's rows it doesn't open. Links that are over are still there for a while, and count no more: of
    /// their table the proof says enough.
    async fn unopened(&self, database: &Database, key_id: &str) -> Result<i64, Error> {
        let mut unopened = 0;
        for table in ALL.iter().filter(|table| table.ends.is_none()) {
            let mut after = (String::new(), String::new());
            loop {
                let rows: Vec<Row> = sql(page(table))
                    .bind(key_id)
                    .bind(&after.0)
                    .bind(&after.1)
                    .fetch_all(database)
                    .await
                    .map_err(StoreError::from)?;
                let Some(last) = rows.last() else { break };
                after = (last.2.clone(), last.3.clone());
                unopened += rows.iter().filter(|row| self.open_row(table, row).is_err()).map(|_| 1).sum::<i64>();
            }
        }
        Ok(unopened)
    }
}
