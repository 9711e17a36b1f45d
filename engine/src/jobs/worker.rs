//! A worker's way through its queues.
//!
//! On PostgreSQL, ended jobs leave dead entries at the front of the index until a vacuum passes, and each claim would
//! walk over them all. So a worker begins where its last claim ended, and looks at the whole queue in between, as often as
//! that costs little: what came with an earlier due time waits for that, a second at most.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex as AsyncMutex;

use super::{
    Job, Priority,
    claim::{self, Class, Row},
    schedule::list,
};
use crate::{Connection, Database, StoreError, sql};

/// What has been due for this long goes before urgent jobs, as far as [`reserved`] says: no job waits for ever.
const AGED: TimeDelta = TimeDelta::minutes(5);

/// How much of a claim is for what has waited too long.
fn reserved(limit: u32) -> u32 {
    (limit / 4).max(1)
}

/// Looking at the whole queue takes no more of the time than one part in so many.
const WHOLE_SHARE: u32 = 10;
/// And is done at least this often.
const WHOLE_EVERY: Duration = Duration::from_secs(1);

/// How much can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// At most, all together.
    pub all: u32,
    /// At most of normal priority.
    pub normal: u32,
}

impl Room {
    /// The same for whatever is due.
    pub const fn of(all: u32) -> Self {
        Self { all, normal: all }
    }
}

/// Claims jobs for one node, on a connection of its own.
#[derive(Debug)]
pub struct Worker {
    database: Database,
    node: String,
    /// The condition that it knows a job's kind.
    among: String,
    own: AsyncMutex<Connection>,
    seen: Mutex<HashMap<String, Seen>>,
}

/// How far a worker has come in a queue.
#[derive(Debug, Default)]
struct Seen {
    /// When what was claimed last was due, urgent and normal: what was due before is claimed, or came since.
    urgent: DateTime<Utc>,
    normal: DateTime<Utc>,
    /// When the whole queue was looked at, and how long that took.
    whole: Option<(Instant, Duration)>,
}

impl Worker {
    /// A worker; no other has its `node` as a name.
    pub fn new(database: &Database, node: impl Into<String>) -> Self {
        let own = AsyncMutex::new(Connection::with(claim::PLANNER));
        Self { database: database.clone(), node: node.into(), among: String::new(), own, seen: Mutex::default() }
    }

    /// It claims jobs of these kinds alone. Others in its queues are left: those of a newer program, to its workers.
    #[must_use]
    pub fn knowing(self, kinds: impl IntoIterator<Item = &'static str>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        Self { among: format!(" AND kind IN ({})", list(&kinds)), ..self }
    }

    /// Whether a job of normal priority was due in a queue at some time, and no worker holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waits(&self, queue: &str, until: DateTime<Utc>) -> Result<bool, StoreError> {
        super::waiting::waits(&self.database, (queue, &self.among), until).await
    }

    /// Claims what is due in a queue: urgent jobs first, but a share of each claim for what has waited too long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, queue: &str, now: DateTime<Utc>, room: Room) -> Result<Vec<Job>, StoreError> {
        let class = |priority, until, most, after| Class { priority, until, most, after };
        let aged = reserved(room.all).min(room.normal);
        // Those that have waited too long are the first of their class again, after urgent ones.
        let classes = [
            class(Priority::Normal, now - AGED, aged, None),
            class(Priority::Urgent, now, room.all, None),
            class(Priority::Normal, now, room.normal, Some(0)),
        ];
        self.take(queue, &classes, room.all).await
    }

    /// Claims what is due in a queue whose jobs all have normal priority.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_in_order(&self, queue: &str, now: DateTime<Utc>, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.take(queue, &[Class { priority: Priority::Normal, until: now, most: limit, after: None }], limit).await
    }

    /// Those of some queues in which it finds what it can do, of normal priority.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_queues(&self, queues: &[&str], until: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        super::waiting::waiting_queues(&self.database, (queues, &self.among), until).await
    }

    /// Gives everything back that was claimed and not ended, as it was: the worker stops. How many jobs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&self) -> Result<u64, StoreError> {
        Ok(sql("UPDATE jobs SET lease = NULL, leased_until = NULL WHERE substr(lease, 1, length($1)) = $1")
            .bind(format!("{}:", self.node))
            .execute(&self.database)
            .await?)
    }

    async fn take(&self, queue: &str, classes: &[Class], limit: u32) -> Result<Vec<Job>, StoreError> {
        let (is_whole, urgent, normal) = self.seen().entry(queue.to_owned()).or_default().next_look();
        let from = |priority| match priority {
            _ if is_whole => DateTime::UNIX_EPOCH,
            Priority::Urgent => urgent,
            Priority::Normal => normal,
        };
        let mut own = self.own.lock().await;
        let begun = Instant::now();
        let of = (queue, self.node.as_str(), self.among.as_str());
        let (lease, rows) = claim::claim(&self.database, &mut own, of, classes, limit, from).await?;
        self.seen().entry(queue.to_owned()).or_default().note(&rows, is_whole.then(|| begun.elapsed()));
        Ok(rows.into_iter().map(|row| row.job(&lease)).collect())
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether the next look is at the whole queue; if not, where it begins.
    fn next_look(&self) -> (bool, DateTime<Utc>, DateTime<Utc>) {
        let is_whole = self.whole.is_none_or(|(at, took)| at.elapsed() >= (took * WHOLE_SHARE).min(WHOLE_EVERY));
        (is_whole, self.urgent, self.normal)
    }

    /// The rows come in the order in which they are due; where they are of old, the next look begins there again.
    fn note(&mut self, rows: &[Row], whole: Option<Duration>) {
        if let Some(took) = whole {
            self.whole = Some((Instant::now(), took));
        }
        for row in rows {
            *(if row.is_urgent() { &mut self.urgent } else { &mut self.normal }) = row.due_at;
        }
    }
}
