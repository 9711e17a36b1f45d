//! A runner keeps one projection up to date with the journal.
//!
//! A runner locks its checkpoint's row, reads what is new, folds it in memory, writes each changed row once and stores its
//! checkpoint, all in one transaction: an event counts exactly once, whatever crashes. The further it is behind, the more
//! it folds at once. With several nodes, whoever has the lock works.
//!
//! An event that can't be applied stops its aggregate alone, which is set aside ([`super::quarantine`]). Where the database
//! refuses a batch, smaller ones find out at which event.

use std::{
    any::Any,
    mem::replace,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    checkpoint::Checkpoint,
    projection::{Projection, Target},
    quarantine::{self, Culprit},
    reaction,
    transaction::Place,
};
use crate::{Store, StoreError, Tx};

/// How many events are folded into one transaction at most: the more, the fewer rows are written, for each once.
const BATCH: i64 = 500_000;
/// How many events are folded into one transaction of SQLite while others wait to write, and at first.
const SHORT: i64 = 1_000;
/// How many events fewer a batch has when the database refused it, and more when it took it.
const FACTOR: i64 = 10;
/// How long a runner sleeps at most when nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);
/// How long a runner waits for another node that has the lock.
pub(super) const TURN: Duration = Duration::from_millis(20);
/// How long no node of a newer program is waited for, after one wait in vain.
const ALONE: Duration = Duration::from_mins(5);
/// So many failures in a row are more than a database that is away for a moment.
const FAILING: u32 = 30;
/// How often it looks whether another node has passed an event.
const PASSED: Duration = Duration::from_millis(100);

/// Runs one projection.
pub(super) struct Runner<P> {
    pub(super) store: Store,
    pub(super) projection: Arc<P>,
    pub(super) target: Target,
    pub(super) start: Start,
    pub(super) reached: watch::Sender<i64>,
    pub(super) program: Arc<Program>,
    batch: i64,
    /// How many events the next transaction may have.
    pub(super) limit: i64,
    /// Somebody waited for the last transaction to end.
    pub(super) kept_waiting: bool,
    /// Where the last transaction began.
    pub(super) from: Place,
    /// Events of newer programs up to this position have waited for others, and are set aside.
    pub(super) past: i64,
    /// Until then no node of a newer program is waited for: its events are set aside at once.
    alone_until: Option<Instant>,
    /// How often the database has failed it without a pause.
    failures: u32,
    /// An event was refused alone: once more, and it is its own fault.
    refused_alone: bool,
    /// So many aggregates the journal has at least.
    aggregates: AtomicI64,
}

/// The program that runs projections.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Its name and version: what one could not apply, another one tries again.
    pub(super) name: String,
    /// How long an event of a newer program is left to other nodes.
    pub(super) patience: Duration,
}

/// Where a projection begins that has no checkpoint yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the first event.
    First,
    /// After the last one.
    Now,
}

/// What one step came to.
pub(super) enum Step {
    /// There may be more.
    More,
    /// The projection is up to date, a newer program has taken it over, or its rebuild is over.
    Wait,
    /// Another node works on it.
    Busy,
    /// The next event is of a newer program, and other nodes may be able to apply it.
    Newer(i64),
    /// It has stopped for good: too much of it can't be applied.
    Stopped { position: i64, failure: String },
}

impl<P: Projection> Runner<P> {
    pub(super) const VERSION: i64 = P::VERSION as i64;

    /// Of a view's tables of one kind.
    pub(super) fn of_view(store: &Store, projection: &Arc<P>, target: Target, program: &Arc<Program>) -> Self {
        Self {
            store: store.clone(),
            projection: projection.clone(),
            target,
            start: Start::First,
            reached: watch::channel(0).0,
            program: program.clone(),
            batch: BATCH,
            limit: if store.database().is_shared() { BATCH } else { SHORT },
            kept_waiting: false,
            from: Place::default(),
            past: 0,
            alone_until: None,
            failures: 0,
            refused_alone: false,
            aggregates: AtomicI64::new(0),
        }
    }

    /// Of a reaction.
    pub(super) fn of_reaction(store: &Store, reaction: &Arc<P>, program: &Arc<Program>) -> Self {
        let batch = reaction::BATCH;
        let view = Self::of_view(store, reaction, Target::Serving, program);
        Self { start: Start::Now, batch, limit: batch.min(view.limit), ..view }
    }

    /// Its name in the checkpoints.
    pub(super) fn name(&self) -> String {
        self.target.table(P::NAME)
    }

    /// How far it is, as it knows.
    pub(super) fn reached(&self) -> i64 {
        *self.reached.borrow()
    }

    pub(super) async fn run(mut self) {
        let mut woken = self.store.wake().listen();
        loop {
            woken.mark_unchanged();
            match self.step().await {
                Ok(Step::More) => {}
                Ok(Step::Busy) => sleep(TURN).await,
                Ok(Step::Wait | Step::Stopped { .. }) => {
                    let _ = timeout(LOOK, woken.changed()).await;
                }
                Ok(Step::Newer(position)) => {
                    if let Err(error) = self.let_others_pass(position).await {
                        self.failed(&error).await;
                    }
                }
                Err(error) => self.failed(&error).await,
            }
        }
    }

    async fn failed(&mut self, error: &StoreError) {
        self.failures += 1;
        if self.failures.is_multiple_of(FAILING) {
            let (projection, failures) = (self.name(), self.failures);
            tracing::error!(event = "projection.failing", projection, failures, %error, "a projection fails again and again");
        } else {
            tracing::warn!(projection = self.name(), %error, "the database failed a projection; it tries again");
        }
        sleep(LOOK).await;
    }

