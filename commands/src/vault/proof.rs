//! The proof that the ring opens what is sealed: some rows of each key id are opened, in each table.
//!
//! Cheap enough to be asked while the program runs: a few reads of an index for each key id. Of a key's rows in a table the
//! first and the last are opened; should another key have taken over its id at some time, they differ.

use std::fmt;

use chrono::{DateTime, Utc};
use engine::{Database, sql};

use super::{
    Sealed, Vault,
    tables::{ALL, Count, Row, SealedTable},
};
use crate::Error;

/// A key id whose rows can't be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The id.
    pub key_id: String,
    /// Whether the ring has a key of this id, which then is another key.
    pub is_configured: bool,
    /// The tables in which it has rows that can't be opened, and how many it has there.
    pub counts: Vec<Count>,
}

/// As one sentence, without keys and without a full stop.
#[derive(Debug)]
pub struct Sentence<'a>(pub &'a [Fault]);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key_id;
        let (links, rows): (Vec<&Count>, Vec<&Count>) = self.counts.iter().partition(|count| count.until.is_some());
        let listed = |counts: &[&Count]| {
            let each: Vec<_> = counts.iter().map(|count| format!("{} {}", count.table, count.rows)).collect();
            each.join(", ")
        };
        let ends = links.iter().filter_map(|count| count.until).max();
        let accounts: i64 = links.iter().map(|count| count.rows).sum();
        match (self.is_configured, ends) {
            (true, _) => write!(
                f,
                "the key configured as {key} does not open what was sealed under that id ({}): give vault.keys the {key} \
                 that belongs to this database",
                listed(&self.counts.iter().collect::<Vec<_>>())
            ),
            (false, Some(ends)) if rows.is_empty() => write!(
                f,
                "no key {key} is configured, and it signed reconnect links (of {accounts} accounts) that work until {}: \
                 put it into vault.keys, behind the first, until then, or let these links die with \
                 `relight keys revoke-links {key}`",
                ends.format("%Y-%m-%d")
            ),
            (false, _) => write!(
                f,
                "no key {key} is configured, and rows are sealed under it ({}). If it is the new key, restart this node with \
                 it; if it is an old one, put it into vault.keys, behind the first, \
                 run `relight keys reseal`, and drop it once `relight keys status` shows no rows of it",
                listed(&rows)
            ),
        }
    }
}

impl Vault {
    /// Opens rows of each key id in each table. The answer is empty if all could be opened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prove(&self, database: &Database, now: DateTime<Utc>) -> Result<Vec<Fault>, Error> {
        let mut faults: Vec<Fault> = Vec::new();
        for table in ALL {
            let mut after = String::new();
            while let Some(first) = first(database, table, &after, now).await? {
                after.clone_from(&first.0);
                let opened = self.open_row(table, &first).is_ok()
                    && match last(database, table, &after, now).await? {
                        Some(last) => self.open_row(table, &last).is_ok(),
                        None => true,
                    };
                if opened {
                    continue;
                }
                let count = count(database, table, &after, now).await?;
                match faults.iter_mut().find(|fault| fault.key_id == after) {
                    Some(fault) => fault.counts.push(count),
                    None => faults.push(Fault {
                        is_configured: self.has(&after),
                        key_id: after.clone(),
                        counts: vec![count],
                    }),
                }
            }
        }
        Ok(faults)
    }

    pub(super) fn open_row(&self, table: &SealedTable, row: &Row) -> Result<Vec<u8>, Error> {
        let sealed = Sealed { key_id: row.0.clone(), bytes: row.1.clone() };
        self.open(&sealed, &table.bound_to_row(row))
    }
}

/// A row of the next key id after one.
async fn first(
    database: &Database,
    table: &SealedTable,
    after: &str,
    now: DateTime<Utc>,
) -> Result<Option<Row>, sqlx::Error> {
    let (key_id, (one, two), counts) = (table.key_id, table.pair(), table.counts());
    let two = if two == "''" { String::new() } else { format!(", {two}") };
    sql(format!("{} WHERE {counts} AND {key_id} > $2 ORDER BY {key_id}, {one}{two} LIMIT 1", table.select()))
        .bind(now)
        .bind(after)
        .fetch_optional(database)
        .await
}

/// A key's last row.
async fn last(
    database: &Database,
    table: &SealedTable,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<Row>, sqlx::Error> {
    let (key_id, (one, _), counts) = (table.key_id, table.pair(), table.counts());
    sql(format!("{} WHERE {counts} AND {key_id} = $2 ORDER BY {one} DESC LIMIT 1", table.select()))
        .bind(now)
        .bind(key)
        .fetch_optional(database)
        .await
}

/// How many rows of a table a key has.
async fn count(
    database: &Database,
    table: &'static SealedTable,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Count, Error> {
    let counted = super::usage::counts_of(database, table, now).await?;
    let found = counted.into_iter().find(|(key_id, _)| key_id == key);
    Ok(found.map_or(Count { table: table.name, rows: 0, until: None }, |(_, count)| count))
}
