//! SIGKILL at any moment of a connect or refresh: nothing that was answered is lost, no account is half there, and no view
//! disagrees with its events.
//!
//! One engine after the other, and PostgreSQL as it should run, with fsync, on a cluster of its own.

mod chaos;
mod erased;
mod frozen;
mod postgres;
mod restored;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Instant,
};

use domain::{Account, AccountId, Connection, Token, account::Standing};
use engine::{
    Database, Recorded, Store, on_both_engines, sql,
    testing::{rows, use_durable_postgres},
};
use projections::accounts::{Status, Viewer, account_for};
use reqwest::StatusCode;
use sandbox::{
    Sandbox,
    person::{Consent, consent, values_of},
};
use store::{
    Event,
    testing::{TestDatabase, metadata},
};
use tests::{browser::Browser, fault_after, process::Settings, relight::PASSWORD, until};
use url::Url;

/// One after the other.
pub(crate) static ALONE: LazyLock<tokio::sync::Mutex<()>> = LazyLock::new(|| {
    use_durable_postgres();
    tokio::sync::Mutex::default()
});
/// How often something is killed, on each engine: `RELIGHT_TEST_KILLS` for more, as in `./check long`.
fn kills(usually: u32) -> u32 {
    std::env::var("RELIGHT_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(usually)
}

/// How often the program is killed, on each engine.
const KILLS: u32 = 12;
/// The first of the accounts that are connected while it dies.
const FIRST_ID: u64 = 17_841_400_000_100_000;

fn name(number: u32) -> String {
    format!("killed.{number}")
}

fn holder(number: u32) -> String {
    (FIRST_ID + u64::from(number)).to_string()
}

/// Somebody whose program may die under their hands.
struct Walker {
    browser: Browser,
    base: String,
    csrf: String,
}

impl Walker {
    /// Presses a button, consents, comes back: the result page's path, if the callback was answered.
    async fn walk(&self, button: &str, holder: String) -> Option<String> {
        let client = &self.browser.client;
        let form = [("csrf", self.csrf.as_str())];
        let pressed = client.post(format!("{}{button}", self.base)).form(&form).send().await.ok()?;
        let login = Url::parse(pressed.headers().get("location")?.to_str().ok()?).ok()?;
        let back = consent(client, &login, &Consent::of(holder)).await.ok()?;
        let answer = client.get(back).send().await.ok()?;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        Some(answer.headers().get("location")?.to_str().ok()?.to_owned())
    }
}

/// Three people at once: one connects a new account, one refreshes from the account's page, one from the access token page.
async fn three(owner: &Walker, visitor: &Walker, account: &str, round: u32) -> Vec<Option<String>> {
    let refresh = format!("/accounts/{account}/refresh");
    let walks = tokio::join!(
        owner.walk("/connect/consumer", holder(round)),
        owner.walk(&refresh, holder(0)),
        visitor.walk("/token/consumer", holder(0)),
    );
    vec![walks.0, walks.1, walks.2]
}

async fn prepare(engine: engine::testing::Engine) -> (Sandbox, TestDatabase, tempfile::TempDir, Settings) {
    let sandbox = tests::sandbox().await;
    for number in 0..=kills(KILLS) {
        sandbox.world().add_account(FIRST_ID + u64::from(number), &name(number), false);
    }
    let database = TestDatabase::new(engine).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::new(&sandbox, &database, folder.path());
    settings.set("DATABASE__CONNECTIONS", "4");
    let add = ["user", "add", "--email", "ann@example.com", "--role", "owner", "--password-stdin"];
    assert!(settings.run(&add, PASSWORD).status.success());
    (sandbox, database, folder, settings)
}

on_both_engines! {
    async fn killed_at_any_moment_it_loses_nothing_and_leaves_nothing_half_done(engine: Engine) {
        let _alone = ALONE.lock().await;
        let (_sandbox, database, _folder, settings) = prepare(engine).await;
        let mut process = settings.start().await;
        let walker = |browser: Browser, csrf: String| Walker { browser, base: settings.base.clone(), csrf };
        let ann = Browser::new(&settings.base);
        ann.sign_in("ann@example.com", PASSWORD).await;
        let csrf = values_of(&ann.open("/connect").await.html, "csrf").remove(0);
        let account = ann.connect(Connection::Consumer, holder(0)).await;
        let owner = walker(ann, csrf);
        let visitor = walker(Browser::new(&settings.base), String::new());
        // How long it takes undisturbed tells when to kill: at moments spread over all of it, and a little more.
        let begun = Instant::now();
        assert!(three(&owner, &visitor, &account, 0).await.iter().all(Option::is_some));
        let whole = begun.elapsed().mul_f64(1.2);
        let (mut answered, mut unanswered) = (0, 0);
        for round in 1..=kills(KILLS) {
            // The golden ratio spreads any number of points evenly.
            let moment = whole.mul_f64((f64::from(round) * 0.618_034).fract());
            let (walks, ()) = tokio::join!(three(&owner, &visitor, &account, round), async {
                fault_after(moment).await;
                process.kill();
            });
            process = settings.start().await;
            for path in walks {
                let Some(path) = path else {
                    unanswered += 1;
                    continue;
                };
                answered += 1;
                let browser = [&owner.browser, &visitor.browser];
                let mut pages = Vec::new();
                for browser in browser {
                    pages.push(browser.open(&path).await);
                }
                let kept = pages.iter().any(|page| {
                    let text = page.text();
                    text.contains("is connected") || text.contains("is refreshed")
                });
                assert!(kept, "round {round}: what was answered is lost: {}", pages[0].text());
            }
        }
        assert!(answered > 0 && unanswered > 0, "killed before and after answers: {answered}, {unanswered}");
        let store = database.store().await;
        look_at(&store).await;
        process.kill();
        nothing_is_under_way(&store).await;
        like_a_fresh_rebuild(&store).await;
    }
}

/// Waits until the views have followed to a position.
async fn until_views_reach(store: &Store, position: i64) {
    let registry = projections::registry(domain::schedule::Schedule::default());
    until("the views", async || {
        registry.states(store).await.expect("states").iter().all(|state| state.position >= position)
    })
    .await;
}

/// Waits until the database has ended what the program sent before it was killed.
async fn nothing_is_under_way(store: &Store) {
    let Database::Postgres(pool) = store.database() else { return };
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
               AND state <> 'idle'";
    until("the end of all transactions", async || {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.expect("counted") == 0
    })
    .await;
}

/// Compares everything that is kept about each account.
async fn look_at(store: &Store) {
    let head = store.head().await.expect("a head");
    until_views_reach(store, head).await;
    let mut stories: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
    for event in store.events_after(0, 100_000).await.expect("events") {
        stories.entry(event.aggregate_id.clone()).or_default().push(event);
    }
    let database = store.database();
    let accounts = |select: &'static str| async move {
        let rows: Vec<(String, String)> = sql(select).fetch_all(database).await.expect("rows");
        rows.into_iter().collect::<BTreeMap<_, _>>()
    };
    let vault = accounts("SELECT account_id, token_id FROM vault").await;
    let profiles = accounts("SELECT account_id, instagram_id FROM profiles").await;
    let work = accounts("SELECT key, kind FROM jobs WHERE kind = 'pull'").await;
    let views = accounts("SELECT account_id, status FROM account_status_v1").await;
    let rights = accounts("SELECT account_id, access FROM account_rights_v1").await;
    for rows in [&vault, &profiles, &work, &views, &rights] {
        assert!(rows.keys().eq(stories.keys()), "rows and journal know the same accounts");
    }
    for (id, story) in &stories {
        whole(story);
        let account: AccountId = id.parse().expect("an id");
        let now = story[0].at;
        let unit = store.unit(metadata(now));
        let token: Token = unit.load(account).await.expect("a token");
        let state: Account = unit.load(account).await.expect("an account");
        let current = token.active().expect("an active token");
        assert_eq!(state.standing(), Standing::Connected(Connection::Consumer));
        assert_eq!(vault[id], current.id.to_string());
        let view = account_for(database, account, Viewer::Staff).await.expect("reads").expect("a row");
        assert_eq!((view.status, view.generation), (Status::Active, i64::from(token.generation())));
        assert_eq!((view.expires_at, view.position), (current.expires_at, story.last().expect("an event").position));
    }
}

