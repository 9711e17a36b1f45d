//! Nothing secret stands in a whole run's output, in pages, events or rows: only the vault's ciphertext holds tokens.

use domain::account::Plan;
use engine::{Database, on_both_engines};
use sandbox::{
    Action,
    FaultKind::{BadGateway, Html, Transient, Truncated, Unavailable, WrongTypes},
    person::{Consent, consent},
};
use store::testing::TestDatabase;
use tests::{
    browser::{Browser, location},
    process::{Settings, VAULT_KEYS},
    relight::PASSWORD,
};
use url::Url;

/// Every row of every table as text.
async fn dump(database: &Database) -> String {
    let mut dump = String::new();
    match database {
        Database::Sqlite(pools) => {
            let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
                .fetch_all(&pools.read)
                .await
                .expect("tables");
            for table in tables {
                let columns: Vec<String> =
                    sqlx::query_scalar(&format!("SELECT name FROM pragma_table_info('{table}')"))
                        .fetch_all(&pools.read)
                        .await
                        .expect("columns");
                let all: Vec<_> =
                    columns.iter().map(|name| format!("coalesce(CAST(\"{name}\" AS TEXT), '')")).collect();
                let sql = format!("SELECT {} FROM \"{table}\"", all.join(" || ' ' || "));
                let rows: Vec<Vec<u8>> =
                    sqlx::query_scalar(&format!("SELECT CAST(({}) AS BLOB) FROM \"{table}\"", all.join(" || ' ' || ")))
                        .fetch_all(&pools.read)
                        .await
                        .unwrap_or_else(|error| panic!("{sql}: {error}"));
                for row in rows {
                    dump.push_str(&String::from_utf8_lossy(&row));
                }
            }
        }
        Database::Postgres(pool) => {
            let tables: Vec<String> =
                sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                    .fetch_all(pool)
                    .await
                    .expect("tables");
            for table in tables {
                let rows: Vec<String> = sqlx::query_scalar(&format!("SELECT t::text FROM \"{table}\" t"))
                    .fetch_all(pool)
                    .await
                    .expect("rows");
                dump.push_str(&rows.join("\n"));
                // Bytes as PostgreSQL shows them are hex: look inside as well.
                for row in rows {
                    for hex in row.split("\\x").skip(1) {
                        let digits: String = hex.chars().take_while(char::is_ascii_hexdigit).collect();
                        let bytes: Vec<u8> = (0..digits.len() / 2)
                            .filter_map(|index| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok())
                            .collect();
                        dump.push_str(&String::from_utf8_lossy(&bytes));
                    }
                }
            }
        }
    }
    dump
}

