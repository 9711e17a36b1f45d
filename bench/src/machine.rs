//! What a run was made on, as Linux tells it: rates of different machines can't be compared.

use std::{fmt, path::Path, process::Command, time::SystemTime};

use anyhow::Result;
use chrono::{DateTime, Utc};
use engine::{Database, Options, sql, testing::Engine};
use serde::{Deserialize, Serialize};
use store::testing::TestDatabase;

use crate::bench::Bench;

/// Where and of what a run was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory: String,
    kernel: String,
    /// The file system where the databases are.
    disk: String,
    /// The engine's version.
    pub(crate) database: String,
    /// The version of Node, if peers were measured.
    pub(crate) node: Option<String>,
    pub(crate) date: String,
    /// The commit that was measured; `+` after it: and changes.
    pub(crate) commit: String,
}

impl Machine {
    /// This one, now.
    pub(crate) async fn this(bench: &Bench, engine: Engine) -> Result<Self> {
        let cpu = value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
        let memory_kib = value_of("/proc/meminfo", "MemTotal").unwrap_or_default();
        let memory_kib: f64 = memory_kib.trim_end_matches(" kB").parse().unwrap_or_default();
        Ok(Self {
            cpu,
            cores: std::thread::available_parallelism()?.get(),
            memory: format!("{:.0} GiB", memory_kib / 1024.0 / 1024.0),
            kernel: format!("Linux {}", read_line("/proc/sys/kernel/osrelease")),
            disk: file_system(&std::env::temp_dir()).unwrap_or_else(|| "unknown".to_owned()),
            database: version(engine).await?,
            node: bench.node().await?.map(|version| format!("Node {}", version.trim_start_matches('v'))),
            date: DateTime::<Utc>::from(SystemTime::now()).format("%Y-%m-%d").to_string(),
            commit: commit(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory, kernel, disk, .. } = self;
        write!(f, "{cpu}, {cores} cores, {memory}, {kernel}, {disk}")
    }
}

async fn version(engine: Engine) -> Result<String> {
    let database = TestDatabase::empty(engine).await;
    let opened = Database::open(database.url(), Options::default()).await?;
    let (name, version) = match engine {
        Engine::Sqlite => ("SQLite", "SELECT sqlite_version()"),
        Engine::Postgres => ("PostgreSQL", "SELECT split_part(current_setting('server_version'), ' ', 1)"),
    };
    let version: String = sql(version).scalar(&opened).await?;
    opened.close().await;
    Ok(format!("{name} {version}"))
}

/// The first `name: value` of a file in `/proc`.
fn value_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read_line(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

/// The type of the file system that a folder is on. Source: proc(5), `/proc/mounts`.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(at).then_some((at.len(), kind))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    // What a run itself writes isn't a change.
    let status = ["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)bench/figures.json"];
    let changes = if git(&status).is_empty() { "" } else { "+" };
    format!("{}{changes}", git(&["rev-parse", "--short", "HEAD"]))
}
