//! A worker's way through the queue.
//!
//! On PostgreSQL, what was done leaves dead entries at the front of the index until a vacuum passes, and each claim would
//! walk over them all. So a worker begins where its last claim ended, and looks at the whole queue in between, as often as
//! that costs little: what came with an earlier due time waits for that, a second at most.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use engine::{Connection, Database, StoreError, sql};
use tokio::sync::Mutex as AsyncMutex;

use super::{
    Claimed, Priority,
    claim::{self, Class, Row},
};

/// What has been due for this long goes before first priority, as far as [`reserved`] says: nobody waits for ever.
const AGED: TimeDelta = TimeDelta::minutes(5);

/// How much of a claim is for what has waited too long.
fn reserved(limit: u32) -> u32 {
    (limit / 4).max(1)
}

/// A class whose work has been due for this long is behind.
const BEHIND: TimeDelta = TimeDelta::seconds(2);

/// Looking at the whole queue takes no more of the time than one part in so many.
const WHOLE_SHARE: u32 = 10;
/// And is done at least this often.
const WHOLE_EVERY: Duration = Duration::from_secs(1);

/// How much can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// At most, all together.
    pub all: u32,
    /// At most of what nobody waits for.
    pub normal: u32,
}

impl Room {
    /// The same for whatever is due.
    pub const fn of(all: u32) -> Self {
        Self { all, normal: all }
    }
}

/// Claims for one node, and remembers how far it has come.
#[derive(Debug)]
pub struct Worker {
    database: Database,
    node: String,
    own: AsyncMutex<Connection>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When what was claimed last was due, by the number of its priority: what was due before is claimed, or came since.
    reached: [DateTime<Utc>; Priority::ALL.len()],
    /// When the whole queue was looked at, and how long that took.
    whole: Option<(Instant, Duration)>,
}

impl Worker {
    /// A worker; nobody else has its `node` as a name.
    pub fn new(database: &Database, node: impl Into<String>) -> Self {
        let own = AsyncMutex::new(Connection::with(claim::PLANNER));
        Self { database: database.clone(), node: node.into(), own, seen: Mutex::default() }
    }

    /// Claims what is due: first priority first, but a share of each claim for what has waited too long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, now: DateTime<Utc>, room: Room) -> Result<Vec<Claimed>, StoreError> {
        let class = |priority, until, most, after| Class { priority, until, most, after };
        let aged = reserved(room.all).min(room.normal);
        // Those that have waited too long are the first of their class again, after first priority.
        let classes = [
            class(Priority::Normal, now - AGED, aged, None),
            class(Priority::First, now, room.all, None),
            class(Priority::Normal, now, room.normal, Some(0)),
        ];
        self.take(&classes, room.all).await
    }

    /// Claims what is due by the clock alone, and takes no call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_clock(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        self.take_one(Priority::Clock, now, limit).await
    }

    /// Claims what people are to be told; that waits while the clock's class is behind, for both write a lot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_notices(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        if claim::waits(&self.database, Priority::Clock, now - BEHIND).await? {
            return Ok(Vec::new());
        }
        self.take_one(Priority::Notice, now, limit).await
    }

    /// Gives everything back that was claimed and not completed, as it was: the worker stops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&self) -> Result<u64, StoreError> {
        Ok(sql("UPDATE work_v1 SET lease = NULL, leased_until = NULL WHERE lease LIKE $1 || ':%'")
            .bind(&self.node)
            .execute(&self.database)
            .await?)
    }

    async fn take_one(&self, priority: Priority, until: DateTime<Utc>, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        self.take(&[Class { priority, until, most: limit, after: None }], limit).await
    }

    async fn take(&self, classes: &[Class], limit: u32) -> Result<Vec<Claimed>, StoreError> {
        let (is_whole, reached) = self.seen().next_look();
        let from = |priority: Priority| if is_whole { DateTime::UNIX_EPOCH } else { reached[priority.index()] };
        let mut own = self.own.lock().await;
        let begun = Instant::now();
        let (lease, rows) = claim::take(&self.database, &mut own, &self.node, classes, limit, from).await?;
        self.seen().note(&rows, is_whole.then(|| begun.elapsed()));
        rows.into_iter().map(|row| row.claimed(&lease)).collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether the next look is at the whole queue; if not, where it begins.
    fn next_look(&self) -> (bool, [DateTime<Utc>; Priority::ALL.len()]) {
        let is_whole = self.whole.is_none_or(|(at, took)| at.elapsed() >= (took * WHOLE_SHARE).min(WHOLE_EVERY));
        (is_whole, self.reached)
    }

    /// The rows come in the order in which they are due; where they are of old, the next look begins there again.
    fn note(&mut self, rows: &[Row], whole: Option<Duration>) {
        if let Some(took) = whole {
            self.whole = Some((Instant::now(), took));
        }
        for row in rows {
            self.reached[row.priority.index()] = row.due_at;
        }
    }
}
