//! A runner keeps one projection up to date with the journal.
//!
//! A runner locks its checkpoint's row, reads what is new, folds it in memory, writes each changed row once and stores its
//! checkpoint, all in one transaction: an event counts exactly once, whatever crashes. The further it is behind, the more
//! it folds at once. With several nodes, whoever has the lock works. An event that can't be applied stops its projection,
//! loudly and for good: nothing is ever skipped.

use std::{collections::HashSet, mem::replace, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    checkpoint::Checkpoint,
    projection::{Projection, Target},
    reaction,
};
use crate::{Decoded, Entry, Store, StoreError, Tx, sql};

/// How many events are read at once.
const READ: i64 = 10_000;
/// How many are folded into one transaction at most: the more, the fewer rows are written, for each once…
pub(super) const BATCH: i64 = 500_000;
/// …and of how many aggregates, which is what takes memory.
const AGGREGATES: usize = 50_000;
/// How long a runner sleeps at most when nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);
/// How long a runner waits for another node that has the lock.
pub(super) const TURN: Duration = Duration::from_millis(20);

/// Runs one projection.
pub(super) struct Runner<P> {
    pub(super) store: Store,
    pub(super) projection: Arc<P>,
    target: Target,
    start: Start,
    batch: i64,
    pub(super) reached: watch::Sender<i64>,
}

/// Where a projection begins that has no checkpoint yet.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// At the first event.
    First,
    /// After the last one.
    Now,
}

/// What one step came to.
pub(super) enum Step {
    /// There may be more.
    More,
    /// The projection is up to date, or it stopped for good.
    Wait,
    /// Another node works on it.
    Busy,
    /// An event of the batch can't be applied.
    Poisoned { position: i64, failure: String },
}

impl<P: Projection> Runner<P> {
    pub(super) const VERSION: i64 = P::VERSION as i64;

