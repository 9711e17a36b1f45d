//! What a rebuild does in parts, each in a transaction of its own, so that others write between.

use super::projection::{Projection, Target};
use crate::{StoreError, Tx, jobs, sql};

/// The jobs of how many keys are taken over in one transaction.
const RANGE: usize = 5_000;

/// How far the jobs have been taken over: those of so many keys after others, each time in a transaction of its own.
#[derive(Debug, Clone)]
pub(super) struct Taking {
    /// How far both were when the first of them were taken over; `None`: none were yet.
    since: Option<i64>,
    /// All keys up to this one were taken over; `None`: all were.
    after: Option<String>,
    /// Keys with events since, which come again.
    again: Vec<String>,
}

impl Taking {
    pub(super) const fn from_the_first() -> Self {
        Self { since: None, after: Some(String::new()), again: Vec::new() }
    }

    /// The keys whose jobs are to be taken over next, and whether they are the last. Both have reached `reached`.
    pub(super) async fn next(
        &mut self,
        tx: &mut Tx,
        kinds: &[&str],
        reached: i64,
    ) -> Result<(Vec<String>, bool), StoreError> {
        let since = *self.since.get_or_insert(reached);
        if let Some(after) = &mut self.after {
            let keys = jobs::keys_after(tx, kinds, after, RANGE).await?;
            match keys.last() {
                Some(last) => after.clone_from(last),
                None => self.after = None,
            }
            return Ok((keys, false));
        }
        if self.again.is_empty() {
            let keys = with_events_after(tx, since).await?;
            if keys.len() <= RANGE {
                return Ok((keys, true));
            }
            (self.again, self.since) = (keys, Some(reached));
        }
        let rest = self.again.len().saturating_sub(RANGE);
        Ok((self.again.split_off(rest), false))
    }
}

/// How far what stands beside has been removed: a part in each transaction, others write between.
pub(super) struct Emptying {
    tables: usize,
    /// The jobs of all keys up to this one are gone; `None`: none was looked at.
    after: Option<String>,
}

impl Emptying {
    pub(super) const fn from_the_first() -> Self {
        Self { tables: 0, after: None }
    }

    /// Removes the next part; whether nothing was left.
    pub(super) async fn next<P: Projection>(&mut self, tx: &mut Tx) -> Result<bool, StoreError> {
        while let Some(table) = P::TABLES.get(self.tables) {
            self.tables += 1;
            let beside = Target::Beside.table(table);
            if sql(format!("SELECT EXISTS (SELECT 1 FROM {beside})")).scalar(&mut *tx).await? {
                sql(tx.dialect().empty(&beside)).execute(&mut *tx).await?;
                return Ok(false);
            }
        }
        if P::JOBS.is_empty() || self.after.is_none() && jobs::empty_at_once(tx, &Target::Beside.table(P::NAME)).await?
        {
            return Ok(true);
        }
        self.after = jobs::empty_after(tx, P::JOBS, self.after.as_deref().unwrap_or_default()).await?;
        Ok(self.after.is_none())
    }
}

/// The aggregates that have events after a position.
async fn with_events_after(tx: &mut Tx, position: i64) -> Result<Vec<String>, StoreError> {
    let ids = sql("SELECT DISTINCT aggregate_id FROM events WHERE position > $1 ORDER BY aggregate_id");
    Ok(ids.bind(position).scalars(tx).await?)
}
