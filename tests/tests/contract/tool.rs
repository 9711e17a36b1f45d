//! Tools of other languages, run as child processes with an end.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::process::Command;

/// How long a tool may run. Only one that hangs takes so long.
const DEADLINE: Duration = Duration::from_mins(10);

/// The path that a variable gives to a tool; without it the test is skipped, with a line that says so.
pub(crate) fn path(variable: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    if given.is_none() {
        eprintln!("skipped: {variable} is not set; ./check contract sets it");
    }
    given
}

/// Runs a tool to its end; what it printed, on both streams.
///
/// # Errors
/// The same, when it fails.
pub(crate) async fn run(command: &mut Command) -> Result<String, String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let what = command.as_std().get_program().display().to_string();
    let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap_or_else(|_| panic!("{what} hangs"));
    let output = output.unwrap_or_else(|error| panic!("{what} can't be run: {error}"));
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    if output.status.success() { Ok(text) } else { Err(text) }
}
