//! The vault proves itself: keys that are missing, wrong or dropped stop the start, and how an old key goes out of use.

use domain::Connection;
use engine::{Store, on_both_engines, sql, testing::Engine};
use sandbox::Sandbox;
use serde_json::Value;
use store::testing::TestDatabase;
use tempfile::TempDir;
use tests::{
    browser::Browser,
    process::{Settings, VAULT_KEYS},
    relight::PASSWORD,
    until,
};

/// Another key, under the id of the tests' own.
const OTHER_K1: &str = "k1:b3RoZXIga2V5IHVuZGVyIHRoZSBzYW1lIGlkISEhISE=";
const K2: &str = "k2:c2Vjb25kIGtleSBvZiB0aGUgcmluZywgMzIgYnl0ZXM=";

struct Place {
    settings: Settings,
    sandbox: Sandbox,
    database: TestDatabase,
    folder: TempDir,
}

async fn place(engine: Engine) -> Place {
    let sandbox = tests::sandbox().await;
    let database = TestDatabase::new(engine).await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(&sandbox, &database, folder.path());
    Place { settings, sandbox, database, folder }
}

/// What a command printed, and whether it ended well.
fn run(settings: &Settings, arguments: &[&str]) -> (bool, String) {
    let output = settings.run(arguments, PASSWORD);
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (output.status.success(), said.concat())
}

/// A command must fail, and say all of this.
fn refuses(settings: &Settings, arguments: &[&str], words: &[&str]) {
    let (well, said) = run(settings, arguments);
    assert!(!well, "{arguments:?} is refused: {said}");
    for words in words {
        assert!(said.contains(words), "{arguments:?} says {words:?}: {said}");
    }
    for ring in [VAULT_KEYS, OTHER_K1, K2] {
        assert!(!said.contains(&ring[3..]), "a key is shown");
    }
}

fn does(settings: &Settings, arguments: &[&str]) -> String {
    let (well, said) = run(settings, arguments);
    assert!(well, "{arguments:?}: {said}");
    said
}

impl Place {
    /// Signs in, connects an account, and leaves the service running.
    async fn connected(&self) -> (tests::process::Process, Browser, String) {
        does(&self.settings, &["migrate"]);
        does(&self.settings, &["user", "add", "--email", "ann@example.com", "--role", "admin", "--password-stdin"]);
        let process = self.settings.start().await;
        let ann = Browser::new(&self.settings.base);
        ann.sign_in("ann@example.com", PASSWORD).await;
        let holder = self.sandbox.world().account_id("luma.ceramics").expect("in the cast");
        let account = ann.connect(Connection::Consumer, holder).await;
        (process, ann, account)
    }

    fn with_keys(&self, keys: &str) -> Settings {
        let mut settings = self.settings.clone();
        settings.set("VAULT__KEYS", keys);
        settings
    }

    async fn store(&self) -> Store {
        self.database.store().await
    }
}

/// What `keys status --json` says of one key.
fn key(settings: &Settings, id: &str) -> Value {
    let (_, said) = run(settings, &["keys", "status", "--json"]);
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("JSON: {said}"));
    let status: Value = serde_json::from_str(line).expect("JSON");
    let keys = status["keys"].as_array().expect("keys");
    keys.iter().find(|key| key["id"] == id).cloned().unwrap_or_default()
}

async fn rows_under(store: &Store, key: &str) -> i64 {
    sql("SELECT count(*) FROM vault WHERE key_id = $1").bind(key).scalar(store.database()).await.expect("counted")
}

