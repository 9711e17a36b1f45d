//! Opening the vault: where its ring of keys comes from, and the proof that the ring belongs to the database.

use std::{
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use commands::{
    Vault,
    vault::{proof::Sentence, usage},
};
use engine::{Database, files};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::{
    app::App,
    config::Config,
    database::{key_file, private_folder},
};

/// How long readiness and *Operations* go by what was found: `/readyz` is public.
const PROOF_AGE: Duration = Duration::from_secs(5);

/// What happens where no key is configured and the key file is missing. A command that makes nothing leaves the rights of a
/// file that is there as they are, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// One is made, unless the database has sealed rows.
    Make,
    /// That is an error.
    Refuse,
}

/// The ring of keys, which opens what is sealed in the database.
///
/// # Errors
/// A sentence that names the ids of the keys that are missing or wrong.
pub async fn open(config: &Config, database: &Database, missing: Missing, now: DateTime<Utc>) -> Result<Vault> {
    let vault = ring(config, database, missing).await?;
    let faults = vault.prove(database, now).await?;
    if !faults.is_empty() {
        bail!("vault.keys: {}", Sentence(&faults));
    }
    Ok(vault)
}

/// The ring of keys: from the configuration; on SQLite otherwise from a file that is made once.
///
/// # Errors
/// When there is none, or it can't be read.
pub async fn ring(config: &Config, database: &Database, missing: Missing) -> Result<Vault> {
    let keys = match &config.vault.keys {
        Some(keys) => keys.clone(),
        None if database.is_shared() => bail!(
            "vault.keys is missing: with PostgreSQL every node needs the same keys, so none is made up. Make one with: \
             echo \"k1:$(openssl rand -base64 32)\""
        ),
        None => from_file(&key_file(config), database, missing).await?,
    };
    Vault::new(&keys).map_err(|sentence| anyhow::anyhow!("vault.keys: {sentence}"))
}

async fn from_file(path: &Path, database: &Database, missing: Missing) -> Result<SecretString> {
    if let Some(keys) = read(path)? {
        if missing == Missing::Make
            && let Err(open) = files::tighten(path)
        {
            tracing::warn!("vault.keys: {open}");
        }
        return Ok(keys);
    }
    let shown = path.display();
    let needed = usage::key_ids(database).await?;
    if !needed.is_empty() {
        let needed = needed.into_iter().collect::<Vec<_>>().join(", ");
        bail!(
            "vault.keys: the key file {shown} is missing, and the database has rows that were sealed with {needed}: put \
             the vault.key that belongs to this database there, or set vault.keys"
        );
    }
    match missing {
        Missing::Make => make(path),
        Missing::Refuse => {
            bail!("vault.keys: the key file {shown} is not there yet: the first `relight serve` makes it")
        }
    }
}

fn read(path: &Path) -> Result<Option<SecretString>> {
    match std::fs::read_to_string(path) {
        Ok(keys) => Ok(Some(keys.trim().to_owned().into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("data_dir: {} can't be read", path.display())),
    }
}

/// Makes the file, once: should another process make it at the same time, its key counts.
fn make(path: &Path) -> Result<SecretString> {
    let folder = path.parent().unwrap_or(Path::new("."));
    private_folder(folder)?;
    let keys = Vault::generate();
    // Written whole under another name first: a key that is cut off would lock every token away.
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    let written = || -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(files::FILE_MODE).open(&unfinished)?;
        file.write_all(keys.expose_secret().as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link replaces no file; some file systems have none.
        match std::fs::hard_link(&unfinished, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => std::fs::rename(&unfinished, path)?,
            linked => linked?,
        }
        std::fs::File::open(folder)?.sync_all()
    }();
    let _ = std::fs::remove_file(&unfinished);
    match written {
        Ok(()) => Ok(keys),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.with_context(|| format!("data_dir: {} is gone again", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("data_dir: {} can't be written", path.display())),
    }
}

/// What was found last when the vault was asked to open some rows. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    found: Arc<Mutex<Option<Found>>>,
}

#[derive(Debug)]
struct Found {
    at: Instant,
    /// What is wrong, if something is.
    sentence: Option<String>,
}

impl Proof {
    /// What is wrong, as a sentence; asked again after some seconds, by one caller for all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask(&self, app: &App) -> Result<Option<String>, commands::Error> {
        let mut found = self.found.lock().await;
        if let Some(found) = &*found
            && found.at.elapsed() < PROOF_AGE
        {
            return Ok(found.sentence.clone());
        }
        let faults = app.commands.vault.prove(app.database(), app.commands.clock.now()).await?;
        let sentence = (!faults.is_empty()).then(|| format!("vault.keys: {}", Sentence(&faults)));
        let known = found.take().and_then(|found| found.sentence);
        match &sentence {
            Some(new) if known.as_ref() != Some(new) => tracing::error!("{new}"),
            None if known.is_some() => tracing::info!("the vault's keys open what is sealed again"),
            _ => {}
        }
        *found = Some(Found { at: Instant::now(), sentence: sentence.clone() });
        Ok(sentence)
    }
}
