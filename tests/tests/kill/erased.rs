//! SIGKILL while accounts are erased under load: each erasure that was taken in ends, and nothing of it is left in any table, nor in
//! the database's files once they were scrubbed.

use std::{fs, path::PathBuf, time::Duration};

use domain::{Connection, account::Plan};
use engine::{Database, Store, on_both_engines, sql};
use reqwest::StatusCode;
use store::testing::TestDatabase;
use tests::{browser::Browser, everything, fault_after, process::Settings, relight::PASSWORD, until};

use crate::ALONE;

/// How many are erased, and the program killed meanwhile, on each engine.
const KILLS: u32 = 6;
/// More logins one after another are refused: too many tries.
const MOST: u32 = 12;
const FIRST_ID: u64 = 17_841_400_000_200_000;

fn name(number: u32) -> String {
    format!("forget.me.{number}")
}

/// What its website and its widget service ask for, over and over.
async fn load(base: String, key: String, account: String, widget: String) {
    let client = Browser::new(&base).client;
    loop {
        let _ = client.get(format!("{base}/w/{widget}/feed.json")).send().await;
        let check = client.post(format!("{base}/api/v1/accounts/{account}/check")).bearer_auth(&key);
        let _ = check.send().await;
        tokio::task::yield_now().await;
    }
}

async fn events(store: &Store, account: &str, event: &str) -> i64 {
    sql("SELECT count(*) FROM events WHERE aggregate_id = $1 AND event_type = $2")
        .bind(account)
        .bind(event)
        .scalar(store.database())
        .await
        .expect("counted")
}

async fn is_asked(store: &Store, account: &str) -> bool {
    let asked = sql("SELECT EXISTS (SELECT 1 FROM erased_accounts WHERE account_id = $1)").bind(account);
    asked.scalar(store.database()).await.expect("read")
}

/// The files in which rows stand.
async fn files(store: &Store) -> Vec<PathBuf> {
    match store.database() {
        Database::Sqlite(pools) => {
            let file = "SELECT file FROM pragma_database_list WHERE name = 'main'";
            let file: String = sqlx::query_scalar(file).fetch_one(&pools.read).await.expect("read");
            vec![format!("{file}-wal").into(), file.into()]
        }
        Database::Postgres(pool) => {
            sqlx::query("CHECKPOINT").execute(pool).await.expect("done");
            let folder = "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database \
                          WHERE datname = current_database()";
            let folder: String = sqlx::query_scalar(folder).fetch_one(pool).await.expect("read");
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect()
        }
    }
}

on_both_engines! {
    async fn killed_while_it_erases_under_load_it_forgets_all_of_it(engine: Engine) {
        let _alone = ALONE.lock().await;
        let kills = crate::kills(KILLS).min(MOST);
        let sandbox = tests::sandbox().await;
        for number in 0..kills {
            sandbox.world().add_account(FIRST_ID + u64::from(number), &name(number), false);
        }
        let database = TestDatabase::new(engine).await;
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::new(&sandbox, &database, folder.path());
        let add = ["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"];
        assert!(settings.run(&add, PASSWORD).status.success());
        let key = settings.run(&["api-key", "create", "--name", "admin", "--role", "admin"], "").stdout;
        let key = String::from_utf8(key).expect("a text").trim().to_owned();
        let mut process = settings.start().await;
        let owner = Browser::new(&settings.base);
        owner.sign_in("ann@example.com", PASSWORD).await;
        let (store, mut accounts, mut loads) = (database.store().await, Vec::new(), Vec::new());
        for number in 0..kills {
            let account = owner.connect(Connection::Consumer, (FIRST_ID + u64::from(number)).to_string()).await;
            let widget = owner.add_widget(&account, Plan::Upgraded).await;
            let load = load(settings.base.clone(), key.clone(), account.clone(), widget);
            loads.push(tokio::spawn(load));
            accounts.push(account);
        }
        owner.until_fresh(&format!("/accounts/{}", accounts[0]), 1).await;
        // Statistics have samples of what stands in tables.
        sql("ANALYZE").execute(store.database()).await.expect("analysed");
        assert!(everything(store.database()).await.contains(&name(0)));
        let client = &owner.client;
        for (number, account) in (0_u32..).zip(&accounts) {
            let erase = || client.delete(format!("{}/api/v1/accounts/{account}", settings.base)).bearer_auth(&key).send();
            let moment = Duration::from_millis(u64::from(number * 37 % 60));
            let (answer, ()) = tokio::join!(erase(), async {
                fault_after(moment).await;
                process.kill();
            });
            process = settings.start().await;
            let is_answered = answer.is_ok_and(|answer| answer.status() == StatusCode::OK);
            assert!(!is_answered || is_asked(&store, account).await, "what was answered is lost");
            if !is_asked(&store, account).await {
                assert_eq!(erase().await.expect("answers").status(), StatusCode::OK);
            }
            // By itself, from where it was.
            until("the end of the erasure", async || events(&store, account, "Erased").await == 1).await;
            assert_eq!(events(&store, account, "ErasureRequested").await, 1);
        }
        loads.iter().for_each(tokio::task::JoinHandle::abort);
        let (status, said) = process.terminate().await;
        assert!(status.success(), "{said}");
        assert!(settings.run(&["erase", "--scrub"], "").status.success());
        let left = everything(store.database()).await;
        for (number, account) in (0_u32..).zip(&accounts) {
            let id = (FIRST_ID + u64::from(number)).to_string();
            for gone in [name(number), id] {
                let lines: Vec<_> = left.lines().filter(|line| line.contains(&gone)).collect();
                assert!(lines.is_empty(), "{account}: {lines:?}");
            }
        }
        for file in files(&store).await {
            let bytes = fs::read(&file).unwrap_or_default();
            let found = bytes.windows(10).position(|window| window == b"forget.me.");
            let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())]).into_owned());
            assert_eq!(around, None, "{}", file.display());
        }
    }
}