/// Goes through a login, and keeps what travelled through the browser's address bar.
async fn walk(browser: &Browser, button: &str, answer: &Consent, travelled: &mut Vec<String>) -> String {
    let login = Url::parse(&location(&browser.press(button, &[]).await)).expect("a URL");
    let back = consent(&browser.client, &login, answer).await.expect("back");
    let secret =
        |(name, value): (_, std::borrow::Cow<'_, str>)| (name == "code" || name == "state").then(|| value.into_owned());
    travelled.extend(back.query_pairs().filter_map(secret));
    browser.come_back(&back).await.expect("a result page")
}

on_both_engines! {
    async fn only_the_vaults_ciphertext_holds_tokens(engine: Engine) {
        let sandbox = tests::sandbox().await;
        let database = TestDatabase::new(engine).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(&sandbox, &database, folder.path());
        // More than anybody should ever switch on: what our libraries say at their most talkative is looked at too.
        settings.set("LOG", "trace");
        for (email, role) in [("ann@example.com", "owner"), ("root@example.com", "admin")] {
            let add = ["user", "add", "--email", email, "--role", role, "--password-stdin"];
            assert!(settings.run(&add, PASSWORD).status.success());
        }
        let key = settings.run(&["api-key", "create", "--name", "w", "--role", "service"], "");
        let key = String::from_utf8(key.stdout).expect("a key").trim().to_owned();
        let process = settings.start().await;
        let holder = |name: &str| {
            let world = sandbox.world();
            world.account_id(name).or_else(|| world.person_id(name)).expect("in the cast")
        };
        let act = |action| sandbox.act(action).expect("done");
        let owner = Browser::new(&settings.base);
        owner.sign_in("ann@example.com", PASSWORD).await;
        let mut secrets = Vec::new();
        walk(&owner, "/connect/consumer", &Consent::of(holder("luma.ceramics")), &mut secrets).await;
        let list = owner.until("/accounts", "@luma.ceramics").await.html;
        let account = list.split("href=\"/accounts/").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
        let here = format!("/accounts/{account}");
        owner.add_widget(&account, Plan::Upgraded).await;
        owner.until_fresh(&here, 1).await;
        let mia = walk(&owner, "/connect/business", &Consent::of(holder("Mia Berg")), &mut secrets).await;
        walk(&owner, "/connect/business", &Consent::of(holder("Ken Sato")), &mut secrets).await;
        // Whatever can go wrong at Meta goes wrong, in a login and in a check.
        for kind in [BadGateway, Html, Transient, Truncated, Unavailable, WrongTypes] {
            act(Action::Fail { kind, calls: 6, holder: None, path: None });
            owner.press(&format!("{here}/check"), &[]).await;
            let path = walk(&owner, &format!("{here}/refresh"), &Consent::of(holder("luma.ceramics")), &mut secrets).await;
            owner.open(&path).await;
            act(Action::StopFailing);
        }
        act(Action::ChangePassword { holder: "luma.ceramics".to_owned() });
        owner.press(&format!("{here}/check"), &[]).await;
        owner.until(&here, "Expired").await;
        owner.press(&format!("{here}/link"), &[]).await;
        let link = owner.open(&here).await.text();
        let link = link.split("/r/").nth(1).and_then(|rest| rest.split(' ').next()).expect("a link").to_owned();
        Browser::new(&settings.base).open(&format!("/r/{link}")).await.says("Reconnect");
        walk(&owner, &format!("{here}/refresh"), &Consent::of(holder("luma.ceramics")), &mut secrets).await;
        let api = owner.client.get(format!("{}/api/v1/accounts", settings.base)).bearer_auth(&key);
        let mut shown = api.send().await.expect("an answer").text().await.expect("a text");
        assert!(shown.contains("luma"));
        let admin = Browser::new(&settings.base);
        admin.sign_in("root@example.com", PASSWORD).await;
        for path in [here.as_str(), "/accounts", "/events", "/operations", mia.as_str()] {
            shown.push_str(&admin.open(path).await.html);
            shown.push_str(&owner.open(path).await.html);
        }
        let config = sandbox.config();
        secrets.extend([config.instagram_app.1.clone(), config.facebook_app.1.clone(), PASSWORD.to_owned(), key, link]);
        secrets.push(VAULT_KEYS.trim_start_matches("k1:").to_owned());
        secrets.extend(sandbox.world().tokens.keys().cloned());
        assert!(secrets.len() > 30, "there was something to look for: {}", secrets.len());
        let (status, said) = process.terminate().await;
        assert!(status.success() && said.contains("a code was not exchanged") && said.contains("TRACE"));
        let store = database.store().await;
        let kept = dump(store.database()).await;
        assert!(kept.contains("luma.ceramics") && kept.contains("Refreshed"), "the dump has what it should");
        for secret in secrets {
            for (place, text) in [("the output", &said), ("the database", &kept), ("a page", &shown)] {
                let line = text.lines().find(|line| line.contains(&secret)).unwrap_or_default();
                assert!(line.is_empty(), "{place} has a secret: {}", line.chars().take(300).collect::<String>());
            }
        }
        // Neither the log nor events name a person: no name, no address, none of Meta's ids.
        let mut events = String::new();
        for event in store.events_after(0, 1_000).await.expect("events") {
            events.extend([&event.payload, &event.metadata].map(|json| format!("{json}\n")));
        }
        for personal in ["luma.ceramics", &holder("luma.ceramics"), "24000000000000001", "ann@example.com", "Mia Berg"] {
            for (place, text) in [("the output", &said), ("an event", &events)] {
                let line = text.lines().find(|line| line.contains(personal)).unwrap_or_default();
                assert!(line.is_empty(), "{place} names a person: {line}");
            }
        }
    }
}
