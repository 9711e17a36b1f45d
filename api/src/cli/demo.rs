//! `relight demo`: Relight and a pretend Meta on this machine, with accounts that were really connected over HTTP.

mod person;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use commands::Clock;
use domain::{Connection, account::Plan};
use engine::sql;
use sandbox::{Action, Sandbox};
use secrecy::SecretString;
use url::Url;

use crate::{
    config::Config,
    database,
    service::Service,
    sign_in::{Role, Users},
};
use person::Person;

/// What the pretend Meta knows.
const SANDBOX_FILE: &str = "sandbox.json";
const EMAIL: &str = "you@relight.example";
/// Who sees the operations, the web hooks and the event log.
const ADMIN: &str = "admin@relight.example";

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Begin anew: forget what earlier demos left in the data folder.
    #[arg(long)]
    fresh: bool,
    /// Where the demo keeps its database.
    #[arg(long, value_name = "FOLDER", default_value = "./data/demo")]
    data_dir: PathBuf,
    /// Relight's port; the sandbox's is ten above it.
    #[arg(long, default_value_t = 4000)]
    port: u16,
}

/// Whom to seed: through which login, who logs in, and the plans of the widgets.
struct Seed {
    connection: Connection,
    holder: &'static str,
    username: &'static str,
    plans: &'static [Plan],
    then: Option<fn(String) -> Action>,
}

const fn seed(
    connection: Connection,
    holder: &'static str,
    username: &'static str,
    plans: &'static [Plan],
    then: Option<fn(String) -> Action>,
) -> Seed {
    Seed { connection, holder, username, plans, then }
}

const SEEDS: [Seed; 12] = {
    use Connection::{Business, Consumer};
    use Plan::{Free, Upgraded};
    [
        seed(Consumer, "luma.ceramics", "luma.ceramics", &[Upgraded, Free, Upgraded], None),
        seed(Consumer, "nordlicht.bakery", "nordlicht.bakery", &[Free], None),
        seed(Consumer, "oakandiron", "oakandiron", &[Upgraded], Some(|holder| Action::ChangePassword { holder })),
        seed(Consumer, "bluebird.bikes", "bluebird.bikes", &[Free, Free], None),
        seed(Consumer, "maremare.swim", "maremare.swim", &[Upgraded], Some(|holder| Action::RemoveApp { holder })),
        seed(Consumer, "alta.climbing", "alta.climbing", &[], None),
        seed(Business, "Ana Ribeiro", "casa.verde.studio", &[Upgraded], None),
        seed(Business, "Ana Ribeiro", "sol.y.sal", &[Free], None),
        seed(Business, "Mia Berg", "fern.and.fog", &[Free, Upgraded], None),
        seed(Business, "Mia Berg", "tiny.harbor", &[Free], None),
        seed(Business, "Mia Berg", "paper.moon.press", &[Upgraded], None),
        seed(Business, "Ken Sato", "hoshi.tea", &[Upgraded], Some(|holder| Action::Checkpoint { holder })),
    ]
};

pub(super) async fn run(options: Options) -> Result<()> {
    let data_dir = &options.data_dir;
    if options.fresh && data_dir.exists() {
        empty(data_dir)?;
    }
    let sandbox_port = options.port.checked_add(10).context("--port is too high")?;
    database::private_folder(data_dir)?;
    let sandbox = start_sandbox(sandbox_port, data_dir).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let clock = Clock::default();
    follow_clock(&sandbox, clock.clone());
    let service = Service::start(config(data_dir, address, &sandbox)?, clock).await?;
    let base = format!("http://{address}");
    sandbox.tell(&base);
    let users = Users::new(service.app.database().clone());
    // A new password each time: none lies around in a file.
    let password: SecretString = commands::attempt::random_text::<12>().into();
    for (email, role) in [(EMAIL, Role::Owner), (ADMIN, Role::Admin)] {
        users.set(email, &password, role, service.app.commands.clock.now()).await.map_err(refused)?;
    }
    fill(&service, &sandbox, &base, &password).await?;
    // One engine: the demo's database is a SQLite file.
    let widget = sql("SELECT widget_id FROM widgets_v1 WHERE NOT removed ORDER BY added_at LIMIT 1")
        .scalar_optional::<String>(service.app.database())
        .await?;
    tell(&base, &sandbox, &password, widget.as_deref());
    service.run().await
}

async fn start_sandbox(port: u16, data_dir: &Path) -> Result<Sandbox> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let file = Some(data_dir.join(SANDBOX_FILE));
    let started = Sandbox::start(sandbox::Config { listen, file, ..sandbox::Config::default() }).await;
    started.with_context(|| format!("the sandbox can't listen on {listen}: is a demo running already? Try --port"))
}

/// One time for both: when the pretend Meta's clock is moved, Relight's moves with it.
fn follow_clock(sandbox: &Sandbox, clock: Clock) {
    let mut ahead = sandbox.world().clock.ahead();
    let mut moved = *ahead.borrow_and_update();
    clock.forward(moved);
    tokio::spawn(async move {
        while ahead.changed().await.is_ok() {
            let now = *ahead.borrow_and_update();
            clock.forward(now - moved);
            moved = now;
        }
    });
}

