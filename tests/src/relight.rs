//! Relight as tests run it: in this process, on a free port, on a database of its own, against a sandbox of its own.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

use api::{
    config::Config,
    server::Timeouts,
    service::Service,
    sign_in::{Role, api_key},
};
use chrono::TimeDelta;
use commands::{Clock, Commands};
use domain::{AccountId, Connection, account::Plan};
use engine::{Recorded, Store, sql, testing::Engine};
use sandbox::{Action, Sandbox};
use secrecy::{ExposeSecret, SecretString};
use store::testing::TestDatabase;
use url::Url;

use crate::browser::Browser;

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct horse battery";
/// Its hash, by Argon2id at its least cost: in tests, many sign in and few have anything to do with hashes.
const PASSWORD_HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$cmVsaWdodC10ZXN0cw$lma+mVfWHtkUl1QqYdlPMnFMH250AQwrLRHi6XaKhBg";

/// A running Relight with its pretend Meta.
#[derive(Debug)]
pub struct Relight {
    /// Its pretend Meta.
    pub sandbox: Sandbox,
    /// Its address.
    pub base: String,
    /// Its clock, to be moved.
    pub clock: Clock,
    service: Service,
    /// Its database, which goes when this does.
    pub database: TestDatabase,
}

/// The configuration for a sandbox and a database. The port must be known before, for the sandbox sends browsers back.
///
/// # Panics
/// When a URL isn't one.
pub fn config(sandbox: &Sandbox, database: &TestDatabase, port: u16) -> Config {
    let url = |path: &str| Url::parse(&format!("{}{path}", sandbox.url())).expect("a URL");
    let mut config = Config::default();
    config.http.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    config.http.public_url = Url::parse(&format!("http://127.0.0.1:{port}")).expect("a URL");
    config.database.url = Some(database.url().to_owned().into());
    config.database.connections = engine::testing::connections(6);
    config.vault.keys = Some(crate::process::VAULT_KEYS.to_owned().into());
    let apps = sandbox.config();
    config.instagram.app_id = Some(apps.instagram_app.0.clone());
    config.instagram.app_secret = Some(apps.instagram_app.1.clone().into());
    config.instagram.authorize_url = url("/oauth/authorize");
    config.instagram.token_url = url("/oauth/access_token");
    config.instagram.graph_url = url("/instagram");
    config.facebook.app_id = Some(apps.facebook_app.0.clone());
    config.facebook.app_secret = Some(apps.facebook_app.1.clone().into());
    config.facebook.dialog_url = url("/facebook");
    config.facebook.graph_url = url("/graph");
    config
}

/// Sends mails to the sandbox's mail server.
pub fn mails(config: &mut Config, sandbox: &Sandbox) {
    config.smtp.url = Some(sandbox.smtp_url().into());
    config.mail.from = Some("Relight <relight@relight.example>".to_owned());
}

/// A port that is this program's until it ends, whether it is listened on or not: a server that is restarted finds it free. It is
/// below those that the system gives to clients.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    /// Below the ports of `engine/private-postgres`.
    const PORTS: std::ops::Range<u16> = 10_000..20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    /// One locked file for each: the system unlocks them at the end.
    static CLAIMED: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = std::env::temp_dir().join("relight-test-ports");
    std::fs::create_dir_all(&folder).expect("a folder");
    // Programs that run at once mostly begin at places of their own.
    let begin = u16::try_from(std::process::id() % 100).unwrap_or_default() * 100;
    let next = || PORTS.start + (begin + NEXT.fetch_add(1, Relaxed) % 10_000) % 10_000;
    let claimed = |port: u16| {
        let file = File::create(folder.join(port.to_string())).ok()?;
        file.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).push(file);
        Some(port)
    };
    std::iter::repeat_with(next).take(PORTS.len()).find_map(claimed).expect("a port")
}

