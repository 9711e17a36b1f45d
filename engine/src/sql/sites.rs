//! Which statements ran on which engine, for a test that each ran on both: `ENGINE_TEST_STATEMENTS` names a file, to which
//! each process appends a line for each place in the source and engine.

use std::{
    collections::HashSet,
    fs::OpenOptions,
    io::Write as _,
    panic::Location,
    sync::{LazyLock, Mutex},
};

use super::Dialect;

type Seen = HashSet<(&'static Location<'static>, &'static str)>;

static SEEN: LazyLock<Option<(String, Mutex<Seen>)>> =
    LazyLock::new(|| std::env::var("ENGINE_TEST_STATEMENTS").ok().map(|file| (file, Mutex::default())));

/// Notes that a statement runs.
pub(super) fn note(site: &'static Location<'static>, dialect: Dialect) {
    let Some((file, seen)) = &*SEEN else { return };
    let Ok(mut seen) = seen.lock() else { return };
    if seen.insert((site, dialect.name())) {
        let line = format!("{}:{} {}\n", site.file(), site.line(), dialect.name());
        // A short line is appended whole, whoever else appends at this time.
        let written = OpenOptions::new().create(true).append(true).open(file);
        written.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of statements can be written");
    }
}
