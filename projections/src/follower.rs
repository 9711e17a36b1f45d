//! A follower keeps one projection up to date with the journal.
//!
//! A follower locks its checkpoint's row, reads what is new, folds it in memory, writes each changed row once and stores its
//! checkpoint, all in one transaction: an event counts exactly once, whatever crashes. The further it is behind, the more
//! it folds at once. With several nodes, whoever has the lock works. An event that can't be applied stops its follower,
//! loudly and for good: nothing is ever skipped.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use domain::schedule::Schedule;
use engine::{Store, StoreError, Tx, autocommit, execute, read, within};
use tokio::sync::{mpsc, watch};

use crate::projection::{Projection, Target};

/// How many events are read at once.
const READ: i64 = 10_000;
/// How many are folded into one transaction at most: the more, the fewer rows are written, for each once…
pub(crate) const BATCH: i64 = 500_000;
/// …and of how many accounts, which is what takes memory.
const ACCOUNTS: usize = 50_000;
/// How long a follower sleeps at most when nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);

/// How long a follower waits for another node that has the lock.
pub(crate) const TURN: Duration = Duration::from_millis(20);

pub(crate) struct Follower<P> {
    store: Store,
    pub(crate) schedule: Arc<Schedule>,
    target: Target,
    pub(crate) reached: watch::Sender<i64>,
    projection: PhantomData<P>,
}

/// What one step came to.
pub(crate) enum Step {
    /// There may be more.
    More,
    /// The view is up to date, or it stopped for good.
    Wait,
    /// Another node works on it.
    Busy,
    /// An event of the batch can't be applied.
    Poisoned { position: i64, failure: String },
}