/// Only what a demo made is deleted.
fn empty(data_dir: &Path) -> Result<()> {
    for file in ["relight.db", "relight.db-wal", "relight.db-shm", "vault.key", SANDBOX_FILE] {
        match std::fs::remove_file(data_dir.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} can't be emptied", data_dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn config(data_dir: &Path, listen: SocketAddr, sandbox: &Sandbox) -> Result<Config> {
    let url = |path: &str| Url::parse(&format!("{}{path}", sandbox.url()));
    let mut config = Config { data_dir: data_dir.to_owned(), ..Config::default() };
    config.http.listen = listen;
    config.http.public_url = Url::parse(&format!("http://{listen}"))?;
    let apps = sandbox.config();
    config.instagram.app_id = Some(apps.instagram_app.0.clone());
    config.instagram.app_secret = Some(apps.instagram_app.1.clone().into());
    config.instagram.authorize_url = url("/oauth/authorize")?;
    config.instagram.token_url = url("/oauth/access_token")?;
    config.instagram.graph_url = url("/instagram")?;
    config.facebook.app_id = Some(apps.facebook_app.0.clone());
    config.facebook.app_secret = Some(apps.facebook_app.1.clone().into());
    config.facebook.dialog_url = url("/facebook")?;
    config.facebook.graph_url = url("/graph")?;
    config.smtp.url = Some(sandbox.smtp_url().into());
    // All of it is on this machine, the receiver of web hooks too.
    config.webhooks.private = true;
    config.mail.from = Some("Relight <relight@relight.example>".to_owned());
    Ok(config)
}

/// Connects everybody as a person at a browser would, adds widgets, and lets a few tokens die.
async fn fill(service: &Service, sandbox: &Sandbox, base: &str, password: &SecretString) -> Result<()> {
    let person = Person::sign_in(base, EMAIL, password).await?;
    let mut missing = Vec::new();
    for seed in &SEEDS {
        if person.find(seed.username).await?.is_none() {
            missing.push(seed);
        }
    }
    if missing.is_empty() {
        say!("Going on where the last demo ended (--fresh begins anew).");
        return Ok(());
    }
    say!("Connecting {} accounts through the pretend Meta…", missing.len());
    for seed in &missing {
        let holder = {
            let world = sandbox.world();
            world.account_id(seed.holder).or_else(|| world.person_id(seed.holder))
        };
        let holder = holder.context("the sandbox lacks somebody")?;
        let account = person.connect(seed.connection, &holder, seed.username).await?;
        for plan in seed.plans {
            person.add_widget(&account, *plan).await?;
        }
    }
    wait_for_feeds(service).await?;
    for seed in &missing {
        if let Some(then) = seed.then {
            sandbox.act(then(seed.holder.to_owned())).map_err(anyhow::Error::msg)?;
            person.look_at(seed.username).await?;
        }
    }
    // The app works: the next token that dies is one, and no incident.
    for seed in missing.iter().filter(|seed| seed.then.is_none()) {
        person.look_at(seed.username).await?;
    }
    Ok(())
}

async fn wait_for_feeds(service: &Service) -> Result<()> {
    for _ in 0..600 {
        // One engine: the demo's database is a SQLite file.
        let feeds: i64 = sql("SELECT count(*) FROM feeds").scalar(service.app.database()).await?;
        if usize::try_from(feeds)? >= SEEDS.len() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the demo's accounts were not pulled within a minute: see the log")
}

fn refused(error: crate::error::Error) -> anyhow::Error {
    match error {
        crate::error::Error::Internal(cause) => cause,
        other => anyhow::anyhow!("the demo's user can't be made: {other:?}"),
    }
}

fn tell(base: &str, sandbox: &Sandbox, password: &SecretString, widget: Option<&str>) {
    use secrecy::ExposeSecret;
    let meta = sandbox.url();
    say!("\nRelight is lit. Look around:");
    say!("  Dashboard          {base}/accounts");
    say!("    sign in as       {EMAIL}  with  {}", password.expose_secret());
    say!("    as its operator  {ADMIN}  with the same: operations, web hooks, events");
    say!("  Access token page  {base}/token");
    if let Some(widget) = widget {
        say!("  A widget           {base}/w/{widget}");
    }
    say!("  Sandbox controls   {meta}/");
    say!("  Mails              {meta}/mails");
    say!("\nA tour:");
    say!("  1. On the sandbox's controls, press Change password of luma.ceramics.");
    say!(
        "  2. Open @luma.ceramics on the dashboard: looking asks Meta, once a minute at most (Check now asks at once),"
    );
    say!("     and the page says Expired — password changed.");
    say!(
        "  3. Press Refresh token, choose luma.ceramics, then Allow: the page shows each widget turn fresh by itself."
    );
    say!(
        "  4. On the controls, let 60 days pass: sessions are extended. Two weeks later reminders go out, for data access"
    );
    say!("     ends after 90 days.");
    say!("\nCtrl-C ends it.");
}
