//! Nothing secret stands in pages, URLs, events or rows: only the vault's ciphertext holds tokens.

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use sandbox::{Action, person::Consent};
use store::{Database, on_both_engines};
use tests::relight::{PASSWORD, Relight};

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

on_both_engines! {
    async fn only_the_vaults_ciphertext_holds_tokens(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = owner.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        owner.add_widget(&account, Plan::Upgraded).await;
        owner.until(&format!("/accounts/{account}"), "fresh, ").await;
        let waiting = owner.log_in("/connect/business", &[], &Consent::of(relight.holder("Mia Berg"))).await.expect("a choice");
        relight.act(Action::ChangePassword { holder: "luma.ceramics".to_owned() });
        owner.press(&format!("/accounts/{account}/check"), &[]).await;
        owner.until(&format!("/accounts/{account}"), "Expired").await;
        owner.result(&format!("/accounts/{account}/refresh"), &[], &Consent::of(relight.holder("luma.ceramics"))).await;
        let admin = relight.signed_in("root@example.com", Role::Admin).await;
        let mut shown = String::new();
        for path in [format!("/accounts/{account}"), "/events".to_owned(), "/operations".to_owned(), waiting] {
            shown.push_str(&admin.open(&path).await.html);
            shown.push_str(&owner.open(&path).await.html);
        }
        let kept = dump(relight.store().database()).await;
        assert!(kept.contains("luma.ceramics") && kept.contains("Refreshed"), "the dump has what it should");
        let config = relight.sandbox.config();
        let mut secrets = vec![config.instagram_app.1.clone(), config.facebook_app.1.clone(), PASSWORD.to_owned()];
        secrets.extend(relight.sandbox.world().tokens.keys().cloned());
        assert!(secrets.len() > 6, "there were tokens to look for");
        for secret in secrets {
            assert!(!kept.contains(&secret), "the database holds a secret: {}…", &secret[..8]);
            assert!(!shown.contains(&secret), "a page shows a secret: {}…", &secret[..8]);
        }
        // Events name no person: neither names nor Meta's ids.
        for event in relight.journal(&account).await {
            let text = format!("{} {}", event.payload, event.metadata);
            for personal in ["luma", "17841400000000001", "24000000000000001", "ann@example.com"] {
                assert!(!text.contains(personal), "{}: {personal}", event.event_type);
            }
        }
    }
}