    pub(super) async fn run(&self) {
        let mut woken = self.store.wake().listen();
        let mut limit = self.batch;
        loop {
            woken.mark_unchanged();
            match self.step(limit).await {
                Ok(Step::More) => {}
                Ok(Step::Busy) => {
                    tokio::time::sleep(TURN).await;
                }
                Ok(Step::Wait) => {
                    limit = self.batch;
                    let _ = tokio::time::timeout(LOOK, woken.changed()).await;
                }
                // Fewer at a time bring the view up to just before the event that can't be applied.
                Ok(Step::Poisoned { .. }) if limit > 1 => limit = (limit / 10).max(1),
                Ok(Step::Poisoned { position, failure }) => {
                    tracing::error!(
                        projection = P::NAME,
                        version = Self::VERSION,
                        position,
                        failure,
                        "a projection stopped: this event can't be applied"
                    );
                    if let Err(error) =
                        Checkpoint::stop_at(&self.store, (&self.name(), Self::VERSION), position, &failure).await
                    {
                        tracing::warn!(projection = P::NAME, %error, "the stop could not be recorded");
                        tokio::time::sleep(LOOK).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(projection = P::NAME, %error, "the database failed a projection; it tries again");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Of a view's tables of one kind.
    pub(super) fn of_view(store: &Store, projection: &Arc<P>, target: Target) -> Self {
        let (reached, _) = watch::channel(0);
        let (store, projection) = (store.clone(), projection.clone());
        Self { store, projection, target, start: Start::First, batch: BATCH, reached }
    }

    /// Of a reaction.
    pub(super) fn of_reaction(store: &Store, reaction: &Arc<P>) -> Self {
        Self { start: Start::Now, batch: reaction::BATCH, ..Self::of_view(store, reaction, Target::Serving) }
    }

    /// Its name in the checkpoints.
    pub(super) fn name(&self) -> String {
        self.target.table(P::NAME)
    }

    /// How far it is, as it knows.
    pub(super) fn reached(&self) -> i64 {
        *self.reached.borrow()
    }

    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            match self.step(self.batch).await? {
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
    pub(super) async fn step(&self, limit: i64) -> Result<Step, StoreError> {
        // Without being told that there is more, it looks without a lock: an idle runner holds up nobody's writes.
        let told = *self.store.wake().listen().borrow() > *self.reached.borrow();
        if !told && (self.look().await? || self.store.head().await? <= *self.reached.borrow()) {
            return Ok(Step::Wait);
        }
        let database = self.store.database();
        let mut tx = database.begin().await?;
        let locked: Option<(i64, String)> = sql(format!(
            "SELECT position, {} FROM checkpoints WHERE name = $1 AND version <= $2 AND failed_position IS NULL{}",
            database.dialect().unhurried(),
            database.dialect().skip_locked()
        ))
        .bind(self.name())
        .bind(Self::VERSION)
        .fetch_optional(&mut tx)
        .await?;
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
    pub(super) async fn advance(
        &self,
        tx: &mut Tx,
        position: i64,
        limit: i64,
    ) -> Result<Result<i64, Step>, StoreError> {
        let mut fold = P::Fold::default();
        let mut loaded = HashSet::new();
        let (mut last, mut poisoned) = (position, None);
        let (at_once, until) = (limit.min(READ), position.saturating_add(limit));
        let mut ahead = None;
        while last < until && loaded.len() < AGGREGATES {
            let mut entries = match &mut ahead {
                None => self.store.entries_within::<P::Event>(tx, last, at_once).await?,
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
            let failure = |(index, entry): (usize, &Entry<Decoded<P::Event>>)| {
                Some((index, Step::Poisoned { position: entry.position, failure: entry.event.failure()? }))
            };
            if let Some((index, failed)) = entries.iter().enumerate().find_map(failure) {
                poisoned = Some(failed);
                entries.truncate(index);
            }
            last = entries.last().map_or(last, |entry| entry.position);
            self.load(&mut fold, tx, &mut loaded, &entries).await?;
            for Entry { position, aggregate_id, at, event } in entries {
                if let Decoded::Event(event) = event {
                    self.projection.apply(&mut fold, &Entry { position, aggregate_id, at, event });
                }
            }
            if poisoned.is_some() || !full {
                break;
            }
        }
        if last == position {
            return Ok(poisoned.map_or(Ok(last), Err));
        }
        match self.projection.save(fold, tx, self.target).await {
            Ok(()) => {}
            Err(StoreError::Database(error)) if !is_refused(&error) => return Err(error.into()),
            Err(error) => return Ok(Err(Step::Poisoned { position: last, failure: error.to_string() })),
        }
        sql("UPDATE checkpoints SET position = $1 WHERE name = $2")
            .bind(last)
            .bind(self.name())
            .execute(&mut *tx)
            .await?;
        Ok(Ok(last))
    }

    /// Loads what the fold needs of the aggregates that the batch hasn't named yet.
    async fn load(
        &self,
        fold: &mut P::Fold,
        tx: &mut Tx,
        loaded: &mut HashSet<String>,
        entries: &[Entry<Decoded<P::Event>>],
    ) -> Result<(), StoreError> {
        let mine = entries.iter().filter(|entry| matches!(entry.event, Decoded::Event(_)));
        let mut missing: Vec<_> = mine.map(|entry| entry.aggregate_id.as_str()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|id| !loaded.contains(*id));
        self.projection.load(fold, tx, self.target, &missing).await?;
        loaded.extend(missing.into_iter().map(str::to_owned));
        Ok(())
    }

    /// Takes over how far the projection is, whoever brought it there. Whether there is nothing for it to do: it has stopped
    /// for good, a newer program took it over, or the rebuild is over.
    async fn look(&self) -> Result<bool, StoreError> {
        let checkpoint = match Checkpoint::of(&self.store, &self.name()).await? {
            None if self.target == Target::Serving => self.begin().await?,
            None => return Ok(true),
            Some(checkpoint) => checkpoint,
        };
        self.reached.send_if_modified(|reached| replace(reached, checkpoint.position) != checkpoint.position);
        Ok(checkpoint.failed_position.is_some() || checkpoint.version > Self::VERSION)
    }

    /// Makes its checkpoint, unless there is one.
    pub(super) async fn begin(&self) -> Result<Checkpoint, StoreError> {
        if let Start::Now = self.start {
            Checkpoint::begin_at_the_end(self.store.database(), &self.name(), Self::VERSION).await?;
        }
        Checkpoint::begin(&self.store, &self.name(), Self::VERSION).await
    }
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
