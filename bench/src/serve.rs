//! The program on SQLite: how long it takes to be ready, and how much memory it needs when nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use domain::{Connection, account::Plan};
use engine::testing::Engine;
use sandbox::Sandbox;
use store::testing::TestDatabase;
use tests::{browser::Browser, process::Settings, relight::PASSWORD};

use crate::{
    bench::Bench,
    figure::{Figure, median},
};

const STARTS: u32 = 11;
/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// A database, a pretend Meta, and somebody who can sign in.
pub(crate) struct Place {
    pub(crate) settings: Settings,
    pub(crate) sandbox: Sandbox,
    pub(crate) database: TestDatabase,
    _folder: tempfile::TempDir,
}

pub(crate) async fn place(engine: Engine) -> Result<Place> {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(engine).await;
    let folder = tempfile::tempdir()?;
    let mut settings = Settings::new(&sandbox, &database, folder.path());
    settings.unset("DATABASE__CONNECTIONS").set("LOG", "warn");
    let add = ["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"];
    anyhow::ensure!(settings.run(&add, PASSWORD).status.success(), "the user can't be added");
    Ok(Place { settings, sandbox, database, _folder: folder })
}

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let Place { settings, sandbox, .. } = &place(engine).await?;
    let process = settings.start().await;
    let owner = Browser::new(&settings.base);
    owner.sign_in("ann@example.com", PASSWORD).await;
    let holder = sandbox.world().account_id("luma.ceramics").context("in the cast")?;
    let account = owner.connect(Connection::Consumer, holder).await;
    owner.add_widget(&account, Plan::Upgraded).await;
    owner.until_fresh(&format!("/accounts/{account}"), 1).await;
    process.terminate().await;
    let mut starts = Vec::new();
    for _ in 0..bench.fewer(STARTS) {
        let begun = Instant::now();
        let process = settings.start().await;
        starts.push(begun.elapsed().as_secs_f64() * 1_000.0);
        process.terminate().await;
    }
    bench.figure(Figure::alone("start to ready on an existing database, median", median(starts), "ms", "≤ 1000"));
    let process = settings.start().await;
    tokio::time::sleep(IDLE).await;
    bench.figure(Figure::alone("idle memory (VmRSS)", memory_mib(process.id())?, "MiB", "≤ 100"));
    Ok(())
}

/// How much of a process is in memory. Source: proc(5), `VmRSS`, in KiB.
pub(crate) fn memory_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
