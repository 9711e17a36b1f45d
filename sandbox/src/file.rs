//! What the sandbox knows, kept in a file from one start to the next: a demo goes on where it was.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{server::Meta, world::World};

/// How often it looks whether there is something new to save.
const EVERY: Duration = Duration::from_millis(500);

/// The world of a file; `None` if there is no file yet.
pub(crate) fn load(file: &Path) -> io::Result<Option<World>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Saves whatever changes, until it is aborted.
pub(crate) async fn save_always(meta: Meta, file: PathBuf) {
    let mut saved = Vec::new();
    loop {
        let now = serde_json::to_vec(&*meta.world()).unwrap_or_default();
        if now != saved {
            write(&now, &file);
            saved = now;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Saves it once.
pub(crate) fn save(world: &World, file: &Path) {
    write(&serde_json::to_vec(world).unwrap_or_default(), file);
}

/// Whole or not at all: under another name first.
fn write(bytes: &[u8], file: &Path) {
    let unfinished = file.with_extension("unfinished");
    let written = || {
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?.write_all(bytes)?;
        fs::rename(&unfinished, file)
    };
    if let Err(error) = written() {
        tracing::warn!(%error, "what the sandbox knows could not be saved");
    }
}
