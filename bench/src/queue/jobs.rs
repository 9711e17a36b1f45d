//! No-op jobs: workers that claim and complete until nothing is left, in processes of their own.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use engine::{
    Database, Options,
    jobs::{End, Room, Worker, end},
};
use futures::future::try_join_all;
use projections::jobs::META;
use serde::{Deserialize, Serialize};

/// Workers a process.
const WORKERS: u32 = 4;
/// How many a worker claims, and completes, at once where jobs take no time.
const AT_ONCE: u32 = 500;

/// What workers did. Times are milliseconds since 1970, so that those of several processes can be compared.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Worked {
    pub(crate) jobs: u32,
    first_ms: f64,
    last_ms: f64,
}

impl Worked {
    /// Jobs a second, from the start of the first until the last is completed.
    pub(crate) fn rate(self) -> f64 {
        1_000.0 * f64::from(self.jobs) / (self.last_ms - self.first_ms)
    }

    fn and(self, other: Self) -> Self {
        Self {
            jobs: self.jobs + other.jobs,
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
        }
    }
}

/// The time that worked jobs are told in.
pub(super) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}

/// Lets so many processes work until nothing is left.
pub(super) async fn in_processes(url: &str, now: DateTime<Utc>, processes: u32) -> Result<Worked> {
    let child = async || {
        let mut program = tokio::process::Command::new(std::env::current_exe()?);
        program.args(["jobs", url, &now.timestamp().to_string()]).stderr(std::process::Stdio::inherit());
        let output = program.kill_on_drop(true).output().await?;
        serde_json::from_slice::<Worked>(&output.stdout).context("the workers said nothing")
    };
    let worked = try_join_all((0..processes).map(|_| child())).await?;
    worked.into_iter().reduce(Worked::and).context("no process")
}

/// Such a process: prints what it did.
pub(crate) async fn process(url: &str, now: i64) -> Result<()> {
    let database = Database::open(url, Options::default()).await?;
    let worked = work(&database, DateTime::from_timestamp(now, 0).context("a time")?).await?;
    println!("{}", serde_json::to_string(&worked)?);
    Ok(())
}

/// Works until nothing is left.
pub(crate) async fn work(database: &Database, now: DateTime<Utc>) -> Result<Worked> {
    let node = uuid::Uuid::now_v7();
    let workers = (0..WORKERS).map(|number| {
        let (database, name) = (database.clone(), format!("{node}-{number}"));
        async move { tokio::spawn(worker(database, name, now)).await? }
    });
    try_join_all(workers).await?.into_iter().reduce(Worked::and).context("no worker")
}

async fn worker(database: Database, name: String, now: DateTime<Utc>) -> Result<Worked> {
    let worker = Worker::new(&database, name);
    let mut worked = Worked { jobs: 0, first_ms: f64::INFINITY, last_ms: 0.0 };
    loop {
        let claimed = worker.claim(META, now, Room::of(AT_ONCE)).await?;
        if claimed.is_empty() {
            return Ok(worked);
        }
        worked.first_ms = worked.first_ms.min(now_ms());
        let next = |kind: &str| if kind == "pull" { End::Next(Some(now + TimeDelta::hours(6))) } else { End::Done };
        let all: Vec<_> = claimed.iter().map(|job| (&job.held, next(job.held.kind()))).collect();
        let mut tx = database.begin().await?;
        let ended = end(&mut tx, &all).await?;
        tx.commit().await?;
        worked.jobs += u32::try_from(ended.iter().flatten().count())?;
        worked.last_ms = now_ms();
    }
}
