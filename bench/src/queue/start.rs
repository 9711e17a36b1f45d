//! How soon an idle worker starts what is due now.
//!
//! On PostgreSQL the way that two nodes go: an event is committed in one process; the database's notification wakes
//! another, whose follower makes the row, and whose worker claims it. On SQLite there is one process.

use std::{
    process::Stdio,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use domain::{Account, AccountCommand, AccountId, Connection, Token, TokenCommand, UserId};
use engine::{
    Database, Options, Store,
    jobs::{End, Room, Worker},
    testing::Engine,
};
use projections::jobs::META;
use store::testing::{TestDatabase, metadata};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::jobs::now_ms;
use crate::{
    figure::{Figure, median},
    lives,
};

/// How often a node looks at the queue when nothing wakes it, as `api::workers` does.
const LOOK: Duration = Duration::from_millis(500);

/// The median in milliseconds, from before the commit.
pub(super) async fn median_ms(engine: Engine, samples: u32) -> Result<f64> {
    let file = TestDatabase::new(engine).await;
    let store = file.store().await;
    let (told, mut starts) = mpsc::unbounded_channel();
    let _node = match engine {
        Engine::Sqlite => tokio::spawn(node(store.clone(), told)),
        Engine::Postgres => tokio::spawn(in_a_process(file.url().to_owned(), told)),
    };
    let mut times = Vec::new();
    // The first one waits until the node is there.
    for _ in 0..=samples {
        let asked = now_ms();
        make_due(&store).await?;
        times.push(starts.recv().await.context("the node ended")? - asked);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(median(times.split_off(1)))
}

/// An account is connected: its pull is due now.
async fn make_due(store: &Store) -> Result<()> {
    let (id, now) = (AccountId::new(Uuid::now_v7()), now());
    let mut unit = store.unit(metadata(now));
    let user = UserId::new(Uuid::now_v7());
    unit.execute::<Account>(id, AccountCommand::Connect { connection: Connection::Consumer, user }).await?;
    unit.execute::<Token>(id, TokenCommand::Accept { grant: lives::grant(now), instead_of: None }).await?;
    unit.commit().await?;
    Ok(())
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A node in a process of its own; what it starts is passed on.
async fn in_a_process(url: String, told: mpsc::UnboundedSender<f64>) -> Result<()> {
    let mut program = Command::new(std::env::current_exe()?);
    let mut child = program.args(["node", &url]).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    while let Some(line) = lines.next_line().await? {
        told.send(line.parse()?)?;
    }
    Ok(())
}

/// Such a process: prints when it starts something.
pub(crate) async fn process(url: &str) -> Result<()> {
    let database = Database::open(url, Options::default()).await?;
    let (told, mut starts) = mpsc::unbounded_channel();
    let node = tokio::spawn(node(store::of(database), told));
    while let Some(start) = starts.recv().await {
        println!("{start}");
    }
    node.await?
}

/// Follows the journal and works, as a node does, until nobody listens.
async fn node(store: Store, told: mpsc::UnboundedSender<f64>) -> Result<()> {
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    let followers = projections::registry(domain::schedule::Schedule::default()).run(&store, &stop);
    let (mut queue, worker) =
        (followers.position(projections::WORK).expect("it runs"), Worker::new(store.database(), "node"));
    loop {
        let claimed = worker.claim(META, now(), Room::of(8)).await?;
        for job in &claimed {
            told.send(now_ms())?;
            let mut tx = store.database().begin().await?;
            let _ = job.held.end(&mut tx, End::Done).await?;
            tx.commit().await?;
        }
        if claimed.is_empty() {
            let _ = tokio::time::timeout(LOOK, queue.changed()).await;
        }
    }
}

/// What the figure is called.
pub(super) fn figure(median_ms: f64, beside: &str, goal: &'static str) -> Figure {
    Figure::alone(format!("due now to started by an idle worker, median{beside}"), median_ms, "ms", goal)
}
