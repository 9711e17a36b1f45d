//! What a database's schema is found to be, and that looking changes nothing.

use engine::{Database, Options, Schema, StoreError, on_both_engines, sql};
use store::testing::TestDatabase;

async fn opened(database: &TestDatabase) -> Database {
    Database::open(database.url(), Options { connections: 2, ..Options::default() }).await.expect("opens")
}

on_both_engines! {
    async fn an_empty_an_older_and_a_newer_schema_are_told_apart(engine: Engine) {
        let nothing = TestDatabase::empty(engine).await;
        let empty = opened(&nothing).await;
        assert_eq!(empty.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Missing);
        assert_eq!(empty.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Missing, "looking makes nothing");
        let test = TestDatabase::new(engine).await;
        let database = opened(&test).await;
        assert_eq!(database.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Current);
        let newest = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
        sql(newest).execute(&database).await.expect("deleted");
        assert_eq!(database.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Older);
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 99999999999999, description, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1";
        sql(newer).execute(&database).await.expect("inserted");
        assert_eq!(database.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Newer, "and one of ours is missing");
    }

    async fn a_newer_programs_schema_is_worked_with_while_that_allows_it(engine: Engine) {
        let test = TestDatabase::new(engine).await;
        let database = opened(&test).await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 99999999999999, description, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1";
        sql(newer).execute(&database).await.expect("inserted");
        assert_eq!(database.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Ahead);
        database.migrate(&store::MIGRATIONS).await.expect("it runs on it");
        sql("UPDATE minimum_program SET knows = 99999999999999").execute(&database).await.expect("raised");
        assert_eq!(database.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Newer);
        database.migrate(&store::MIGRATIONS).await.expect_err("not any more");
    }
}

#[tokio::test]
async fn a_missing_file_is_made_only_where_that_is_asked_for_and_never_readable_for_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("relight.db");
    let url = format!("sqlite://{}", file.display());
    let look = Options { create: false, ..Options::default() };
    assert!(matches!(Database::open(&url, look).await, Err(StoreError::NoFile)));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    let database = Database::open(&url, Options::default()).await.expect("made");
    database.migrate(&store::MIGRATIONS).await.expect("migrates");
    let modes = || {
        engine::files::of_sqlite(&file).map(|file| std::fs::metadata(file).expect("there").permissions().mode() & 0o777)
    };
    assert_eq!(modes(), [0o600; 3]);
    // As an earlier version left them.
    for file in engine::files::of_sqlite(&file) {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("opened to all");
    }
    let again = Database::open(&url, Options::default()).await.expect("opens");
    assert_eq!(modes(), [0o600; 3]);
    again.close().await;
    database.close().await;
    let looked = Database::open(&url, look).await.expect("opens what is there");
    assert_eq!(looked.schema(&store::MIGRATIONS).await.expect("looks"), Schema::Current);
    looked.close().await;
}