    /// Brings it up to date while nothing else runs.
    pub(super) async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            match self.step().await? {
                Step::More => {}
                Step::Wait => return Ok(()),
                Step::Busy => sleep(TURN).await,
                Step::Newer(_) => self.past = self.store.head().await?,
                Step::Stopped { position, failure } => {
                    return Err(StoreError::Projection(format!("position {position}: {failure}")));
                }
            }
        }
    }

    /// Leaves an event of a newer program to other nodes for a while. Then it is set aside, and so is what waited with it.
    async fn let_others_pass(&mut self, position: i64) -> Result<(), StoreError> {
        let (head, now) = (self.store.head().await?, Instant::now());
        let is_alone = self.alone_until.is_some_and(|until| now < until);
        let until = if is_alone { now } else { now + self.program.patience };
        while Instant::now() < until {
            match Checkpoint::of(&self.store, &self.name()).await? {
                Some(checkpoint) if checkpoint.position < position => sleep(PASSED).await,
                _ => return Ok(()),
            }
        }
        // One wait in vain is enough for a while.
        self.alone_until = Some(Instant::now() + ALONE);
        self.past = head;
        Ok(())
    }

    /// Folds one batch. A database that fails is an error, to be tried again; an event that can't be applied is not.
    pub(super) async fn step(&mut self) -> Result<Step, StoreError> {
        let refusal = match AssertUnwindSafe(self.fold()).catch_unwind().await {
            Ok(Ok(Step::More)) => {
                self.limit = match self.limit.saturating_mul(FACTOR).min(self.batch) {
                    more if more > SHORT && self.kept_waiting => SHORT,
                    more => more,
                };
                (self.refused_alone, self.failures) = (false, 0);
                return Ok(Step::More);
            }
            Ok(Ok(step)) => return Ok(step),
            Ok(Err(error)) if error.is_refusal() => error.to_string(),
            // Too much for one statement's time: less may be done in it.
            Ok(Err(error)) if error.is_timeout() && self.limit > 1 => error.to_string(),
            Ok(Err(error)) => return Err(error),
            Err(panic) => words(&*panic),
        };
        if self.limit > 1 {
            self.limit = (self.limit / FACTOR).max(1);
            return Ok(Step::More);
        }
        // What others were doing at that moment may have been in the way.
        if !replace(&mut self.refused_alone, true) {
            return Ok(Step::More);
        }
        self.set_aside(refusal).await
    }

    /// Sets aside whose event was refused when it alone was to be applied, and passes it.
    async fn set_aside(&mut self, failure: String) -> Result<Step, StoreError> {
        let mut tx = self.store.database().begin().await?;
        let locked = self.lock(&mut tx).await?;
        let culprit = match locked {
            Some(place) if place == self.from => quarantine::culprit_after(&mut tx, place.position, failure).await?,
            _ => None,
        };
        // Without one, another node was faster.
        let Some(culprit) = culprit else { return Ok(Step::More) };
        if let Some((position, too_many)) = self.put_aside(&mut tx, std::slice::from_ref(&culprit)).await? {
            drop(tx);
            return self.stop(position, too_many).await;
        }
        Checkpoint::move_to(&mut tx, &self.name(), culprit.position).await?;
        tx.commit().await?;
        self.refused_alone = false;
        self.tell(&culprit);
        self.reached.send_replace(culprit.position);
        Ok(Step::More)
    }

    /// Sets aggregates aside; if that makes too many, at which event, and a sentence about it.
    pub(super) async fn put_aside(
        &self,
        tx: &mut Tx,
        culprits: &[Culprit],
    ) -> Result<Option<(i64, String)>, StoreError> {
        quarantine::set_aside(tx, (&self.name(), &self.program.name), culprits, &self.aggregates).await
    }

    pub(super) fn tell(&self, Culprit { aggregate_id, position, failure }: &Culprit) {
        tracing::error!(
            event = "projection.quarantined",
            projection = self.name(),
            aggregate = aggregate_id,
            position,
            failure,
            "this event can't be applied: its aggregate is set aside, and all others go on"
        );
    }

    pub(super) async fn stop(&self, position: i64, failure: String) -> Result<Step, StoreError> {
        let (name, database) = (self.name(), self.store.database());
        let from = (name.as_str(), Self::VERSION, self.from.position);
        if !Checkpoint::stop(database, from, (position, &failure), &self.program.name).await? {
            // Another node has passed it.
            return Ok(Step::Busy);
        }
        tracing::error!(event = "projection.stopped", projection = name, position, failure, "a projection stopped");
        Ok(Step::Stopped { position, failure })
    }

    /// Takes over how far the projection is, whoever brought it there. A step if there is nothing for it to do.
    pub(super) async fn look(&self) -> Result<Option<Step>, StoreError> {
        let checkpoint = match Checkpoint::of(&self.store, &self.name()).await? {
            None if self.target == Target::Serving => self.begin().await?,
            None => return Ok(Some(Step::Wait)),
            Some(checkpoint) => checkpoint,
        };
        self.reached.send_if_modified(|reached| replace(reached, checkpoint.position) != checkpoint.position);
        if let Some((position, failure)) = checkpoint.failure {
            return Ok(Some(Step::Stopped { position, failure }));
        }
        Ok((checkpoint.version > Self::VERSION).then_some(Step::Wait))
    }

    /// Makes its checkpoint, unless there is one.
    pub(super) async fn begin(&self) -> Result<Checkpoint, StoreError> {
        if self.start == Start::Now {
            Checkpoint::begin_at_the_end(self.store.database(), &self.name(), Self::VERSION).await?;
        }
        Checkpoint::begin(&self.store, &self.name(), Self::VERSION).await
    }
}

/// What a panic said.
pub(super) fn words(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("it panicked: {}", said.unwrap_or_default())
}
