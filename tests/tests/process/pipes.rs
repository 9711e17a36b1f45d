//! Commands whose output goes into a pipe.

use engine::on_both_engines;
use store::testing::TestDatabase;
use tests::process::Settings;

on_both_engines! {
    async fn a_command_whose_reader_is_gone_ends_quietly(engine: Engine) {
        let (sandbox, folder) = (tests::sandbox().await, tempfile::tempdir().expect("a folder"));
        let database = TestDatabase::new(engine).await;
        let settings = Settings::new(&sandbox, &database, folder.path());
        for command in [&["doctor"] as &[&str], &["projections", "status"], &["keys", "status"]] {
            let (status, said) = settings.run_unread(command);
            assert!(status.code() == Some(0) && !said.contains("panicked"), "{command:?}: {status}, {said}");
        }
    }
}