impl<P: Projection> Follower<P> {
    pub(crate) async fn run(&self) {
        let mut woken = self.store.wake().listen();
        let mut limit = BATCH;
        loop {
            woken.mark_unchanged();
            match self.step(limit).await {
                Ok(Step::More) => {}
                Ok(Step::Busy) => {
                    tokio::time::sleep(TURN).await;
                }
                Ok(Step::Wait) => {
                    limit = BATCH;
                    let _ = tokio::time::timeout(LOOK, woken.changed()).await;
                }
                // Fewer at a time bring the view up to just before the event that can't be applied.
                Ok(Step::Poisoned { .. }) if limit > 1 => limit = (limit / 10).max(1),
                Ok(Step::Poisoned { position, failure }) => {
                    tracing::error!(
                        projection = P::NAME,
                        version = P::VERSION,
                        position,
                        failure,
                        "a follower stopped: this event can't be applied"
                    );
                    if let Err(error) = self.stop_at(position, &failure).await {
                        tracing::warn!(projection = P::NAME, %error, "the stop could not be recorded");
                        tokio::time::sleep(LOOK).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(projection = P::NAME, %error, "the database failed a follower; it tries again");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// One that is driven by hand.
    pub(crate) fn alone(store: &Store, schedule: &Arc<Schedule>, target: Target) -> Self {
        let (reached, _) = watch::channel(0);
        Self { store: store.clone(), schedule: schedule.clone(), target, reached, projection: PhantomData }
    }

    /// Its name in the checkpoints.
    pub(crate) fn name(&self) -> String {
        self.target.table(P::NAME)
    }

    /// How far it is, as it knows.
    pub(crate) fn reached(&self) -> i64 {
        *self.reached.borrow()
    }

    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            match self.step(BATCH).await? {
                Step::More => {}
                Step::Wait => return Ok(()),
                Step::Busy => tokio::time::sleep(TURN).await,
                Step::Poisoned { position, failure } => {
                    return Err(StoreError::Unreadable(format!("position {position}: {failure}")));
                }
            }
        }
    }

    /// Folds one batch. A database that fails is an error, to be tried again; an event that can't be applied is not.
    pub(crate) async fn step(&self, limit: i64) -> Result<Step, StoreError> {
        // Without being told that there is more, it looks without a lock: an idle follower holds up nobody's writes.
        let told = *self.store.wake().listen().borrow() > *self.reached.borrow();
        if !told && (self.look().await? || self.store.head().await? <= *self.reached.borrow()) {
            return Ok(Step::Wait);
        }
        let database = self.store.database();
        let mut tx = database.begin().await?;
        let sql = format!(
            "SELECT position, {} FROM checkpoints WHERE name = $1 AND version <= $2 AND failed_position IS NULL{}",
            database.unhurried(),
            database.skip_locked()
        );
        let locked: Option<(i64, String)> = within!(&mut tx, on =>
            sqlx::query_as(&sql).bind(self.name()).bind(P::VERSION).fetch_optional(on))?;
        let Some((position, _)) = locked else {
            drop(tx);
            // How far it is, whoever brought it there.
            return Ok(if self.look().await? { Step::Wait } else { Step::Busy });
        };
        let last = match self.advance(&mut tx, position, limit).await? {
            Ok(last) if last == position => return Ok(Step::Wait),
            Ok(last) => last,
            Err(poisoned) => return Ok(poisoned),
        };
        tx.commit().await?;
        self.reached.send_replace(last);
        Ok(Step::More)
    }

    /// Folds what comes after a position in a transaction that has the checkpoint's lock; how far that went, or what
    /// can't be applied.
    pub(crate) async fn advance(
        &self,
        tx: &mut Tx,
        position: i64,
        limit: i64,
    ) -> Result<Result<i64, Step>, StoreError> {
        let mut fold = P::Fold::default();
        let (mut last, mut poisoned) = (position, None);
        let (at_once, until) = (limit.min(READ), position.saturating_add(limit));
        let mut ahead = None;
        while last < until && P::accounts(&fold) < ACCOUNTS {
            let mut entries = match &mut ahead {
                None => self.store.entries_within(tx, last, at_once).await?,
                Some(ahead) => {
                    let read: Option<Result<_, _>> = mpsc::Receiver::recv(ahead).await;
                    let Some(read) = read else { break };
                    read?
                }
            };
            let full = i64::try_from(entries.len()) == Ok(at_once);
            if let (None, true, Some(next)) = (&ahead, full, entries.last()) {
                // There is more: while this is folded, it can be read already.
                ahead = self.store.read_ahead(next.position, at_once, until);
            }
            if let Some(index) = entries.iter().position(|entry| entry.event.is_err()) {
                poisoned = entries.get(index).map(|entry| (entry.position, entry.event.clone()));
                entries.truncate(index);
            }
            P::load(&mut fold, tx, self.target, &entries).await?;
            for entry in &entries {
                if let Ok(event) = &entry.event {
                    P::apply(&mut fold, entry, event, &self.schedule);
                }
            }
            last = entries.last().map_or(last, |entry| entry.position);
            if poisoned.is_some() || !full {
                break;
            }
        }
        if last == position {
            return Ok(match poisoned {
                Some((position, Err(failure))) => Err(Step::Poisoned { position, failure }),
                _ => Ok(last),
            });
        }
        match P::save(fold, tx, self.target).await {
            Ok(()) => {}
            Err(StoreError::Database(error)) if !is_refused(&error) => return Err(error.into()),
            Err(error) => return Ok(Err(Step::Poisoned { position: last, failure: error.to_string() })),
        }
        execute!(
            &mut *tx,
            sqlx::query("UPDATE checkpoints SET position = $1 WHERE name = $2").bind(last).bind(self.name())
        )?;
        Ok(Ok(last))
    }

    /// Takes over how far the projection is, whoever brought it there. Whether there is nothing for it to do: it has stopped
    /// for good, a newer program took it over, or the rebuild is over.
    async fn look(&self) -> Result<bool, StoreError> {
        let checkpoint = match self.checkpoint().await? {
            None if self.target == Target::Serving => self.begin().await?,
            None => return Ok(true),
            Some(checkpoint) => checkpoint,
        };
        let position = checkpoint.position;
        self.reached.send_if_modified(|reached| std::mem::replace(reached, position) != position);
        Ok(checkpoint.failed_position.is_some() || checkpoint.version > P::VERSION)
    }

    /// Records that the projection stopped, for all nodes, until somebody mends it.
    async fn stop_at(&self, position: i64, failure: &str) -> Result<(), StoreError> {
        let sql = "UPDATE checkpoints SET failed_position = $1, failure = $2 WHERE name = $3 AND version <= $4";
        let name = self.name();
        autocommit!(self.store.database(), pool =>
            sqlx::query(sql).bind(position).bind(failure).bind(&name).bind(P::VERSION).execute(pool))?;
        Ok(())
    }

    /// Its checkpoint, if there is one.
    pub(crate) async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let sql = "SELECT position, version, failed_position FROM checkpoints WHERE name = $1";
        let name = self.name();
        Ok(read!(self.store.database(), pool => sqlx::query_as(sql).bind(&name).fetch_optional(pool))?)
    }

    /// Makes its checkpoint, unless there is one.
    pub(crate) async fn begin(&self) -> Result<Checkpoint, StoreError> {
        let sql = "INSERT INTO checkpoints (name, version) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let name = self.name();
        autocommit!(self.store.database(), pool => sqlx::query(sql).bind(&name).bind(P::VERSION).execute(pool))?;
        let begun = Checkpoint { position: 0, version: P::VERSION, failed_position: None };
        Ok(self.checkpoint().await?.unwrap_or(begun))
    }
}

/// How far a projection is, and which version of it made the rows: there is one for the tables that serve, and one for
/// those beside while they are rebuilt.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Checkpoint {
    pub(crate) position: i64,
    pub(crate) version: i64,
    failed_position: Option<i64>,
}

/// The database answered that a row can't be so (a CHECK, a type): trying again would not help.
fn is_refused(error: &sqlx::Error) -> bool {
    use sqlx::error::ErrorKind;
    match error {
        sqlx::Error::Database(cause) => {
            matches!(cause.kind(), ErrorKind::CheckViolation | ErrorKind::NotNullViolation | ErrorKind::UniqueViolation)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}
