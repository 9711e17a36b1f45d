//! Followers: each keeps one projection up to date with the journal.
//!
//! A follower locks its checkpoint's row, reads what is new, folds it in memory, writes each changed row once and stores its
//! checkpoint, all in one transaction: an event counts exactly once, whatever crashes. The further it is behind, the more
//! it folds at once. With several nodes, whoever has the lock works. An event that can't be applied stops its follower,
//! loudly and for good: nothing is ever skipped.

use std::{marker::PhantomData, time::Duration};

use store::{Entry, Event, Store, StoreError, Tx, execute, read, within};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{account_status::AccountStatus, work::Work};

/// How many events are read at once.
const READ: i64 = 10_000;
/// How many are folded into one transaction at most.
const BATCH: i64 = 100_000;
/// How long a follower sleeps at most when nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);

/// What folds events into rows.
pub(crate) trait Projection: Send + Sync + 'static {
    /// Its name in the checkpoints.
    const NAME: &'static str;
    /// Its version: goes up when the rows' meaning changes, and then the tables have other names.
    const VERSION: i64;
    /// What a batch changes, in memory.
    type Fold: Default + Send;

    /// Loads what the fold needs to know for these events and doesn't yet.
    fn load(
        fold: &mut Self::Fold,
        tx: &mut Tx,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Folds one event. Decides nothing, asks nobody.
    fn apply(fold: &mut Self::Fold, entry: &Entry, event: &Event);

    /// Writes each row that changed, once.
    fn save(fold: Self::Fold, tx: &mut Tx) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How far a follower is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The projection's name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// The last event that is in the view.
    pub position: i64,
    /// The event that could not be applied, and why.
    pub failure: Option<(i64, String)>,
}

/// The followers of this node. They stop when the token is cancelled.
#[derive(Debug)]
pub struct Followers {
    tasks: JoinSet<()>,
    account_status: watch::Receiver<i64>,
    work: watch::Receiver<i64>,
}

impl Followers {
    /// Starts all of them.
    pub fn start(store: &Store, stop: &CancellationToken) -> Self {
        let mut tasks = JoinSet::new();
        let account_status = follow::<AccountStatus>(&mut tasks, store, stop);
        let work = follow::<Work>(&mut tasks, store, stop);
        Self { tasks, account_status, work }
    }

    /// The position that the status view has reached, as this node knows it; to wait for, and to wake live pages.
    pub fn status_position(&self) -> watch::Receiver<i64> {
        self.account_status.clone()
    }

    /// The position that the queue has reached, as this node knows it; to wake workers.
    pub fn work_position(&self) -> watch::Receiver<i64> {
        self.work.clone()
    }

    /// Waits until all have stopped, after the token was cancelled.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    version: i64,
    position: i64,
    failed_position: Option<i64>,
    failure: Option<String>,
}

/// How far every projection is.
///
/// # Errors
/// When the database fails.
pub async fn states(store: &Store) -> Result<Vec<State>, StoreError> {
    let sql = "SELECT name, version, position, failed_position, failure FROM checkpoints ORDER BY name, version";
    let rows: Vec<Row> = read!(store.database(), pool => sqlx::query_as(sql).fetch_all(pool))?;
    let state = |row: Row| State {
        name: row.name,
        version: row.version,
        position: row.position,
        failure: row.failed_position.zip(row.failure),
    };
    Ok(rows.into_iter().map(state).collect())
}

/// Brings one projection up to date and returns: nothing else follows meanwhile.
///
/// # Errors
/// When the database fails, or an event can't be applied.
pub async fn catch_up(store: &Store, name: &str) -> Result<(), StoreError> {
    match name {
        AccountStatus::NAME => Follower::<AccountStatus>::alone(store).catch_up().await,
        Work::NAME => Follower::<Work>::alone(store).catch_up().await,
        _ => Err(StoreError::Unreadable(format!("there is no projection {name}"))),
    }
}

fn follow<P: Projection>(tasks: &mut JoinSet<()>, store: &Store, stop: &CancellationToken) -> watch::Receiver<i64> {
    let (reached, receiver) = watch::channel(0);
    let follower = Follower::<P> { store: store.clone(), reached, projection: PhantomData };
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = follower.run() => {}
            () = stop.cancelled() => {}
        }
    });
    receiver
}

struct Follower<P> {
    store: Store,
    reached: watch::Sender<i64>,
    projection: PhantomData<P>,
}

/// What one step came to.
enum Step {
    /// There may be more.
    More,
    /// The view is up to date, or another node works on it, or it stopped for good.
    Wait,
    /// An event of the batch can't be applied.
    Poisoned { position: i64, failure: String },
}

