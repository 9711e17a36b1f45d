//! SIGKILL while mails and web hooks go out: each cause is told, and twice only as what it was: with the same `Message-ID`,
//! with the same message's id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use domain::{Connection, account::Plan};
use engine::{Store, on_both_engines, sql};
use sandbox::{Action, person::values_of};
use serde_json::{Value, json};
use store::testing::TestDatabase;
use tests::{browser::Browser, fault_after, found, process::Settings, relight::PASSWORD, until};

use crate::ALONE;

/// Their owners are told of one each.
const NAMES: [&str; 6] =
    ["luma.ceramics", "nordlicht.bakery", "oakandiron", "bluebird.bikes", "alta.climbing", "sol.y.sal"];
/// How often the program is killed while they are.
const KILLS: u32 = 16;

type Heard = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

/// A widget service: what it heard, by the messages' ids.
async fn listener() -> (String, Heard) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let hear = async |State(heard): State<Heard>, headers: HeaderMap, body: Bytes| {
        let id = headers["webhook-id"].to_str().expect("a text").to_owned();
        let body = serde_json::from_slice(&body).expect("JSON");
        heard.lock().expect("unbroken").entry(id).or_default().push(body);
    };
    let router = Router::new().route("/", post(hear)).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

/// What nobody holds any more can be taken at once, as if the minutes of its lease had passed.
async fn leases_end(store: &Store) {
    let past = chrono::DateTime::from_timestamp(1_000_000_000, 0).expect("a time");
    let mut tx = store.database().begin().await.expect("begins");
    sql("UPDATE jobs SET leased_until = $1 WHERE leased_until IS NOT NULL")
        .bind(past)
        .execute(&mut tx)
        .await
        .expect("set");
    tx.commit().await.expect("commits");
}

/// What waits to be gathered into mails is due, as if its seconds had passed.
async fn mails_are_due(store: &Store) {
    let past = chrono::DateTime::from_timestamp(1_000_000_000, 0).expect("a time");
    let mut tx = store.database().begin().await.expect("begins");
    sql("UPDATE jobs SET due_at = $1 WHERE kind = 'notify'").bind(past).execute(&mut tx).await.expect("set");
    tx.commit().await.expect("commits");
}

on_both_engines! {
    async fn killed_while_it_tells_it_tells_each_cause_and_no_other(engine: Engine) {
        let _alone = ALONE.lock().await;
        let sandbox = tests::sandbox().await;
        let database = TestDatabase::new(engine).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(&sandbox, &database, folder.path());
        settings.set("SMTP__URL", &sandbox.smtp_url()).set("MAIL__FROM", "Relight <relight@relight.example>");
        settings.set("WEBHOOKS__PRIVATE", "true");
        for name in NAMES {
            let add = ["user", "add", "--email", &format!("{name}@example.com"), "--role", "owner", "--password-stdin"];
            assert!(settings.run(&add, PASSWORD).status.success());
        }
        let key = settings.run(&["api-key", "create", "--name", "widgets", "--role", "service"], "").stdout;
        let key = String::from_utf8(key).expect("a text");
        let mut process = settings.start().await;
        let (url, heard) = listener().await;
        let client = Browser::new(&settings.base).client;
        let add = client.post(format!("{}/api/v1/webhooks", settings.base)).bearer_auth(key.trim()).json(&json!({"url": url}));
        assert!(add.send().await.expect("answers").status().is_success());
        let mut accounts = Vec::new();
        for name in NAMES {
            let owner = Browser::new(&settings.base);
            owner.sign_in(&format!("{name}@example.com"), PASSWORD).await;
            let holder = sandbox.world().account_id(name).or_else(|| sandbox.world().person_id(name)).expect("in the cast");
            let account = owner.connect(Connection::Consumer, holder).await;
            owner.add_widget(&account, Plan::Upgraded).await;
            accounts.push((name, account, owner));
        }
        let (store, mut kills) = (database.store().await, 0);
        for (name, account, owner) in &accounts {
            sandbox.act(Action::ChangePassword { holder: (*name).to_owned() }).expect("done");
            // Half of the times before anybody is told, the other half while mails go out.
            for _ in 0..(crate::kills(KILLS) / 12).max(1) {
                // It is found out, and the widget service hears of it at once.
                let check = format!("{}/accounts/{account}/check", settings.base);
                let csrf = values_of(&owner.open(&format!("/accounts/{account}")).await.html, "csrf").remove(0);
                let _ = owner.client.post(check).form(&[("csrf", csrf)]).send().await;
                fault_after(Duration::from_millis(u64::from(kills * 37 % 120))).await;
                process.kill();
                leases_end(&store).await;
                kills += 1;
                process = settings.start().await;
            }
            owner.until(&format!("/accounts/{account}"), "Expired — password changed").await;
        }
        // They are told some 20 seconds after that: it dies all around that moment, and after each mail that was taken.
        mails_are_due(&store).await;
        while kills < crate::kills(KILLS) {
            let mails = sandbox.world().post.mails.len();
            let pause = if mails == 0 { Duration::from_millis(1_500) } else { Duration::from_millis(u64::from(kills * 37 % 300)) };
            tokio::select! {
                () = fault_after(pause) => {}
                () = until("a mail", async || sandbox.world().post.mails.len() > mails) => {}
            }
            process.kill();
            leases_end(&store).await;
            kills += 1;
            process = settings.start().await;
        }
        let told = async || {
            sql("SELECT count(*) FROM events WHERE event_type = 'NoticeSent'")
                .scalar::<i64>(store.database())
                .await
                .expect("counted")
        };
        found("all mails and messages", async || {
            let all = told().await >= 6 && heard.lock().expect("unbroken").len() >= 6;
            if all { Ok(()) } else { Err(process.said()) }
        }).await;
        process.terminate().await;
        assert_eq!(told().await, 6);
        let mails = sandbox.world().post.mails.clone();
        for name in NAMES {
            let theirs = mails.iter().filter(|mail| mail.to.contains(&format!("{name}@example.com")));
            let ids: BTreeSet<_> = theirs.map(|mail| (&mail.message_id, &mail.subject)).collect();
            assert_eq!(ids.len(), 1, "one mail, however often: {ids:?}");
        }
        let heard = heard.lock().expect("unbroken").clone();
        let mut of_account = BTreeMap::<String, usize>::new();
        for said in heard.values() {
            assert_eq!(said[0]["type"], "account.expired");
            assert!(said.iter().all(|again| *again == said[0]), "the same again: {said:?}");
            *of_account.entry(said[0]["data"]["account_id"].as_str().expect("an id").to_owned()).or_default() += 1;
        }
        assert!(of_account.len() == 6 && of_account.values().all(|times| *times == 1), "{of_account:?}");
        println!("{kills} kills, {} mails, {} deliveries", mails.len(), heard.values().map(Vec::len).sum::<usize>());
    }
}
