//! Sealing rows anew under the first key, while other nodes work with them.
//!
//! A batch is one short transaction. It locks the rows that it takes and passes over those that others work on, so that it
//! waits for nobody while it holds them; a row is replaced only as long as its bytes are those that were opened. Each
//! seal has a nonce of its own: a token that was replaced meanwhile has other bytes, and stays. Interrupted at any point,
//! the rows that are left are those of the other keys, and the next run finds them.

use std::time::{Duration, Instant};

use engine::{Database, sql};

use super::{
    Vault,
    tables::{ALL, Row, SealedTable},
};
use crate::Error;

/// How many rows a transaction seals anew: their owners wait for a few milliseconds at most.
const BATCH_ROWS: usize = 64;
/// How often all tables are gone through again for rows that came or were locked meanwhile.
const PASSES: u32 = 20;
/// How long it waits between two passes.
const PASS_INTERVAL: Duration = Duration::from_millis(250);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that were sealed anew.
    pub rows: u64,
    /// Rows that are left, because no configured key opens them.
    pub unopened: i64,
    /// Rows that came under an older key all the time: another node still seals with it.
    pub coming: i64,
}

/// A page of a key's rows in their order: parameters are the key's id and the last row's values.
pub(super) fn page(table: &SealedTable) -> String {
    let (key_id, (one, two)) = (table.key_id, table.pair());
    let order = if two == "''" { one.to_owned() } else { format!("{one}, {two}") };
    let select = table.select();
    format!("{select} WHERE {key_id} = $1 AND ({one}, {two}) > ($2, $3) ORDER BY {order} LIMIT {BATCH_ROWS}")
}

/// The tables whose rows can be sealed anew.
fn tables() -> impl Iterator<Item = &'static SealedTable> {
    ALL.into_iter().filter(|table| table.ends.is_none())
}

impl Vault {
    /// How many rows are sealed under another key than the first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outdated(&self, database: &Database) -> Result<i64, Error> {
        let mut outdated = 0;
        for table in tables() {
            let first = self.sealing_key();
            outdated += sql(format!("SELECT count(*) FROM {} WHERE {} <> $1", table.name, table.key_id))
                .bind(first)
                .scalar::<i64>(database)
                .await?;
        }
        Ok(outdated)
    }

    /// Seals all rows anew that are sealed under another key than the first. `progress` is called with the number of rows
    /// that were sealed anew since the last call.
    ///
    /// # Errors
    /// When the database fails; what was done until then stays.
    pub async fn reseal(&self, database: &Database, progress: &(dyn Fn(u64) + Sync)) -> Result<Resealed, Error> {
        let (mut rows, mut pass) = (0, 0);
        loop {
            let mut unopened = 0;
            for table in tables() {
                for (key_id, known) in self.older_keys(database, table).await? {
                    if !self.has(&key_id) {
                        unopened += known;
                        continue;
                    }
                    let mut after = (String::new(), String::new());
                    loop {
                        let begun = Instant::now();
                        let batch = self.reseal_batch(database, table, &key_id, &mut after).await?;
                        if batch.read == 0 {
                            break;
                        }
                        rows += batch.sealed;
                        unopened += batch.unopened;
                        progress(batch.sealed);
                        // The others have half of the time: SQLite lets one write at once, and those who wait look
                        // only now and then.
                        tokio::time::sleep(begun.elapsed()).await;
                    }
                }
            }
            let left = self.outdated(database).await?;
            pass += 1;
            if left <= unopened || pass == PASSES {
                return Ok(Resealed { rows, unopened, coming: (left - unopened).max(0) });
            }
            tokio::time::sleep(PASS_INTERVAL).await;
        }
    }

    /// The ids of other keys than the first that a table's rows need, and how many rows.
    async fn older_keys(&self, database: &Database, table: &SealedTable) -> Result<Vec<(String, i64)>, Error> {
        let (name, key_id) = (table.name, table.key_id);
        let select =
            format!("SELECT {key_id}, count(*) FROM {name} WHERE {key_id} <> $1 GROUP BY {key_id} ORDER BY {key_id}");
        Ok(sql(select).bind(self.sealing_key()).fetch_all(database).await?)
    }

    async fn reseal_batch(
        &self,
        database: &Database,
        table: &SealedTable,
        key_id: &str,
        after: &mut (String, String),
    ) -> Result<Batch, Error> {
        let (one, two) = table.pair();
        let update = format!(
            "UPDATE {} SET {key} = $1, {sealed} = $2 WHERE {one} = $3 AND {two} = $4 AND {key} = $5 AND {sealed} = $6",
            table.name,
            key = table.key_id,
            sealed = table.sealed,
        );
        let mut batch = Batch::default();
        let mut tx = database.begin().await?;
        let rows: Vec<Row> = sql(format!("{}{}", page(table), database.dialect().skip_locked()))
            .bind(key_id)
            .bind(&after.0)
            .bind(&after.1)
            .fetch_all(&mut tx)
            .await?;
        for row in rows {
            batch.read += 1;
            *after = (row.2.clone(), row.3.clone());
            let Ok(secret) = self.open_row(table, &row) else {
                batch.unopened += 1;
                continue;
            };
            let sealed = self.seal(&secret, &table.bound_to_row(&row))?;
            let (old_key, old_bytes, one, two) = row;
            batch.sealed += sql(update.clone())
                .bind(&sealed.key_id)
                .bind(&sealed.bytes)
                .bind(&one)
                .bind(&two)
                .bind(&old_key)
                .bind(&old_bytes)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(batch)
    }
}

#[derive(Debug, Default)]
struct Batch {
    read: usize,
    sealed: u64,
    unopened: i64,
}