impl<P: Projection> Follower<P> {
    async fn run(&self) {
        let mut woken = self.store.wake().listen();
        let mut limit = BATCH;
        loop {
            woken.mark_unchanged();
            match self.step(limit).await {
                Ok(Step::More) => {}
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

    fn alone(store: &Store) -> Self {
        Self { store: store.clone(), reached: watch::channel(0).0, projection: PhantomData }
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            match self.step(BATCH).await? {
                Step::More => {}
                Step::Wait => return Ok(()),
                Step::Poisoned { position, failure } => {
                    return Err(StoreError::Unreadable(format!("position {position}: {failure}")));
                }
            }
        }
    }

    /// Folds one batch. A database that fails is an error, to be tried again; an event that can't be applied is not.
    async fn step(&self, limit: i64) -> Result<Step, StoreError> {
        let (position, failed) = self.checkpoint().await?;
        self.reached.send_if_modified(|reached| std::mem::replace(reached, position) != position);
        // Looked at without a lock: an idle follower doesn't hold up anybody's writes.
        if failed || self.store.events_after(position, 1).await?.is_empty() {
            return Ok(Step::Wait);
        }
        let mut tx = self.store.database().begin().await?;
        let sql = format!(
            "SELECT position FROM checkpoints WHERE name = $1 AND version = $2 AND failed_position IS NULL{}",
            self.store.database().skip_locked()
        );
        let locked: Option<i64> = within!(&mut tx, on =>
            sqlx::query_scalar(&sql).bind(P::NAME).bind(P::VERSION).fetch_optional(on))?;
        let Some(position) = locked else { return Ok(Step::Wait) };
        let mut fold = P::Fold::default();
        let (mut last, mut poisoned) = (position, None);
        while last - position < limit && poisoned.is_none() {
            let mut entries = self.store.entries_after(last, limit.min(READ)).await?;
            if let Some(index) = entries.iter().position(|entry| entry.event.is_err()) {
                poisoned = entries.get(index).map(|entry| (entry.position, entry.event.clone()));
                entries.truncate(index);
            }
            P::load(&mut fold, &mut tx, &entries).await?;
            for entry in &entries {
                if let Ok(event) = &entry.event {
                    P::apply(&mut fold, entry, event);
                }
            }
            let Some(entry) = entries.last() else { break };
            last = entry.position;
            if i64::try_from(entries.len()).unwrap_or(i64::MAX) < limit.min(READ) {
                break;
            }
        }
        if last == position {
            return Ok(match poisoned {
                Some((position, Err(failure))) => Step::Poisoned { position, failure },
                _ => Step::Wait,
            });
        }
        match P::save(fold, &mut tx).await {
            Ok(()) => {}
            Err(StoreError::Database(error)) if !is_refused(&error) => return Err(error.into()),
            Err(error) => {
                return Ok(Step::Poisoned { position: last, failure: error.to_string() });
            }
        }
        execute!(
            &mut tx,
            sqlx::query("UPDATE checkpoints SET position = $1 WHERE name = $2 AND version = $3")
                .bind(last)
                .bind(P::NAME)
                .bind(P::VERSION)
        )?;
        tx.commit().await?;
        self.reached.send_replace(last);
        Ok(Step::More)
    }

    /// Records that the projection stopped, for all nodes, until somebody mends it.
    async fn stop_at(&self, position: i64, failure: &str) -> Result<(), StoreError> {
        let mut tx = self.store.database().begin().await?;
        execute!(
            &mut tx,
            sqlx::query("UPDATE checkpoints SET failed_position = $1, failure = $2 WHERE name = $3 AND version = $4")
                .bind(position)
                .bind(failure)
                .bind(P::NAME)
                .bind(P::VERSION)
        )?;
        Ok(tx.commit().await?)
    }

    async fn checkpoint(&self) -> Result<(i64, bool), StoreError> {
        let sql = "SELECT position, failed_position FROM checkpoints WHERE name = $1 AND version = $2";
        let row: Option<(i64, Option<i64>)> = read!(self.store.database(), pool =>
            sqlx::query_as(sql).bind(P::NAME).bind(P::VERSION).fetch_optional(pool))?;
        if let Some((position, failed)) = row {
            return Ok((position, failed.is_some()));
        }
        let mut tx = self.store.database().begin().await?;
        let sql = "INSERT INTO checkpoints (name, version) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        execute!(&mut tx, sqlx::query(sql).bind(P::NAME).bind(P::VERSION))?;
        tx.commit().await?;
        Ok((0, false))
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
