//! What becomes of a claimed job: done, due again, tried again later.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::{Held, Priority, lock};
use crate::{Bulk, Dialect, StoreError, Tx};

/// How often an urgent job is tried before it stands in line with the others.
const URGENT_TRIES: i64 = 3;

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is over.
    Done,
    /// It is over until this time; `None`: until it is scheduled again.
    Next(Option<DateTime<Utc>>),
    /// It failed, and is tried again.
    Retry {
        /// When.
        at: DateTime<Utc>,
        /// Why, as people read it.
        why: String,
        /// From now on it has normal priority; without it an urgent job has a few tries first.
        in_line: bool,
    },
    /// It was not tried, and is due later.
    Postpone {
        /// When.
        at: DateTime<Utc>,
        /// Why, as people read it.
        why: String,
    },
    /// It can't be done by anybody, for this reason: it stays, and isn't due until it is scheduled again.
    SetAside(String),
    /// It is given up.
    Discard(String),
}

impl End {
    /// Whether the job's row goes.
    const fn is_last(&self) -> bool {
        matches!(self, Self::Done | Self::Discard(_))
    }

    const fn due_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Done | Self::SetAside(_) | Self::Discard(_) => None,
            Self::Next(at) => *at,
            Self::Retry { at, .. } | Self::Postpone { at, .. } => Some(*at),
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::Done | Self::Next(_) => None,
            Self::Retry { why, .. } | Self::Postpone { why, .. } | Self::SetAside(why) | Self::Discard(why) => {
                Some(why)
            }
        }
    }

    /// After how many failures an urgent job gets normal priority; `None`: its priority stays.
    const fn urgent_tries(&self) -> i64 {
        match self {
            Self::Next(_) | Self::Retry { in_line: true, .. } => 0,
            Self::Retry { .. } => URGENT_TRIES,
            Self::Postpone { .. } | Self::SetAside(_) | Self::Done | Self::Discard(_) => i64::MAX,
        }
    }
}

/// Proof that a job was held when it was ended, in the same transaction: its result may be stored.
#[derive(Debug)]
#[must_use = "it says that the result may be stored"]
pub struct Ended(());

impl Held {
    /// Ends the job in the transaction that stores its result. `None`: the lease has ended, and nothing may be stored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end(&self, tx: &mut Tx, end: End) -> Result<Option<Ended>, StoreError> {
        Ok(super::end(tx, &[(self, end)]).await?.pop().flatten())
    }
}

/// Ends jobs in the transaction that stores their results. For each: `None` if its lease has ended, so that its result
/// must not be stored.
///
/// # Errors
/// When the database fails.
pub async fn end(tx: &mut Tx, ends: &[(&Held, End)]) -> Result<Vec<Option<Ended>>, StoreError> {
    let held = end_held(tx, ends).await?;
    Ok(held.into_iter().map(|held| held.then_some(Ended(()))).collect())
}

/// The same; for each, whether it was held. A job that is ended twice, under leases of two claims, is ended in two turns.
pub(crate) async fn end_held(tx: &mut Tx, ends: &[(&Held, End)]) -> Result<Vec<bool>, sqlx::Error> {
    let mut seen = HashSet::new();
    let (first, again): (Vec<usize>, Vec<usize>) =
        (0..ends.len()).partition(|index| seen.insert((&ends[*index].0.kind, &ends[*index].0.key)));
    if again.is_empty() {
        return end_each(tx, ends).await;
    }
    let mut all = vec![false; ends.len()];
    for turn in [first, again] {
        let of_turn: Vec<_> = turn.iter().map(|index| ends[*index].clone()).collect();
        let held = Box::pin(end_held(tx, &of_turn)).await?;
        turn.into_iter().zip(held).for_each(|(index, held)| all[index] = held);
    }
    Ok(all)
}

/// Ends jobs, each of which is named once.
async fn end_each(tx: &mut Tx, ends: &[(&Held, End)]) -> Result<Vec<bool>, sqlx::Error> {
    let (last, others): (Vec<_>, Vec<_>) = ends.iter().partition(|(_, end)| end.is_last());
    if ends.len() > 1 {
        lock(tx, ends.iter().map(|(held, _)| held.key.as_str())).await?;
    }
    let normal = Priority::Normal.number();
    let update = |rows: &str| {
        format!(
            "UPDATE jobs SET due_at = ended.due_at, \
             priority = CASE WHEN jobs.attempts >= ended.urgent_tries THEN {normal} ELSE jobs.priority END, \
             attempts = CASE WHEN ended.is_try THEN 1 ELSE 0 END * (jobs.attempts + ended.failed), \
             last_error = ended.why, lease = NULL, leased_until = NULL FROM ({rows}) AS ended \
             WHERE jobs.kind = ended.kind AND jobs.key = ended.key AND jobs.lease = ended.lease \
             RETURNING jobs.kind, jobs.key"
        )
    };
    let dialect = tx.dialect();
    let delete = |rows: &str| match dialect {
        // Row by row along the key: SQLite would go through the whole table for a list of keys and leases.
        Dialect::Sqlite => format!(
            "DELETE FROM jobs WHERE rowid IN (SELECT jobs.rowid FROM ({rows}) AS ended CROSS JOIN jobs \
             WHERE jobs.kind = ended.kind AND jobs.key = ended.key AND jobs.lease = ended.lease) RETURNING kind, key"
        ),
        Dialect::Postgres => format!(
            "DELETE FROM jobs USING ({rows}) AS ended WHERE jobs.kind = ended.kind AND jobs.key = ended.key \
             AND jobs.lease = ended.lease RETURNING jobs.kind, jobs.key"
        ),
    };
    let mut held: HashSet<(String, String)> = HashSet::new();
    let rows = keys(&others)
        .time("due_at", others.iter().map(|(_, end)| end.due_at()))
        .int("urgent_tries", others.iter().map(|(_, end)| end.urgent_tries()))
        .bool("is_try", others.iter().map(|(_, end)| !matches!(end, End::Next(_))))
        .int("failed", others.iter().map(|(_, end)| i64::from(matches!(end, End::Retry { .. }))))
        .text("why", others.iter().map(|(_, end)| end.why()));
    held.extend(rows.fetch_all::<(String, String)>(&mut *tx, update).await?);
    held.extend(keys(&last).fetch_all::<(String, String)>(&mut *tx, delete).await?);
    for (job, end) in &last {
        if let (End::Discard(why), true) = (end, held.contains(&(job.kind.clone(), job.key.clone()))) {
            tracing::warn!(kind = job.kind, key = job.key, why, "a job is given up");
        }
    }
    let was_held = |(job, _): &(&Held, End)| held.contains(&(job.kind.clone(), job.key.clone()));
    Ok(ends.iter().map(was_held).collect())
}

fn keys<'a>(ends: &[&'a (&'a Held, End)]) -> Bulk<'a> {
    Bulk::new()
        .text("kind", ends.iter().map(|(held, _)| held.kind.as_str()))
        .text("key", ends.iter().map(|(held, _)| held.key.as_str()))
        .text("lease", ends.iter().map(|(held, _)| &*held.lease))
}