/// How often each widget of an account was added. No stream has a gap.
async fn widgets_added(store: &Store) -> BTreeMap<(String, String), u32> {
    let (mut added, mut sequences) = (BTreeMap::new(), BTreeMap::new());
    let mut page = store.events_after(0, 10_000).await.expect("reads");
    while let Some(after) = page.last().map(|last| last.position) {
        for event in page {
            let sequence = sequences.entry((event.aggregate, event.aggregate_id.clone())).or_insert(0);
            assert_eq!(event.sequence, *sequence + 1, "a gap");
            *sequence = event.sequence;
            if let Some(widget) = engine::json(&event.payload)["WidgetAdded"]["widget"].as_str() {
                *added.entry((event.aggregate_id, widget.to_owned())).or_insert(0) += 1;
            }
        }
        page = store.events_after(after, 10_000).await.expect("reads");
    }
    added
}

/// The views are what a rebuild from the first event makes of them.
async fn like_a_fresh_rebuild(store: &Store) {
    let tables = [
        ("account_status_v1", "account_id"),
        ("account_rights_v1", "account_id, user_id"),
        ("widgets_v1", "widget_id"),
        ("account_counts_v1", "status"),
        ("widget_counts_v1", "account_id"),
        ("jobs", "kind, key"),
    ];
    let mut grown = Vec::new();
    for (table, order) in tables {
        grown.push(rows(store.database(), table, order).await);
    }
    for name in ["account_status", "work"] {
        projections::registry(domain::schedule::Schedule::default())
            .rebuild(store, name, &|_, _| {})
            .await
            .expect("rebuilt");
    }
    for ((table, order), grown) in tables.into_iter().zip(grown) {
        assert_eq!(rows(store.database(), table, order).await, grown, "{table} is not what its events say");
    }
}

/// An account's events are whole: no gap in its streams, everything that a connect brings, no grant taken twice.
fn whole(story: &[Recorded]) {
    for aggregate in ["account", "token"] {
        let stream = story.iter().filter(|event| event.aggregate == aggregate);
        assert!(stream.zip(1..).all(|(event, sequence)| event.sequence == sequence), "a gap in a stream");
    }
    let types: Vec<_> = story.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types[..3], ["Connected", "AccessGranted", "Issued"]);
    let mut attempts = BTreeSet::new();
    for event in story {
        if let Event::Token(domain::TokenEvent::Issued { grant, .. } | domain::TokenEvent::Refreshed { grant, .. }) =
            event.event().expect("readable")
        {
            assert!(attempts.insert(grant.attempt.to_string()), "a grant is taken once");
        }
    }
}
