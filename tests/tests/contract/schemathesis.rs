//! Schemathesis: no 5xx, and no answer outside of the description, whatever the role of the key.

use std::{fmt::Write as _, path::Path};

use engine::{on_both_engines, sql};
use tests::relight::Relight;
use tokio::process::Command;

use crate::{
    people::{KEYS, inhabited},
    tool,
};

/// The settings, with the reason of each.
const SETTINGS: &str = include_str!("../../contract/schemathesis.toml");
/// Requests for each operation and phase, unless `RELIGHT_TEST_EXAMPLES` says otherwise.
const EXAMPLES: &str = "25";
/// Requests are the same in each run, unless `RELIGHT_TEST_SEED` says otherwise.
const SEED: &str = "12";

/// Two thirds of the ids in paths are those of things that are there; the others are made up.
const REAL: f64 = 0.67;

/// The settings with the ids of what is there, for the paths below which they mean something.
async fn settings(relight: &Relight) -> String {
    let (mut widgets, mut hooks) = (Vec::new(), Vec::new());
    let (database, accounts) = (relight.store().database(), relight.accounts().await);
    for (select, ids) in
        [("SELECT widget_id FROM widgets_v1", &mut widgets), ("SELECT id FROM webhook_endpoints", &mut hooks)]
    {
        *ids = sql(select).scalars::<String>(database).await.expect("ids");
    }
    let mut settings = SETTINGS.to_owned();
    for (name, ids) in [("accounts", &accounts), ("widgets", &widgets), ("webhooks", &hooks)] {
        assert!(!ids.is_empty(), "there are {name}");
        write!(
            settings,
            "\n[dictionaries.{name}]\nvalues = {ids:?}\n\n[[operations]]\ninclude-path-regex = '/{name}/\\{{id\\}}'\n\
             parameters.\"path.id\" = {{ dictionary = \"{name}\", probability = {REAL} }}\n"
        )
        .expect("written");
    }
    settings
}

async fn generate(program: &Path, settings: &str, base: &str, key: &str) -> Result<String, String> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    // It keeps what it learned in the working folder.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("schemathesis.toml"), settings).expect("written");
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .args(["run", &format!("{base}/api/v1/openapi.json"), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--max-examples", &setting("RELIGHT_TEST_EXAMPLES", EXAMPLES)])
        .args(["--seed", &setting("RELIGHT_TEST_SEED", SEED)]);
    tool::run(&mut command).await
}

on_both_engines! {
    async fn no_request_gets_an_answer_that_is_not_described(engine: Engine) {
        let Some(program) = tool::path("RELIGHT_TEST_SCHEMATHESIS") else { return };
        let relight = inhabited(engine).await;
        let (settings, events) = (settings(&relight).await, relight.event_count().await);
        // All roles at once, for a run waits much. Each has one worker: with more, Python 3.11 fails in `ast.parse`.
        let runs = KEYS.map(async |role| {
            let key = relight.api_key(role).await;
            let run = generate(&program, &settings, &relight.base, &key).await;
            run.err().map(|said| format!("with a key of {}:\n{said}", role.name()))
        });
        let failed: Vec<_> = futures::future::join_all(runs).await.into_iter().flatten().collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        assert!(relight.event_count().await > events, "the ids of what is there were used");
    }
}
