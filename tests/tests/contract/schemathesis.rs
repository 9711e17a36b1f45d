//! Schemathesis: no 5xx, and no answer outside of the description, whatever the role of the key.

use std::path::Path;

use store::on_both_engines;
use tokio::process::Command;

use crate::{
    people::{KEYS, inhabited},
    tool,
};

/// The settings, with the reason of each.
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contract/schemathesis.toml");
/// Requests for each operation and phase, unless `RELIGHT_TEST_EXAMPLES` says otherwise.
const EXAMPLES: &str = "25";
/// Requests are the same in each run, unless `RELIGHT_TEST_SEED` says otherwise.
const SEED: &str = "12";

async fn generate(program: &Path, base: &str, key: &str) -> Result<String, String> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    // It keeps what it learned in the working folder.
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .args(["--config-file", SETTINGS, "run", &format!("{base}/api/v1/openapi.json"), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--max-examples", &setting("RELIGHT_TEST_EXAMPLES", EXAMPLES)])
        .args(["--seed", &setting("RELIGHT_TEST_SEED", SEED)]);
    tool::run(&mut command).await
}

on_both_engines! {
    async fn no_request_gets_an_answer_that_is_not_described(engine: Engine) {
        let Some(program) = tool::path("RELIGHT_TEST_SCHEMATHESIS") else { return };
        let relight = inhabited(engine).await;
        // All roles at once, for a run waits much. Each has one worker: with more, Python 3.11 fails in `ast.parse`.
        let runs = KEYS.map(async |role| {
            let key = relight.api_key(role).await;
            let run = generate(&program, &relight.base, &key).await;
            run.err().map(|said| format!("with a key of {}:\n{said}", role.name()))
        });
        let failed: Vec<_> = futures::future::join_all(runs).await.into_iter().flatten().collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}
