//! What commands make: only `serve`, `migrate` and `demo` make files and schemas, and what they make is their owner's alone.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path};

use engine::{Schema, on_both_engines, sql, testing::Engine};
use store::testing::TestDatabase;
use tests::{process::Settings, relight::PASSWORD};

const ACCOUNT: &str = "01900000-0000-7000-8000-000000000000";
/// All commands but those that make the database.
const COMMANDS: [&[&str]; 11] = [
    &["doctor"],
    &["history", ACCOUNT],
    &["projections", "status"],
    &["projections", "rebuild", "work"],
    &["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"],
    &["api-key", "create", "--name", "w", "--role", "service"],
    &["reconnect-link", ACCOUNT],
    &["keys", "status"],
    &["keys", "status", "--json", "--every-row"],
    &["keys", "reseal"],
    &["keys", "revoke-links", "k1"],
];

/// Each command must fail and say this.
fn all_refuse(settings: &Settings, words: &str) {
    for arguments in COMMANDS {
        let output = settings.run(arguments, PASSWORD);
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(!output.status.success(), "{arguments:?} is refused: {said}");
        assert!(said.contains(words), "{arguments:?} says {words:?}: {said}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o7777
}

fn with_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode is set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_empty_folder_no_command_but_serve_and_migrate_makes_a_file() {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(Engine::Sqlite).await;
    for keys in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(&sandbox, &database, folder.path());
        settings.unset("DATABASE__URL");
        if !keys {
            settings.unset("VAULT__KEYS");
        }
        all_refuse(&settings, "relight migrate");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "it is left empty");
        assert!(settings.run(&["migrate"], "").status.success());
        assert!(folder.path().join("data/relight.db").exists());
        let doctor = settings.run(&["doctor"], "");
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(doctor.status.success(), "{said}");
        assert_eq!(said.contains("the first `relight serve` makes the vault's key"), !keys, "{said}");
        assert!(!folder.path().join("data/vault.key").exists());
    }
}

on_both_engines! {
    async fn a_schema_that_is_missing_older_or_newer_is_named_and_left(engine: Engine) {
        let sandbox = tests::sandbox().await;
        let folder = tempfile::tempdir().expect("a folder");
        let empty = TestDatabase::empty(engine).await;
        all_refuse(&Settings::new(&sandbox, &empty, folder.path()), "run `relight migrate`");
        let database = TestDatabase::new(engine).await;
        let settings = Settings::new(&sandbox, &database, folder.path());
        let store = database.store().await;
        let newest = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
        sql(newest).execute(store.database()).await.expect("deleted");
        all_refuse(&settings, "the schema of an older version: run `relight migrate`");
        assert_eq!(store.database().schema(&store::MIGRATIONS).await.expect("looks"), Schema::Older, "it is left so");
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 99999999999999, description, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1";
        sql(newer).execute(store.database()).await.expect("inserted");
        all_refuse(&settings, "the schema of a newer version");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "no file is made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_folder_and_its_files_are_their_owners_alone_also_when_they_were_open() {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(Engine::Sqlite).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::new(&sandbox, &database, folder.path());
    settings.unset("DATABASE__URL").unset("VAULT__KEYS");
    let data = folder.path().join("data");
    let files = ["relight.db", "relight.db-wal", "relight.db-shm", "vault.key"].map(|name| data.join(name));
    let are_closed = || {
        assert_eq!(mode(&data), 0o700);
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
    };
    let process = settings.start().await;
    are_closed();
    // Killed, so that the files beside the database stay.
    process.kill();
    for file in &files {
        with_mode(file, 0o644);
    }
    with_mode(&data, 0o755);
    let doctor = settings.run(&["doctor"], "");
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("vault.key is open to other users of this machine (mode 0644)"), "{said}");
    let process = settings.start().await;
    are_closed();
    let (_, said) = process.terminate().await;
    assert!(!said.contains("is open to other users"), "{said}");
    // A folder that is meant for all users is left so, said, and worked with.
    with_mode(&data, 0o1777);
    let process = settings.start().await;
    let (_, said) = process.terminate().await;
    assert_eq!(mode(&data), 0o1777);
    assert_eq!(said.matches("is open to other users of this machine (mode 1777)").count(), 1, "{said}");
}