impl Relight {
    /// Starts it.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    /// Starts it with settings of one's own.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start_with(engine: Engine, set: impl FnOnce(&mut Config)) -> Self {
        Self::start_beside(engine, |config, _| set(config)).await
    }

    /// Starts it with the sandbox's mail server.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start_with_mails(engine: Engine) -> Self {
        Self::start_beside(engine, mails).await
    }

    /// Starts it with settings of one's own, which may be about its sandbox.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start_beside(engine: Engine, set: impl FnOnce(&mut Config, &Sandbox)) -> Self {
        Self::start_timed(engine, Timeouts::default(), set).await
    }

    /// Starts it with settings and timeouts of one's own.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start_timed(engine: Engine, timeouts: Timeouts, set: impl FnOnce(&mut Config, &Sandbox)) -> Self {
        Self::start_by(engine, (Clock::default(), timeouts), set).await
    }

    /// Starts it with settings of one's own, and a clock.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start_at(engine: Engine, clock: Clock, set: impl FnOnce(&mut Config)) -> Self {
        Self::start_by(engine, (clock, Timeouts::default()), |config, _| set(config)).await
    }

    async fn start_by(
        engine: Engine,
        (clock, timeouts): (Clock, Timeouts),
        set: impl FnOnce(&mut Config, &Sandbox),
    ) -> Self {
        let database = TestDatabase::new(engine).await;
        let sandbox = crate::sandbox().await;
        let mut config = config(&sandbox, &database, free_port());
        set(&mut config, &sandbox);
        let base = config.public_url();
        let service = Service::start_with(config, clock.clone(), timeouts).await.expect("Relight starts");
        Self { sandbox, base, clock, service, database }
    }

    /// Another node on the same database, with the same clock.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn second_node(&self) -> Service {
        let mut config = Config::clone(&self.service.app.config);
        config.http.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Service::start(config, self.clock.clone()).await.expect("a second node starts")
    }

    /// Time passes, here and at Meta.
    pub fn pass(&self, time: TimeDelta) {
        self.sandbox.world().clock.forward(time);
        self.clock.forward(time);
    }

    /// How many verdicts are held.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn held(&self) -> i64 {
        self.service.app.commands.held().await.expect("counted")
    }

    /// The ids of all accounts.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn accounts(&self) -> Vec<String> {
        sql("SELECT account_id FROM account_status_v1 ORDER BY account_id")
            .scalars(self.store().database())
            .await
            .expect("accounts")
    }

    /// The mails that were sent to somebody: subjects and texts.
    pub fn mails_to(&self, address: &str) -> Vec<(String, String)> {
        let world = self.sandbox.world();
        let theirs = world.post.mails.iter().filter(|mail| mail.to.iter().any(|to| to == address));
        theirs.map(|mail| (mail.subject.clone(), mail.text.clone())).collect()
    }

    /// Stops it as SIGTERM would, and leaves the database and the sandbox.
    pub async fn stop(self) -> (TestDatabase, Sandbox) {
        self.service.stop().await;
        (self.database, self.sandbox)
    }

    /// Stops it as SIGTERM would, which finishes the jobs that are under way, and starts it again.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn restarted(self) -> Self {
        self.restarted_with(|_, _| {}).await
    }

    /// The same, with other settings.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn restarted_with(self, set: impl FnOnce(&mut Config, &Sandbox)) -> Self {
        let Self { sandbox, base, clock, service, database } = self;
        let mut config = Config::clone(&service.app.config);
        set(&mut config, &sandbox);
        service.stop().await;
        let service = Service::start(config, clock.clone()).await.expect("Relight starts again");
        Self { sandbox, base, clock, service, database }
    }

    /// The path of the page that makes the first admin.
    pub fn setup_path(&self) -> String {
        api::pages::login::setup_path(&self.service.app)
    }

    /// Its use cases.
    pub fn commands(&self) -> &Commands {
        &self.service.app.commands
    }

    /// Its event store.
    pub fn store(&self) -> &Store {
        self.service.app.store()
    }

    /// Somebody new with this role, signed in at a browser.
    ///
    /// # Panics
    /// When that can't be.
    pub async fn signed_in(&self, email: &str, role: Role) -> Browser {
        self.signed_in_at(self.browser(), email, role).await
    }

    /// The same at this browser.
    ///
    /// # Panics
    /// When that can't be.
    pub async fn signed_in_at(&self, browser: Browser, email: &str, role: Role) -> Browser {
        self.add_user(email, role).await;
        browser.sign_in(email, PASSWORD).await;
        browser
    }

    /// Somebody new with this role.
    ///
    /// # Panics
    /// When that can't be.
    pub async fn add_user(&self, email: &str, role: Role) {
        sql("INSERT INTO users (id, email, password, role, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(commands::new_id().to_string())
            .bind(email)
            .bind(PASSWORD_HASH)
            .bind(role.name())
            .bind(self.clock.now())
            .execute(self.store().database())
            .await
            .expect("added");
    }

    /// Where it listens, whatever its public address.
    pub fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// Somebody at a browser, not signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.base)
    }

    /// A machine's key.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn api_key(&self, role: Role) -> String {
        let key: SecretString =
            api_key::create(self.store().database(), "test", role, self.clock.now()).await.expect("a key");
        key.expose_secret().to_owned()
    }

    /// The id of an account's or a Facebook user's name in the sandbox.
    ///
    /// # Panics
    /// When nobody is called so.
    pub fn holder(&self, name: &str) -> String {
        let world = self.sandbox.world();
        world.account_id(name).or_else(|| world.person_id(name)).expect("in the cast")
    }

    /// The id of an account that this owner connects through Instagram, with a fresh upgraded widget.
    ///
    /// # Panics
    /// When that can't be.
    pub async fn connected(&self, owner: &Browser, name: &str) -> String {
        let account = owner.connect(Connection::Consumer, self.holder(name)).await;
        owner.add_widget(&account, Plan::Upgraded).await;
        owner.until_fresh(&format!("/accounts/{account}"), 1).await;
        account
    }

    /// Does something to the sandbox.
    ///
    /// # Panics
    /// When nobody is called so.
    pub fn act(&self, action: Action) {
        self.sandbox.act(action).expect("done");
    }

    /// The types of an account's events, in order.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn events(&self, account: &str) -> Vec<String> {
        self.journal(account).await.into_iter().map(|event| event.event_type).collect()
    }

    /// An account's events, in order.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn journal(&self, account: &str) -> Vec<Recorded> {
        let account: AccountId = account.parse().expect("an id");
        let filter = engine::Filter { aggregate_id: Some(account.to_string()), ..engine::Filter::default() };
        self.store().events(&filter, 10_000).await.expect("reads")
    }

    /// How many events there are in all.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn event_count(&self) -> usize {
        self.store().events_after(0, 100_000).await.expect("reads").len()
    }
}
