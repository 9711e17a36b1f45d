//! Group append: units under way share one statement and one commit.
//!
//! A use case hands its unit over and waits for the answer of its own commit. One task a node takes whatever is waiting,
//! at most one unit a stream, writes it together, and answers each. A conflict costs only those who conflict: the heads
//! are read once, the losers answered, the rest sent again. A caller that goes away changes nothing: what was handed over
//! is committed once or refused.

mod sql;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem::take,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    CommitError, Committed, Database, away,
    cache::Cache,
    connection::Connection,
    unit::{NewEvent, Submission},
    wake::Wake,
};
use sql::Failure;

/// How far streams have come.
type Heads = HashMap<(String, String), i64>;

/// How many units may wait. When more come than the database takes, callers hear so at once instead of queueing up.
const WAITING: usize = 4_096;
/// How many units share a commit at most.
const BATCH: usize = 256;

/// A unit that waits for its commit.
#[derive(Debug)]
struct Waiting {
    unit: Submission,
    answer: oneshot::Sender<Result<Committed, CommitError>>,
}

/// The way to the task that appends. Clones are the same; the task ends with the last.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    queue: mpsc::Sender<Waiting>,
    no_room: Arc<AtomicBool>,
    _task: Arc<JoinSet<()>>,
}

impl Appender {
    pub(crate) fn start(database: Database, cache: Cache, wake: Wake) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let mut task = JoinSet::new();
        let no_room = Arc::new(AtomicBool::new(false));
        task.spawn(Task::new(database, cache, wake, no_room.clone()).run(waiting));
        Self { queue, no_room, _task: Arc::new(task) }
    }

    /// Whether the last commit found no room on the database's disk.
    pub(crate) fn found_no_room(&self) -> &AtomicBool {
        &self.no_room
    }

    /// Commits a unit.
    pub(crate) async fn append(&self, unit: Submission) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || CommitError::Unknown(Arc::new(sqlx::Error::WorkerCrashed));
        self.queue.try_send(Waiting { unit, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => CommitError::Busy,
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// The task that appends.
struct Task {
    database: Database,
    own: Connection,
    cache: Cache,
    wake: Wake,
    no_room: Arc<AtomicBool>,
    /// The last event that was acknowledged.
    last: Option<Last>,
}

/// The last event whose commit this node has acknowledged.
struct Last {
    position: i64,
    aggregate_id: String,
    sequence: i64,
}

impl Task {
    fn new(database: Database, cache: Cache, wake: Wake, no_room: Arc<AtomicBool>) -> Self {
        Self { database, own: Connection::default(), cache, wake, no_room, last: None }
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Some(next) = queue.recv().await else { return };
                waiting.push_back(next);
            }
            while waiting.len() < 2 * BATCH
                && let Ok(next) = queue.try_recv()
            {
                waiting.push_back(next);
            }
            let heads = self.commit(batch(&mut waiting)).await;
            // Who decided on a state that this batch has just changed need not ask the database to know.
            let (late, rest): (VecDeque<_>, _) =
                waiting.into_iter().partition(|waiting: &Waiting| is_late(&waiting.unit, &heads));
            waiting = rest;
            answer_all(late, &CommitError::Conflict);
        }
    }

    /// Commits a batch and answers all of it. Returns how far the streams have come by that.
    async fn commit(&mut self, mut batch: Vec<Waiting>) -> Heads {
        while !batch.is_empty() {
            if let Err(lost) = self.looks_for_the_last().await {
                answer_all(take(&mut batch), &lost);
                break;
            }
            let units: Vec<_> = batch.iter().map(|waiting| &waiting.unit).collect();
            match sql::write(&self.database, &mut self.own, &units).await {
                Ok(last) => {
                    self.no_room.store(false, Ordering::Relaxed);
                    return self.committed(batch, last);
                }
                Err(Failure::Unit(index, error)) => {
                    self.no_room.fetch_or(error.is_no_room(), Ordering::Relaxed);
                    answer_all([batch.remove(index)], &error);
                }
                Err(Failure::Conflict) => batch = self.without_losers(batch).await,
                // One of them can't be stored at all. Each alone, so that it is the only one that fails.
                Err(Failure::Refused(_)) if batch.len() > 1 => {
                    for waiting in take(&mut batch) {
                        Box::pin(self.commit(vec![waiting])).await;
                    }
                }
                Err(Failure::Refused(error) | Failure::All(error)) => {
                    self.no_room.fetch_or(error.is_no_room(), Ordering::Relaxed);
                    answer_all(take(&mut batch), &error);
                }
            }
        }
        HashMap::new()
    }

    /// After new connections were made: looks up the event that was acknowledged last. If it is gone, the cache of aggregates
    /// is cleared, and the units of the batch are answered with a conflict, so that they are decided on fresh loads.
    async fn looks_for_the_last(&mut self) -> Result<(), CommitError> {
        let connections = away::connections();
        if self.cache.is_of(connections) {
            return Ok(());
        }
        let Some(last) = &self.last else {
            // Nothing that is remembered can be looked up.
            self.cache.clear();
            self.cache.confirm(connections);
            return Ok(());
        };
        match sql::has(&self.database, last).await {
            Ok(true) => {
                self.cache.confirm(connections);
                Ok(())
            }
            Ok(false) => {
                tracing::error!(
                    event = "journal.lost",
                    position = last.position,
                    aggregate = last.aggregate_id,
                    sequence = last.sequence,
                    "an event that was acknowledged is gone: the database lost its end, or is another one"
                );
                self.cache.clear();
                self.last = None;
                Err(CommitError::Conflict)
            }
            Err(error) => Err(CommitError::Database(Arc::new(error))),
        }
    }

    /// Positions within one statement follow each other: the order's lock is held from the first to the commit.
    fn committed(&mut self, batch: Vec<Waiting>, last: Option<i64>) -> Heads {
        let events: usize = batch.iter().map(|waiting| waiting.unit.events.len()).sum();
        let mut position = last.unwrap_or(0) - i64::try_from(events).unwrap_or(0);
        let mut heads = HashMap::new();
        for Waiting { mut unit, answer } in batch {
            position += i64::try_from(unit.events.len()).unwrap_or(0);
            for (key, state) in unit.committed_states(position) {
                self.cache.keep(key, state);
            }
            let its = (!unit.events.is_empty()).then_some(position);
            if let Some(event) = unit.events.last() {
                let (aggregate_id, sequence) = (event.aggregate_id.clone(), event.sequence);
                self.last = Some(Last { position, aggregate_id, sequence });
            }
            heads.extend(unit.events.iter().map(|event| (event.stream(), event.sequence)));
            let _ = answer.send(Ok(Committed { position: its }));
        }
        if let Some(last) = last {
            self.wake.tell(last);
        }
        heads
    }

    /// Reads the heads once, answers those who are behind them, and returns the others.
    async fn without_losers(&self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let units: Vec<_> = batch.iter().map(|waiting| &waiting.unit).collect();
        // If they can't be read, or nobody is behind them (the conflict is gone already), all decide again.
        let heads = sql::heads(&self.database, &units).await.unwrap_or_default();
        let (late, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(|waiting| is_late(&waiting.unit, &heads));
        let (losers, rest) = if late.is_empty() { (rest, late) } else { (late, rest) };
        answer_all(losers, &CommitError::Conflict);
        rest
    }
}

fn answer_all(batch: impl IntoIterator<Item = Waiting>, error: &CommitError) {
    // Whoever went away doesn't hear it.
    batch.into_iter().for_each(|waiting| drop(waiting.answer.send(Err(error.clone()))));
}

/// Takes what can share a commit: at most one unit a stream, in the order in which they came.
fn batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut streams = HashSet::new();
    let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
    for next in waiting.drain(..) {
        let its: HashSet<_> = next.unit.events.iter().map(NewEvent::stream).collect();
        let fits = batch.len() < BATCH && streams.is_disjoint(&its);
        streams.extend(its);
        if fits { batch.push(next) } else { rest.push_back(next) }
    }
    *waiting = rest;
    batch
}

/// Whether one of its streams is not where the unit knew it: further, or, after a loss, not so far.
fn is_late(unit: &Submission, heads: &Heads) -> bool {
    let mut next: HashMap<_, i64> = HashMap::new();
    !heads.is_empty()
        && unit.events.iter().any(|event| {
            let stream = event.stream();
            let Some(head) = heads.get(&stream) else { return false };
            let follows = next.entry(stream).or_insert(head + 1);
            let is_late = event.sequence != *follows;
            *follows += 1;
            is_late
        })
}