async fn say(store: &Store, text: &'static str) {
    sql(text).execute(store.database()).await.expect("said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_restored_without_its_key_file_is_refused_and_no_key_is_made() {
    let mut place = place(Engine::Sqlite).await;
    place.settings.unset("VAULT__KEYS").unset("DATABASE__URL");
    let (process, _, account) = place.connected().await;
    process.terminate().await;
    let file = place.folder.path().join("data/vault.key");
    let kept = std::fs::read(&file).expect("a key file");
    std::fs::remove_file(&file).expect("removed");
    for arguments in
        [&["serve"][..], &["doctor"], &["keys", "status"], &["keys", "reseal"], &["reconnect-link", &account]]
    {
        refuses(
            &place.settings,
            arguments,
            &["data/vault.key is missing", "sealed with k1", "belongs to this database"],
        );
        assert!(!file.exists(), "{arguments:?} makes no key");
    }
    // A key that an earlier version would have made.
    std::fs::write(&file, OTHER_K1).expect("written");
    for arguments in [&["serve"][..], &["doctor"], &["reconnect-link", &account]] {
        refuses(&place.settings, arguments, &["the key configured as k1 does not open", "vault 1"]);
    }
    std::fs::write(&file, kept).expect("restored");
    assert!(does(&place.settings, &["doctor"]).contains("the vault's keys open what is sealed: k1"));
    place.settings.start().await;
}

on_both_engines! {
    async fn a_wrong_key_under_the_same_id_and_a_missing_one_stop_the_start(engine: Engine) {
        let place = place(engine).await;
        let (process, ..) = place.connected().await;
        process.terminate().await;
        let wrong = place.with_keys(OTHER_K1);
        for arguments in [&["serve"][..], &["doctor"]] {
            refuses(&wrong, arguments, &["the key configured as k1 does not open", "vault 1"]);
        }
        refuses(&wrong, &["keys", "status"], &["rows of k1 can't be opened"]);
        refuses(&wrong, &["keys", "status", "--every-row"], &["CAN'T BE OPENED: 1 of 1 rows"]);
        refuses(&wrong, &["keys", "reseal"], &["the key configured as k1 does not open"]);
        let dropped = place.with_keys(K2);
        for arguments in [&["serve"][..], &["doctor"]] {
            refuses(&dropped, arguments, &["no key k1 is configured, and rows are sealed under it (vault 1)", "relight keys reseal"]);
        }
        refuses(&dropped, &["keys", "status"], &["NOT CONFIGURED", "rows of k1 can't be opened"]);
        refuses(&dropped, &["keys", "reseal"], &["no key of vault.keys opens some rows (1)"]);
        assert_eq!(rows_under(&place.store().await, "k1").await, 1, "nothing was changed");
    }

    async fn readiness_and_operations_name_rows_that_no_key_opens(engine: Engine) {
        let place = place(engine).await;
        let (process, ann, _) = place.connected().await;
        ann.open("/operations").await.says("Opens what is sealed");
        let store = place.store().await;
        say(&store, "UPDATE vault SET key_id = 'k9'").await;
        let ready = async || {
            let answer = ann.ask("/readyz").await;
            (answer.status().as_u16(), answer.text().await.expect("a text"))
        };
        until("a node that isn't ready", async || ready().await.0 == 503).await;
        let (_, said) = ready().await;
        assert_eq!(said, "the vault's keys do not open what is sealed\n", "strangers read no more");
        ann.open("/operations").await.says("no key k9 is configured, and rows are sealed under it (vault 1)");
        say(&store, "UPDATE vault SET key_id = 'k1'").await;
        until("a node that is ready", async || ready().await.0 == 200).await;
        drop(process);
    }

    async fn a_key_is_dropped_when_its_rows_are_sealed_anew_and_its_links_are_over(engine: Engine) {
        let place = place(engine).await;
        let (process, ann, account) = place.connected().await;
        let hook = [("url", "https://hooks.example/relight")];
        ann.press("/webhooks", &hook).await;
        let link = does(&place.settings, &["reconnect-link", &account]);
        let link = link.trim().strip_prefix(&place.settings.base).expect("ours").to_owned();
        assert_eq!(key(&place.settings, "k1")["tables"]["reconnect_links"], 1);
        process.terminate().await;

        let both = place.with_keys(&format!("{K2},{VAULT_KEYS}"));
        let process = both.start().await;
        let said = does(&both, &["keys", "status"]);
        assert!(said.contains("k1    opens") && said.contains("k2    seals"), "{said}");
        let said = does(&both, &["keys", "reseal"]);
        assert!(said.contains("Rows sealed anew under k2: 2.") && said.contains("k1 is still needed until"), "{said}");
        let old = key(&both, "k1");
        assert_eq!((&old["rows"], &old["tables"]["vault"], &old["tables"]["webhook_endpoints"]), (&1.into(), &0.into(), &0.into()));
        assert_eq!(key(&both, "k2")["tables"]["vault"], 1);
        let ann = Browser::new(&place.settings.base);
        ann.open(&link).await.says("Reconnect @luma.ceramics");
        process.terminate().await;

        let new = place.with_keys(K2);
        for arguments in [&["serve"][..], &["doctor"]] {
            refuses(&new, arguments, &["no key k1 is configured", "reconnect links (of 1 accounts)", "revoke-links k1"]);
        }
        assert!(does(&new, &["keys", "revoke-links", "k1"]).contains("signed (of 1 accounts)"));
        let process = new.start().await;
        assert_eq!(key(&new, "k1"), Value::Null);
        ann.open(&link).await.says("This link is not complete");
        // The token that was sealed anew is used.
        ann.sign_in("ann@example.com", PASSWORD).await;
        ann.press(&format!("/accounts/{account}/check"), &[]).await;
        ann.until(&format!("/accounts/{account}"), "Active").await;
        let (_, said) = process.terminate().await;
        assert!(!said.contains("can't be opened"), "{said}");
    }

    async fn a_reseal_that_was_killed_goes_on_where_it_was(engine: Engine) {
        const ROWS: i64 = 1_500;
        let place = place(engine).await;
        let store = place.store().await;
        let old = commands::Vault::new(&VAULT_KEYS.to_owned().into()).expect("a ring");
        let now = commands::Clock::default().now();
        let mut unit = store.unit(store::testing::metadata(now));
        for number in 0..ROWS {
            let account = domain::AccountId::new(commands::new_id());
            let token = domain::TokenId::new(commands::new_id());
            unit.write(old.keep(account, token, &format!("token {number}").into(), now).expect("sealed"));
        }
        unit.commit().await.expect("kept");
        let both = place.with_keys(&format!("{K2},{VAULT_KEYS}"));
        let mut runs = 0;
        while rows_under(&store, "k1").await == ROWS || runs == 0 {
            let reseal = both.spawn_with(&["keys", "reseal"]);
            until("the first rows", async || rows_under(&store, "k2").await > 0).await;
            reseal.kill();
            runs += 1;
        }
        let (left, done) = (rows_under(&store, "k1").await, rows_under(&store, "k2").await);
        assert!(left > 0 && done > 0, "it was killed in the middle: {left} and {done}");
        assert_eq!(left + done, ROWS);
        let said = does(&both, &["keys", "reseal"]);
        assert!(said.contains(&format!("Rows sealed anew under k2: {left}.")), "{said}");
        let new = place.with_keys(K2);
        does(&new, &["keys", "status", "--every-row"]);
        assert_eq!(key(&new, "k2")["tables"]["vault"], ROWS);
    }
}
