//! A million accounts: how long the dashboard's list, its pages, filters and searches take, and the same by the API.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use engine::{
    Database, Options, sql,
    sqlx::{self, Row as _},
    testing::Engine,
};
use reqwest::Client;
use tests::{browser::Browser, process::Settings, relight::PASSWORD};

use crate::{
    bench::Bench,
    figure::{Figure, number, p99},
    serve::{Place, memory_mib, place},
};

const ACCOUNTS: u32 = 1_000_000;
/// How often each is asked for.
const ROUNDS: u32 = 60;

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let (accounts, rounds) = (bench.size(ACCOUNTS), bench.fewer(ROUNDS));
    let Place { settings, database, .. } = &place(engine).await?;
    let add = ["user", "add", "--email", "admin@example.com", "--role", "admin", "--password-stdin"];
    ensure!(settings.run(&add, PASSWORD).status.success(), "the admin can't be added");
    let opened = Database::open(database.url(), Options::default()).await?;
    fill(&opened, accounts).await?;
    let one = some_account(&opened).await?;
    opened.close().await;
    let process = settings.start().await;
    let admin = Browser::new(&settings.base);
    admin.sign_in("admin@example.com", PASSWORD).await;
    let api = Api::new(settings)?;
    let (mut pages, mut answers) = (Vec::new(), Vec::new());
    let mut before = 0.0;
    for round in 0..rounds {
        // A name that is there once, a part that all have, one that every hundredth has; and not the same each time.
        let name = format!("{:07}", (u64::from(round) * 7_919_003) % u64::from(accounts));
        for query in [String::new(), "?status=expired".to_owned(), "?status=disconnected".to_owned()]
            .into_iter()
            .chain([name.as_str(), "shop", "77.sho", "sh"].map(|q| format!("?q={q}")))
            .chain(["active", "expired", "disconnected"].map(|status| format!("?q=shop&status={status}")))
            .chain([format!("?q={name}&status=active"), format!("?after=shop.{name}.shop~0")])
        {
            pages.push(timed(async { Ok(admin.ask(&format!("/accounts{query}")).await.error_for_status()?) }).await?);
            answers.push(timed(api.get(&format!("/accounts{query}"))).await?);
        }
        answers.push(timed(api.get(&format!("/accounts/{one}"))).await?);
        if round == rounds / 3 {
            before = memory_mib(process.id())?;
        }
    }
    let grown = memory_mib(process.id())? - before;
    let name = format!("the list of {} accounts, filtered and searched", number(f64::from(accounts)));
    bench.figure(Figure::alone(format!("{name}: a page, p99"), p99(pages), "ms", "≤ 15"));
    bench.figure(Figure::alone(format!("{name}: an answer of the API, p99"), p99(answers), "ms", "≤ 15"));
    bench.figure(Figure::alone(format!("{name}: memory (VmRSS) after a third of these"), before, "MiB", ""));
    bench.figure(Figure::alone(format!("{name}: how much it grew over the rest"), grown, "MiB", "flat"));
    Ok(())
}

/// Someone with a key.
struct Api {
    client: Client,
    base: String,
    key: String,
}

impl Api {
    fn new(settings: &Settings) -> Result<Self> {
        let made = settings.run(&["api-key", "create", "--name", "bench", "--role", "service"], "");
        ensure!(made.status.success(), "no key");
        let key = String::from_utf8(made.stdout)?.trim().to_owned();
        Ok(Self { client: Browser::new(&settings.base).client, base: settings.base.clone(), key })
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let url = format!("{}/api/v1{path}", self.base);
        Ok(self.client.get(url).bearer_auth(&self.key).send().await?.error_for_status()?)
    }
}

/// How long until the last byte, in milliseconds.
async fn timed(asked: impl Future<Output = Result<reqwest::Response>>) -> Result<f64> {
    let begun = Instant::now();
    let body = asked.await?.bytes().await?;
    ensure!(!body.is_empty(), "an empty answer");
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}

async fn some_account(database: &Database) -> Result<String> {
    let sql = "SELECT account_id FROM profiles WHERE username_lower = 'shop.0000777.shop'";
    let row: String = match database {
        Database::Postgres(pool) => sqlx::query(sql).fetch_one(pool).await?.try_get(0)?,
        Database::Sqlite(pools) => sqlx::query(sql).fetch_one(&pools.read).await?.try_get(0)?,
    };
    Ok(row)
}

/// So many accounts, one in 50 expired, one in 20,000 disconnected; as the views and profiles would have them.
async fn fill(database: &Database, accounts: u32) -> Result<()> {
    let (numbers, padded, id) = match database {
        Database::Postgres(_) => (
            format!("SELECT n FROM generate_series(0, {accounts} - 1) AS n"),
            "lpad(n::text, 7, '0')",
            "'00000000-0000-7000-8000-' || lpad(((n * 7919003::bigint) % 1000000007)::text, 12, '0')",
        ),
        Database::Sqlite(_) => (
            format!(
                "WITH RECURSIVE all_of (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM all_of WHERE n + 1 < {accounts}) \
                     SELECT n FROM all_of"
            ),
            "printf('%07d', n)",
            "'00000000-0000-7000-8000-' || printf('%012d', (n * 7919003) % 1000000007)",
        ),
    };
    let at = "2026-09-01T00:00:00+00:00";
    let time = |after: &str| match database {
        Database::Postgres(_) => format!("'{at}'::timestamptz + ({after}) * interval '1 second'"),
        Database::Sqlite(_) => format!("strftime('%Y-%m-%dT%H:%M:%S+00:00', '{at}', ({after}) || ' seconds')"),
    };
    let (since, ends) = (time("n"), time("n + 5184000"));
    let status = "CASE WHEN n % 50 = 7 THEN 'expired' WHEN n % 20000 = 3 THEN 'disconnected' ELSE 'active' END";
    let statements = [
        format!(
            "INSERT INTO profiles (account_id, instagram_id, username, username_lower, updated_at) \
             SELECT {id}, CAST(n AS TEXT), 'Shop.' || {padded} || '.shop', 'shop.' || {padded} || '.shop', {since} \
             FROM ({numbers}) AS numbers"
        ),
        format!(
            "INSERT INTO account_status_v1 (account_id, connection, status, reason, since, generation, granted_at, \
             expires_at, data_access_estimated, free_widgets, upgraded_widgets, position) \
             SELECT {id}, 'consumer', {status}, CASE WHEN n % 50 = 7 THEN 'password_changed' END, {since}, 1, {since}, \
             {ends}, false, 1, 1, n FROM ({numbers}) AS numbers"
        ),
        "INSERT INTO account_counts_v1 SELECT status, count(*) FROM account_status_v1 GROUP BY status".to_owned(),
        "INSERT INTO checkpoints (name, version) VALUES ('account_status', 2), ('work', 2)".to_owned(),
    ];
    let mut tx = database.begin().await?;
    for statement in statements {
        sql(statement).execute(&mut tx).await.context("filling")?;
    }
    tx.commit().await?;
    if let Database::Postgres(pool) = database {
        sqlx::raw_sql("VACUUM ANALYZE profiles; ").execute(pool).await?;
        sqlx::raw_sql("VACUUM ANALYZE account_status_v1").execute(pool).await?;
    }
    Ok(())
}
