//! PostgreSQL dies under load (`-m immediate`, as a crash): no acknowledged command is lost, none counts twice, and every
//! view equals what is made anew from the events.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{Account, AccountCommand, AccountId, Actor, Authority, Connection, UserId, WidgetId, account::Plan};
use engine::{Database, Decision, ExecuteError, Store, StoreError, Unit, testing::Engine};
use futures::future::join_all;
use store::Metadata;
use store::testing::TestDatabase;
use tests::{fault_after, until};
use tokio_util::sync::CancellationToken;

use crate::{like_a_fresh_rebuild, until_views_reach, widgets_added};

/// How often it dies, times four: coming back takes seconds.
const KILLS: u32 = 12;

struct Give(AccountId, AccountCommand);

impl Decision for Give {
    type Output = ();
    type Error = StoreError;

    async fn decide(&self, unit: &mut Unit) -> Result<(), StoreError> {
        unit.execute::<Account>(self.0, self.1.clone()).await.map_err(|error| match error {
            ExecuteError::Store(error) => error,
            ExecuteError::Rule(rule) => StoreError::Unreadable(rule.to_string()),
        })
    }
}

fn metadata() -> Metadata {
    Metadata {
        at: chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time"),
        actor: Actor::Relight,
        correlation: "test".to_owned(),
        causation: None,
        request: None,
        program: "relight test",
    }
}

/// How many commands are acknowledged at least between two crashes.
const LOAD: usize = 40;

/// Gives commands until it is told to stop; what was acknowledged.
async fn work(store: Store, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> BTreeMap<String, Vec<String>> {
    let mut acknowledged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let id = AccountId::new(commands::new_id());
        let connect =
            AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(commands::new_id()) };
        if store.run(&metadata(), &Give(id, connect)).await.is_err() {
            // The server is down: the next command is given when it answers again.
            until("the database", async || stop.load(Ordering::Relaxed) || store.head().await.is_ok()).await;
            continue;
        }
        let widgets = acknowledged.entry(id.to_string()).or_default();
        for _ in 0..8 {
            let widget = WidgetId::new(commands::new_id());
            let add = AccountCommand::AddWidget { widget, plan: Plan::Free, by: Authority::Staff };
            if store.run(&metadata(), &Give(id, add)).await.is_ok() {
                widgets.push(widget.to_string());
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    acknowledged
}

/// Ends the server at once, without a checkpoint, and starts it again: it recovers from its log.
pub(crate) fn crash(data_directory: &str) {
    pg_ctl(data_directory, &["restart", "-m", "immediate"]);
}

/// Runs `pg_ctl`, as the user as whom the server runs.
pub(crate) fn pg_ctl(data_directory: &str, arguments: &[&str]) {
    let bin = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut bins: Vec<_> = bin.map(|entry| entry.path().join("bin/pg_ctl")).filter(|path| path.exists()).collect();
    bins.sort();
    let pg_ctl = bins.pop().map_or_else(|| "pg_ctl".to_owned(), |path| path.display().to_string());
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.starts_with(b"0\n"));
    let mut command = if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", &pg_ctl]);
        command
    } else {
        Command::new(pg_ctl)
    };
    command.args(arguments).args(["-w", "-D", data_directory, "-l", &format!("{data_directory}/../log")]);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("pg_ctl runs").success(), "{arguments:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_crash_of_the_database() {
    let _alone = crate::ALONE.lock().await;
    let database = TestDatabase::new(Engine::Postgres).await;
    let store = database.store().await;
    let Database::Postgres(pool) = store.database() else { unreachable!("PostgreSQL was asked for") };
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(pool).await.expect("a folder");
    let stop = CancellationToken::new();
    let followers = projections::registry(domain::schedule::Schedule::default()).run(&store, &stop);
    let enough = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let workers = join_all((0..8).map(|_| work(store.clone(), enough.clone(), count.clone())));
    let (done, ()) = tokio::join!(workers, async {
        for kill in 0..crate::kills(KILLS) / 4 {
            let before = count.load(Ordering::Relaxed);
            until("load", async || count.load(Ordering::Relaxed) >= before + LOAD).await;
            fault_after(Duration::from_millis(u64::from(kill * 37 % 200))).await;
            let data = data.clone();
            tokio::task::spawn_blocking(move || crash(&data)).await.expect("no panic");
        }
        enough.store(true, Ordering::Relaxed);
    });
    let acknowledged: BTreeMap<_, _> = done.into_iter().flatten().collect();
    let added = widgets_added(&store).await;
    let mut checked = 0;
    for (account, widgets) in acknowledged {
        let story = store.unit(metadata()).load::<Account>(&account).await.expect("loads");
        assert_ne!(story, Account::default(), "an acknowledged account is lost");
        for widget in widgets {
            assert_eq!(added.get(&(account.clone(), widget)), Some(&1), "acknowledged once, and there once");
            checked += 1;
        }
    }
    assert_eq!(checked, count.load(Ordering::Relaxed));
    assert!(added.values().all(|times| *times == 1), "one counts twice");
    until_views_reach(&store, store.head().await.expect("a head")).await;
    stop.cancel();
    followers.stopped().await;
    like_a_fresh_rebuild(&store).await;
}
