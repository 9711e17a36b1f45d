//! What is wrong with a setting is one sentence that names the key.

use std::process::Output;

use engine::testing::Engine;
use store::testing::TestDatabase;
use tests::process::Settings;

struct Place {
    settings: Settings,
    _sandbox: sandbox::Sandbox,
    _database: TestDatabase,
    folder: tempfile::TempDir,
}

async fn place() -> Place {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(Engine::Sqlite).await;
    let folder = tempfile::tempdir().expect("a folder");
    Place {
        settings: Settings::new(&sandbox, &database, folder.path()),
        _sandbox: sandbox,
        _database: database,
        folder,
    }
}

/// The one line that a start ended with.
fn sentence(output: &Output) -> String {
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<_> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert_eq!(lines.len(), 1, "one sentence: {said}");
    lines[0].to_owned()
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_a_sentence_that_names_it() {
    let place = place().await;
    let secret = "not-to-be-shown";
    for (key, value, name) in [
        ("HTTP__LISTEN", "nowhere", "http.listen"),
        ("HTTP__PUBLIC_URL", "relight", "http.public_url"),
        ("HTTP__TRUSTED_PROXIES", "everybody", "http.trusted_proxies"),
        ("DATABASE__URL", "mysql://not-to-be-shown@x/y", "database.url"),
        ("DATABASE__URL", "postgres://me:not-to-be-shown@127.0.0.1:1/relight", "database.url"),
        ("DATABASE__CONNECTIONS", "0", "database.connections"),
        ("VAULT__KEYS", "not-to-be-shown", "vault.keys"),
        ("INSTAGRAM__GRAPH_URL", "graph", "instagram.graph_url"),
        ("INSTAGRAM__APP_SECRET_FILE", "/does/not/exist", "RELIGHT_INSTAGRAM__APP_SECRET_FILE"),
        ("PULL__WORKERS", "many", "pull.workers"),
        ("PULL__UPGRADED_MINUTES", "0", "pull.upgraded_minutes"),
        ("HTTP__LISTENN", "127.0.0.1:1", "http.listenn"),
    ] {
        let mut settings = place.settings.clone();
        if key == "INSTAGRAM__APP_SECRET_FILE" {
            settings.unset("INSTAGRAM__APP_SECRET");
        }
        let said = sentence(&settings.set(key, value).run(&["serve"], ""));
        assert!(said.contains(name), "{key}={value}: {said}");
        assert!(!said.contains(secret), "{key}: {said}");
    }
}

#[tokio::test]
async fn a_missing_setting_stops_the_start_with_a_sentence_that_names_it() {
    let place = place().await;
    let mut half = place.settings.clone();
    half.unset("INSTAGRAM__APP_SECRET");
    assert!(sentence(&half.run(&["serve"], "")).contains("instagram.app_secret"));
    let mut none = place.settings.clone();
    for key in ["INSTAGRAM__APP_ID", "INSTAGRAM__APP_SECRET", "FACEBOOK__APP_ID", "FACEBOOK__APP_SECRET"] {
        none.unset(key);
    }
    let said = sentence(&none.run(&["serve"], ""));
    assert!(said.contains("instagram.app_id") && said.contains("facebook.app_id"), "{said}");
    let postgres = TestDatabase::new(Engine::Postgres).await;
    let mut keyless = place.settings.clone();
    keyless.set("DATABASE__URL", postgres.url()).unset("VAULT__KEYS");
    assert!(sentence(&keyless.run(&["serve"], "")).contains("vault.keys"));
}

#[tokio::test]
async fn a_file_is_read_and_the_environment_wins() {
    let place = place().await;
    let file = place.folder.path().join("relight.toml");
    std::fs::write(&file, "[http]\nlisten = \"here\"\n").expect("written");
    let mut settings = place.settings.clone();
    settings.unset("HTTP__LISTEN");
    assert!(sentence(&settings.run(&["serve"], "")).contains("http.listen"));
    place.settings.start().await;
    std::fs::write(&file, "[http]\nport = 1\n").expect("written");
    assert!(sentence(&place.settings.run(&["serve"], "")).contains("port"));
    let other = place.folder.path().join("other.toml");
    assert!(sentence(&place.settings.run(&["serve", "--config", "missing.toml"], "")).contains("missing.toml"));
    std::fs::write(&other, "").expect("written");
    let output = place.settings.run(&["migrate", "--config", "other.toml"], "");
    assert!(output.status.success());
}
