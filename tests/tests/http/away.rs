//! A database that moved: its old server is a standby now, or shuts down.

use ::api::sign_in::Role;
use domain::Connection as Login;
use engine::{
    Database, on_both_engines, sql,
    sqlx::{self, ConnectOptions, Connection, PgConnection},
    testing::{Engine, until},
};
use reqwest::{Method, StatusCode};
use tests::relight::Relight;

/// What an operator does at the server, on a connection that stays as it is.
async fn operator(relight: &Relight) -> PgConnection {
    let Database::Postgres(pool) = relight.store().database() else { panic!("PostgreSQL") };
    let mut connection = pool.connect_options().connect().await.expect("connects");
    run(&mut connection, "SET default_transaction_read_only = off").await;
    connection
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sql).execute(connection).await.expect("the server does as told");
}

/// Ends all connections but the operator's.
async fn end_all(connection: &mut PgConnection) {
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    run(connection, others).await;
}

async fn add_widget(relight: &Relight, account: &str, key: &str) -> (StatusCode, bool) {
    let request =
        relight.browser().client.request(Method::POST, format!("{}/api/v1/accounts/{account}/widgets", relight.base));
    let answer = request.bearer_auth(key).json(&serde_json::json!({"plan": "free"})).send().await.expect("an answer");
    (answer.status(), answer.headers().contains_key("retry-after"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_is_answered_with_503_and_left_as_soon_as_there_is_a_new_one() {
    let relight = Relight::start(Engine::Postgres).await;
    let ann = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = ann.connect(Login::Consumer, relight.holder("luma.ceramics")).await;
    let key = relight.api_key(Role::Service).await;
    assert_eq!(add_widget(&relight, &account, &key).await.0, StatusCode::CREATED);
    let mut operator = operator(&relight).await;
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut operator).await.expect("a name");
    // New connections can only read from here on, as those to a standby; the old ones are gone.
    run(&mut operator, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    end_all(&mut operator).await;
    until("it is noticed", async || relight.browser().ask("/readyz").await.status() == StatusCode::SERVICE_UNAVAILABLE)
        .await;
    for _ in 0..24 {
        assert_eq!(add_widget(&relight, &account, &key).await, (StatusCode::SERVICE_UNAVAILABLE, true));
    }
    let words = relight.browser().ask("/readyz").await.text().await.expect("a text");
    assert_eq!(words, "the database takes no writes: it is a standby, or set to read-only\n");
    // The primary is there again. Connections from before would stay read-only for ever.
    run(&mut operator, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    until("it is ready again", async || relight.browser().ask("/readyz").await.status() == StatusCode::OK).await;
    until("it writes again", async || add_widget(&relight, &account, &key).await.0 == StatusCode::CREATED).await;
    for _ in 0..24 {
        assert_eq!(add_widget(&relight, &account, &key).await.0, StatusCode::CREATED);
    }
    relight.settled().await;
    operator.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_ends_cost_nobody_a_request_for_long() {
    let relight = Relight::start(Engine::Postgres).await;
    let ann = relight.signed_in("ann@example.com", Role::Owner).await;
    let account = ann.connect(Login::Consumer, relight.holder("luma.ceramics")).await;
    let key = relight.api_key(Role::Service).await;
    let mut operator = operator(&relight).await;
    for _ in 0..5 {
        end_all(&mut operator).await;
        let (status, again) = add_widget(&relight, &account, &key).await;
        assert!(
            status == StatusCode::CREATED || (status, again) == (StatusCode::SERVICE_UNAVAILABLE, true),
            "{status}"
        );
        until("it writes again", async || add_widget(&relight, &account, &key).await.0 == StatusCode::CREATED).await;
    }
    relight.settled().await;
    operator.close().await.expect("closes");
}

/// Lets the disk be full, or have room again.
async fn fill(relight: &Relight, full: bool) {
    let database = relight.store().database();
    let statements: Vec<String> = match database {
        // No page more than there are: of the one connection that writes.
        Database::Sqlite(_) => {
            let pages: i64 =
                sql("SELECT page_count FROM pragma_page_count()").scalar(database).await.expect("a number");
            vec![format!("PRAGMA max_page_count = {}", if full { pages } else { 1_000_000_000 })]
        }
        Database::Postgres(_) if full => vec![
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$"
                .to_owned(),
            "CREATE TRIGGER no_room BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION no_room()".to_owned(),
            "CREATE TRIGGER no_room BEFORE INSERT ON write_probe FOR EACH STATEMENT EXECUTE FUNCTION no_room()"
                .to_owned(),
        ],
        Database::Postgres(_) => {
            vec!["DROP TRIGGER no_room ON events".to_owned(), "DROP TRIGGER no_room ON write_probe".to_owned()]
        }
    };
    for statement in statements {
        // Some of them answer with a row.
        sql(statement).execute(database).await.expect("the database does as told");
    }
}

on_both_engines! {
    async fn a_full_disk_is_told_and_recovers_by_itself(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Login::Consumer, relight.holder("luma.ceramics")).await;
        let key = relight.api_key(Role::Service).await;
        relight.settled().await;
        fill(&relight, true).await;
        // What is free in the file's pages is used up first.
        until("there is no room", async || add_widget(&relight, &account, &key).await == (StatusCode::SERVICE_UNAVAILABLE, true)).await;
        let ready = relight.browser().ask("/readyz").await;
        assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ready.text().await.expect("a text"), "the database takes no writes: its disk is full\n");
        // Whoever only reads is served.
        assert_eq!(ann.ask(&format!("/accounts/{account}")).await.status(), StatusCode::OK);
        fill(&relight, false).await;
        until("it is ready again", async || relight.browser().ask("/readyz").await.status() == StatusCode::OK).await;
        assert_eq!(add_widget(&relight, &account, &key).await.0, StatusCode::CREATED);
        relight.settled().await;
    }
}
