//! The followers of a node, and how far they are.

use std::sync::Arc;

use domain::schedule::Schedule;
use engine::{Store, StoreError, read};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    account_status::AccountStatus,
    follower::Follower,
    projection::{Projection, Target},
    work::Work,
};

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
    pub fn start(store: &Store, schedule: &Arc<Schedule>, stop: &CancellationToken) -> Self {
        let mut tasks = JoinSet::new();
        let account_status = follow::<AccountStatus>(&mut tasks, store, schedule, stop);
        let work = follow::<Work>(&mut tasks, store, schedule, stop);
        tasks.spawn(crate::rebuild::outdated(store.clone(), schedule.clone(), stop.clone()));
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
pub async fn catch_up(store: &Store, schedule: &Arc<Schedule>, name: &str) -> Result<(), StoreError> {
    match name {
        AccountStatus::NAME => Follower::<AccountStatus>::alone(store, schedule, Target::Serving).catch_up().await,
        Work::NAME => Follower::<Work>::alone(store, schedule, Target::Serving).catch_up().await,
        _ => Err(StoreError::Unreadable(format!("there is no projection {name}"))),
    }
}

fn follow<P: Projection>(
    tasks: &mut JoinSet<()>,
    store: &Store,
    schedule: &Arc<Schedule>,
    stop: &CancellationToken,
) -> watch::Receiver<i64> {
    let follower = Follower::<P>::alone(store, schedule, Target::Serving);
    let receiver = follower.reached.subscribe();
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = follower.run() => {}
            () = stop.cancelled() => {}
        }
    });
    receiver
}
