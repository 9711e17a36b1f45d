//! Programs of others to measure beside, from npm: graphile-worker, message-db, emmett. What runs them is in `bench/peers`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use store::testing::{Engine, TestDatabase};
use tokio::process::Command;

/// The peers, installed.
pub(crate) struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// Installs them beside what cargo builds; `None`, and a word about it, on a machine without Node.
    pub(crate) async fn install() -> Result<Option<Self>> {
        if Command::new("npm").arg("--version").stdout(Stdio::null()).status().await.is_err() {
            eprintln!("npm is not installed: no figures beside its packages");
            return Ok(None);
        }
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
        std::fs::create_dir_all(&folder)?;
        for file in std::fs::read_dir(from)? {
            let file = file?;
            std::fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder);
        ensure!(npm.status().await?.success(), "npm could not install the peers");
        Ok(Some(Self { folder }))
    }

    /// Runs one of them to its end, and reads what it measured.
    pub(crate) async fn run<T: DeserializeOwned>(&self, program: &str, arguments: &[&str]) -> Result<T> {
        let mut node = Command::new("node");
        node.arg(program).args(arguments).current_dir(&self.folder).stderr(Stdio::inherit()).kill_on_drop(true);
        let output = node.output().await?;
        ensure!(output.status.success(), "{program} {arguments:?} failed");
        serde_json::from_slice(&output.stdout).with_context(|| format!("{program} {arguments:?} measured nothing"))
    }

    /// A database with message-db in it, installed by its own script.
    pub(crate) async fn message_db(&self) -> Result<String> {
        // A neighbour on the same server, so that the script can make its own.
        let beside = TestDatabase::empty(Engine::Postgres).await;
        let server: url::Url = beside.url().parse()?;
        let name = format!("message_store_{}", std::process::id());
        let mut script = Command::new("bash");
        script
            .arg("node_modules/@eventide/message-db/database/install.sh")
            .current_dir(&self.folder)
            .env("PGHOST", server.host_str().unwrap_or_default())
            .env("PGPORT", server.port().unwrap_or(5432).to_string())
            .env("PGUSER", server.username())
            .env("DATABASE_NAME", &name)
            .stdout(Stdio::null());
        ensure!(script.status().await?.success(), "message-db could not be installed; it needs psql and createdb");
        let mut url = server;
        url.set_path(&name);
        Ok(url.into())
    }
}
