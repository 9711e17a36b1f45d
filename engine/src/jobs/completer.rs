//! Ending jobs that leave nothing to store: many in one transaction.

use std::sync::Arc;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{End, Held, end_held};
use crate::{Database, Dialect, StoreError, sql};

/// How many are ended together at most.
const BATCH: usize = 1024;

/// Ends jobs that leave nothing to store. Clones are the same; its task ends with the last.
#[derive(Debug, Clone)]
pub struct Completer {
    queue: mpsc::Sender<Ending>,
    _task: Arc<JoinSet<()>>,
}

#[derive(Debug)]
struct Ending {
    held: Held,
    end: End,
    answer: oneshot::Sender<Result<bool, Arc<sqlx::Error>>>,
}

impl Completer {
    /// Starts its task.
    pub fn start(database: Database) -> Self {
        let (queue, endings) = mpsc::channel(BATCH);
        let mut task = JoinSet::new();
        task.spawn(run(database, endings));
        Self { queue, _task: Arc::new(task) }
    }

    /// Ends a job, together with others that end at this time; whether it was held.
    ///
    /// # Errors
    /// When the database fails: the job is done again when its lease ends.
    pub async fn end(&self, held: Held, end: End) -> Result<bool, StoreError> {
        let stopped = || StoreError::Database(sqlx::Error::WorkerCrashed);
        let (answer, answered) = oneshot::channel();
        self.queue.send(Ending { held, end, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?.map_err(StoreError::Append)
    }
}

async fn run(database: Database, mut queue: mpsc::Receiver<Ending>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let ended = match end_all(&database, &batch).await {
            Ok(held) => held.into_iter().map(Ok).collect(),
            Err(_) if batch.len() > 1 => end_alone(&database, &batch).await,
            Err(error) => vec![Err(Arc::new(error))],
        };
        for (Ending { answer, .. }, ended) in batch.drain(..).zip(ended) {
            // A worker that went away doesn't hear it.
            let _ = answer.send(ended);
        }
    }
}

/// Each by itself: one that the database won't have fails no other. Without a database, the first failure is that of all.
async fn end_alone(database: &Database, batch: &[Ending]) -> Vec<Result<bool, Arc<sqlx::Error>>> {
    let mut ended: Vec<Result<bool, Arc<sqlx::Error>>> = Vec::with_capacity(batch.len());
    for ending in batch {
        let is_away = |ended: &Result<bool, Arc<sqlx::Error>>| match ended {
            Err(error) if !matches!(**error, sqlx::Error::Database(_)) => Some(error.clone()),
            _ => None,
        };
        ended.push(match ended.last().and_then(is_away) {
            Some(error) => Err(error),
            None => end_all(database, std::slice::from_ref(ending)).await.map(|held| held[0]).map_err(Arc::new),
        });
    }
    ended
}

async fn end_all(database: &Database, batch: &[Ending]) -> Result<Vec<bool>, sqlx::Error> {
    let mut tx = database.begin().await?;
    if tx.dialect() == Dialect::Postgres {
        // One engine: a crash that loses the last of it costs no more than doing the jobs again.
        sql("SET LOCAL synchronous_commit TO off").execute(&mut tx).await?;
    }
    let ends: Vec<_> = batch.iter().map(|ending| (&ending.held, ending.end.clone())).collect();
    let held = end_held(&mut tx, &ends).await?;
    tx.commit().await?;
    Ok(held)
}
