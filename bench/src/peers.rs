//! Programs of others to measure beside, from npm. What runs them, and with which settings, is in `bench/peers`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use store::testing::TestDatabase;
use tokio::process::Command;

const LOCK: &str = "package-lock.json";

/// The peers, installed.
pub(crate) struct Peers {
    folder: PathBuf,
    node: PathBuf,
}

impl Peers {
    /// Installs them beside what cargo builds, unless they are there already; `None`, with a note, on a machine without
    /// Node. They need a newer Node than many machines have, so one comes with them.
    pub(crate) async fn install() -> Result<Option<Self>> {
        if Command::new("npm").arg("--version").stdout(Stdio::null()).status().await.is_err() {
            eprintln!("npm is not installed: no figures beside its packages");
            return Ok(None);
        }
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
        std::fs::create_dir_all(&folder)?;
        let is_installed = folder.join("node_modules/.package-lock.json").exists()
            && std::fs::read(from.join(LOCK))? == std::fs::read(folder.join(LOCK)).unwrap_or_default();
        for file in std::fs::read_dir(from)? {
            let file = file?;
            std::fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        if !is_installed {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder);
            ensure!(npm.status().await?.success(), "npm could not install the peers");
        }
        let node = ["x64", "arm64"].map(|cpu| folder.join(format!("node_modules/node-linux-{cpu}/bin/node")));
        let node = node.into_iter().find(|node| node.exists()).unwrap_or_else(|| "node".into());
        Ok(Some(Self { folder, node }))
    }

    /// The version of Node that runs them.
    pub(crate) async fn node_version(&self) -> Result<String> {
        let output = Command::new(&self.node).arg("--version").output().await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs one of them to its end, and reads what it measured.
    pub(crate) async fn run<T: DeserializeOwned>(&self, program: &str, arguments: &[&str]) -> Result<T> {
        let mut node = Command::new(&self.node);
        node.arg(program).args(arguments).current_dir(&self.folder).stderr(Stdio::inherit()).kill_on_drop(true);
        let output = node.output().await?;
        ensure!(output.status.success(), "{program} {arguments:?} failed");
        serde_json::from_slice(&output.stdout).with_context(|| format!("{program} {arguments:?} measured nothing"))
    }

    /// Puts message-db into an empty database, by its own script.
    pub(crate) async fn install_message_db(&self, database: &TestDatabase) -> Result<()> {
        let url: url::Url = database.url().parse()?;
        let mut script = Command::new("bash");
        script
            .arg("node_modules/@eventide/message-db/database/install.sh")
            .current_dir(&self.folder)
            .env("PGHOST", url.host_str().unwrap_or_default())
            .env("PGPORT", url.port().unwrap_or(5432).to_string())
            .env("PGUSER", url.username())
            .env("DATABASE_NAME", url.path().trim_start_matches('/'))
            .env("CREATE_DATABASE", "off")
            .stdout(Stdio::null());
        ensure!(script.status().await?.success(), "message-db could not be installed; it needs psql and createdb");
        Ok(())
    }
}
