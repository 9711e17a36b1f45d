//! Tests wait for conditions: `engine::testing::until` is the one place in test code that sleeps, and no assertion asks
//! how long something took.

use std::path::{Path, PathBuf};

/// Has the helpers that wait, and `fault_after`.
const HELPERS: &str = "engine/src/testing/wait.rs";

/// What waits for time to pass.
const CALLS: [&str; 3] = ["sleep", "sleep_until", "interval"];

/// All sources under a folder.
pub(super) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<_> =
        folders.iter().filter(|path| !path.ends_with("target")).flat_map(|path| sources(path)).collect();
    found.extend(files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")));
    found
}

/// The first line of a source that is test code.
fn tests_begin(path: &Path, text: &str) -> usize {
    let is_all = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    if is_all.into_iter().any(|part| ["tests", "testing", "tests.rs", "testing.rs"].contains(&part.as_str())) {
        return 0;
    }
    text.lines().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(usize::MAX)
}

/// Whether a line of test code waits for time to pass, or asserts how long something took.
fn is_timed(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let waits = |name: &str| code.contains(&format!("{name}("));
    CALLS.into_iter().any(waits) || (code.contains("assert") && code.contains(&format!("{}()", "elapsed")))
}

#[test]
fn test_code_waits_for_conditions_and_never_sleeps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace");
    let mut found = Vec::new();
    for path in sources(&root) {
        let path = path.strip_prefix(&root).expect("under it");
        let text = std::fs::read_to_string(root.join(path)).expect("a text");
        let lines = text.lines().enumerate().skip(tests_begin(path, &text));
        let timed = lines.filter(|(_, line)| path != Path::new(HELPERS) && is_timed(line));
        found.extend(timed.map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim())));
    }
    assert!(found.is_empty(), "use engine::testing::until, or Relight::settled for what must not happen: {found:#?}");
}

#[test]
fn a_line_that_sleeps_is_found() {
    let [sleep, until, interval] = CALLS;
    assert!(is_timed(&format!("tokio::time::{sleep}(pause).await;")));
    assert!(is_timed(&format!("std::thread::{sleep}(pause);")));
    assert!(is_timed(&format!("let mut ticks = tokio::time::{interval}(pause); // each")));
    assert!(is_timed(&format!("{until}(deadline).await;")));
    assert!(!is_timed(&format!("// no {sleep}(pause) here")));
    assert!(!is_timed("until(\"a mail\", async || has_come()).await;"));
    assert_eq!(tests_begin(Path::new("api/src/app.rs"), "fn main() {}\n#[cfg(test)]\nmod tests {}"), 1);
    assert_eq!(tests_begin(Path::new("tests/src/lib.rs"), ""), 0);
}
