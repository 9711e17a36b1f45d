//! Keys of the vault: every sealed column is on the list, nothing is lost while rows are sealed anew, and how long links
//! need their key.

use std::collections::BTreeSet;

use api::sign_in::Role;
use chrono::TimeDelta;
use commands::{
    Commands, Vault, new_id,
    vault::{
        tables::{ALL, SealedTable},
        usage,
    },
};
use domain::{AccountId, TokenId};
use engine::{Database, on_both_engines};
use futures::{StreamExt, stream};
use sandbox::person::Consent;
use secrecy::ExposeSecret;
use store::testing::metadata;
use tests::{process::VAULT_KEYS, relight::Relight};

const K2: &str = "k2:c2Vjb25kIGtleSBvZiB0aGUgcmluZywgMzIgYnl0ZXM=";

/// Columns of bytes that aren't sealed: hashes, and sessions as their library writes them.
const NOT_SEALED: [(&str, &str); 9] = [
    ("_sqlx_migrations", "checksum"),
    ("answers", "request_hash"),
    ("api_keys", "key_hash"),
    ("attempts", "cookie_hash"),
    ("attempts", "state_hash"),
    ("browser_sessions", "id_hash"),
    ("sessions", "data"),
    ("keyed_requests", "request_hash"),
    ("write_probe", "filling"),
];

fn ring(keys: &str) -> Vault {
    Vault::new(&keys.to_owned().into()).expect("a ring")
}

/// Every column: its table, its name, and whether it holds bytes.
async fn columns(database: &Database) -> Vec<(String, String, bool)> {
    match database {
        Database::Postgres(pool) => {
            let sql = "SELECT table_name::text, column_name::text, data_type = 'bytea' \
                       FROM information_schema.columns WHERE table_schema = 'public'";
            sqlx::query_as(sql).fetch_all(pool).await.expect("columns")
        }
        Database::Sqlite(pools) => {
            let sql = "SELECT m.name, c.name, c.type = 'BLOB' FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                       WHERE m.type = 'table' AND m.name NOT LIKE 'profiles\\_search%' ESCAPE '\\'";
            sqlx::query_as(sql).fetch_all(&pools.read).await.expect("columns")
        }
    }
}

/// How many accounts have links that need a key.
async fn accounts_with_links(relight: &Relight) -> i64 {
    let counted = usage::counts(relight.store().database(), relight.clock.now()).await.expect("counted");
    let of_k1 = counted.get("k1").into_iter().flatten();
    of_k1.filter(|count| count.table == "reconnect_links").map(|count| count.rows).sum()
}

on_both_engines! {
    async fn every_column_with_sealed_bytes_or_a_key_id_is_on_the_list(engine: Engine) {
        let relight = Relight::start(engine).await;
        let listed: BTreeSet<_> = ALL.iter()
            .flat_map(|table: &&SealedTable| [(table.name, table.sealed), (table.name, table.key_id)]).collect();
        let columns = columns(relight.store().database()).await;
        let mut found = BTreeSet::new();
        for (table, column, is_bytes) in &columns {
            let column = (table.as_str(), column.as_str());
            let is_key_id = column.1.ends_with("key_id") || column.1.contains("sealed_key");
            if (*is_bytes && !NOT_SEALED.contains(&column)) || is_key_id {
                assert!(listed.contains(&column), "{column:?} belongs into commands/src/vault/tables.rs");
                found.insert(column);
            }
        }
        assert_eq!(found, listed, "the list has columns that are not there");
    }

    async fn a_token_that_is_replaced_while_rows_are_sealed_anew_stays(engine: Engine) {
        const ACCOUNTS: usize = 250;
        const ROUNDS: usize = 8;
        let relight = Relight::start(engine).await;
        // Another connection, as the command's process has one.
        let other = relight.database.store().await;
        let (old, both) = (ring(VAULT_KEYS), ring(&format!("{K2},{VAULT_KEYS}")));
        let accounts: Vec<_> = (0..ACCOUNTS).map(|_| AccountId::new(new_id())).collect();
        let now = relight.clock.now();
        let replace = async |account: AccountId, vault: &Vault, text: String| {
            let mut unit = relight.store().unit(metadata(now));
            let token = TokenId::new(new_id());
            unit.write(vault.keep(account, token, &text.into(), now).expect("sealed"));
            unit.commit().await.expect("committed");
        };
        for account in &accounts {
            replace(*account, &old, format!("{account} first")).await;
        }
        let reseal = tokio::spawn({
            let both = both.clone();
            async move { both.reseal(other.database(), &|_| {}).await }
        });
        for round in 0..ROUNDS {
            // Nodes that have the new ring already, and some that seal with the old key still.
            let vault = if round % 2 == 0 { &old } else { &both };
            stream::iter(&accounts).for_each_concurrent(16, |account| replace(*account, vault, format!("{account} {round}"))).await;
        }
        reseal.await.expect("ended").expect("resealed");
        let done = both.reseal(relight.store().database(), &|_| {}).await.expect("resealed");
        assert_eq!((done.unopened, done.coming), (0, 0));
        assert_eq!(both.outdated(relight.store().database()).await.expect("counted"), 0);
        let commands = Commands { vault: ring(K2), ..relight.commands().clone() };
        for account in &accounts {
            let opened = commands.open_token(*account).await.expect("opens under the new key alone");
            assert_eq!(opened.token.expose_secret(), format!("{account} {}", ROUNDS - 1), "the newest token stays");
        }
    }

    async fn a_key_is_needed_as_long_as_links_that_it_signed_work(engine: Engine) {
        let relight = Relight::start(engine).await;
        let owner = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = relight.connected(&owner, "luma.ceramics").await;
        let id: AccountId = account.parse().expect("an id");
        let link = async || relight.commands().make_link(id, domain::LinkId::new(new_id())).await.expect("a link");
        let first = link().await;
        link().await;
        assert_eq!(accounts_with_links(&relight).await, 1, "one row an account, however many links");
        // Used up by a refresh.
        let path = first.strip_prefix(&relight.base).expect("ours").to_owned();
        relight.browser().result(&path, &[], &Consent::of(relight.holder("luma.ceramics"))).await.says("is refreshed");
        assert_eq!(accounts_with_links(&relight).await, 0);
        // Over by time.
        link().await;
        relight.pass(TimeDelta::days(31));
        assert_eq!(accounts_with_links(&relight).await, 0);
        // Dead with the connection.
        link().await;
        assert_eq!(accounts_with_links(&relight).await, 1);
        owner.press(&format!("/accounts/{account}/disconnect"), &[("sure", "yes")]).await;
        assert_eq!(accounts_with_links(&relight).await, 0);
    }

    async fn the_first_admins_link_works_on_after_a_change_of_keys(engine: Engine) {
        let relight = Relight::start_with(engine, |config| {
            config.vault.keys = Some(format!("{K2},{VAULT_KEYS}").into());
        }).await;
        let printed = format!("/setup/{}", ring(VAULT_KEYS).one_time("first admin"));
        assert_ne!(printed, relight.setup_path());
        for path in [printed, relight.setup_path()] {
            relight.browser().open(&path).await.says("Welcome to Relight");
        }
        let unknown = ring("k1:b3RoZXIga2V5IHVuZGVyIHRoZSBzYW1lIGlkISEhISE=").one_time("first admin");
        assert_eq!(relight.browser().ask(&format!("/setup/{unknown}")).await.status(), 404);
    }
}
