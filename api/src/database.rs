//! Opening the database: `serve`, `migrate` and `demo` make what is missing, all other commands work with what is there.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use engine::{Database, Options, Schema, StoreError, files};
use secrecy::{ExposeSecret, SecretString};

use crate::config::Config;

/// Where the events are, unless the configuration says otherwise.
pub fn url(config: &Config) -> SecretString {
    let in_data_dir = || format!("sqlite://{}", config.data_dir.join("relight.db").display()).into();
    config.database.url.clone().unwrap_or_else(in_data_dir)
}

/// The same as it may be shown.
pub fn shown(config: &Config) -> String {
    engine::url_without_secrets(url(config).expose_secret())
}

/// Opens the database, makes the data folder and the file if they are missing, and brings the schema up to date.
///
/// # Errors
/// When it can't be reached or made.
pub async fn create(config: &Config) -> Result<Database> {
    let (url, shown) = (url(config), shown(config));
    if url.expose_secret().starts_with("sqlite:") && config.database.url.is_none() {
        private_folder(&config.data_dir)?;
    }
    let opened = Database::open(url.expose_secret(), options(config, true)).await;
    let database = opened.with_context(|| format!("database.url: {shown} can't be opened"))?;
    database
        .migrate(&store::MIGRATIONS)
        .await
        .with_context(|| format!("database.url: {shown} can't be brought up to date"))?;
    Ok(database)
}

/// Opens a database that is there, with the schema that this program works with; makes and migrates nothing.
///
/// # Errors
/// A sentence that says what is missing.
pub async fn existing(config: &Config) -> Result<Database> {
    let (url, shown) = (url(config), shown(config));
    let opened = Database::open(url.expose_secret(), options(config, false)).await;
    if let Err(StoreError::NoFile) = opened {
        bail!("database.url: there is no database at {shown}: run `relight migrate`, which makes it");
    }
    let database = opened.with_context(|| format!("database.url: {shown} can't be opened"))?;
    let schema = database.schema(&store::MIGRATIONS).await;
    let schema = schema.with_context(|| format!("database.url: the schema of {shown} can't be read"))?;
    let problem = match schema {
        Schema::Current | Schema::Ahead => return Ok(database),
        Schema::Missing => "is empty: run `relight migrate`, which makes its schema",
        Schema::Older => "has the schema of an older version: run `relight migrate`, which brings it up to date",
        Schema::Newer => "has the schema of a newer version, which this program can't work with: use that version",
    };
    database.close().await;
    bail!("database.url: the database at {shown} {problem}");
}

/// Makes a folder for its owner alone, if it isn't there; takes from others what rights they have to one that is.
///
/// # Errors
/// When it can't be made.
pub fn private_folder(folder: &std::path::Path) -> Result<()> {
    files::make_folder(folder).with_context(|| format!("data_dir: {} can't be made", folder.display()))?;
    if let Err(open) = files::tighten(folder) {
        tracing::warn!("data_dir: {open}");
    }
    Ok(())
}

/// The file with the ring of keys, where the configuration has none.
pub fn key_file(config: &Config) -> PathBuf {
    config.data_dir.join("vault.key")
}

fn options(config: &Config, create: bool) -> Options {
    Options { connections: config.database.connections, create, name: "relight", ..Options::default() }
}
