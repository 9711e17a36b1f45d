//! The running service: opens the database, starts projections, workers and the server, and stops them in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use chrono::TimeDelta;
use commands::{Clock, Commands, Settings, Vault, clock::Witness};
use engine::{
    Database, Reaction, Registry, Running,
    jobs::{Completer, Worker},
};
use meta::{Business, BusinessConfig, Consumer, ConsumerConfig, Http};
use reqwest::Client;
use secrecy::SecretString;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, Shared},
    config::Config,
    database,
    limits::{Limits, address::UnlistedProxies},
    mail::Mailer,
    pages::widget::FeedCache,
    routes,
    server::{self, Bounds, Streams, Timeouts},
    sign_in::passwords::Passwords,
    vault::{self, Proof},
    webhooks::{self, outbox::WebHooks},
    workers,
};

/// The program's name and version, for events and logs.
pub const PROGRAM: &str = concat!("relight ", env!("CARGO_PKG_VERSION"));
/// How long a call to Meta may take.
const META_TIMEOUT: Duration = Duration::from_secs(15);

/// A service that runs until it is told to stop.
#[derive(Debug)]
pub struct Service {
    /// What its handlers share.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
    loops: JoinSet<()>,
    worker: Arc<Worker>,
    projections: Running,
}

/// The client for calls of Meta, made in a thread of its own: reading all of the machine's certificates takes a third of a
/// start, in which the database is opened.
pub fn client() -> JoinHandle<Result<Client>> {
    tokio::task::spawn_blocking(|| meta::client(META_TIMEOUT).context("TLS can't be set up on this machine"))
}

/// The clients of the apps that are configured.
pub fn apps(config: &Config, client: &Client, clock: &Clock) -> (Option<Consumer>, Option<Business>) {
    // Each app has a budget of its own.
    let http = || {
        let (now, heard) = (clock.clone(), clock.clone());
        Http::new(client.clone(), Arc::new(move || now.now()))
            .telling(Arc::new(move |time| heard.hear(Witness::Meta, time)))
    };
    let pair = |id: &Option<String>, secret: &Option<SecretString>| id.clone().zip(secret.clone());
    let instagram = &config.instagram;
    let consumer = pair(&instagram.app_id, &instagram.app_secret).map(|(app_id, app_secret)| {
        let config = ConsumerConfig {
            app_id,
            app_secret,
            authorize_url: instagram.authorize_url.clone(),
            token_url: instagram.token_url.clone(),
            graph_url: instagram.graph_url.clone(),
            version: instagram.version.clone(),
        };
        Consumer::new(config, http())
    });
    let facebook = &config.facebook;
    let business = pair(&facebook.app_id, &facebook.app_secret).map(|(app_id, app_secret)| {
        let config = BusinessConfig {
            app_id,
            app_secret,
            dialog_url: facebook.dialog_url.clone(),
            graph_url: facebook.graph_url.clone(),
            version: facebook.version.clone(),
            config_id: facebook.config_id.clone(),
            extra_permissions: facebook.extra_permissions.clone(),
        };
        Business::new(config, http())
    });
    (consumer, business)
}

/// What use cases work with. `stop` is cancelled when the program stops.
pub fn commands(
    config: &Config,
    client: &Client,
    database: Database,
    vault: Vault,
    clock: Clock,
    stop: CancellationToken,
) -> Commands {
    let (consumer, business) = apps(config, client, &clock);
    let days = config.instagram.data_access_days;
    let settings = Settings {
        public_url: config.public_url(),
        consumer_data_access: (days > 0).then(|| TimeDelta::days(days.into())),
        remind_window: TimeDelta::days(config.token.remind_days.iter().copied().max().unwrap_or(0).into()),
        guard: config.guard(),
        program: PROGRAM,
    };
    let store = store::of(database);
    Commands { store, vault, clock, consumer, business, settings, stop }
}

/// All that follows the journal.
pub fn registry(config: &Config, clock: &Clock) -> Registry {
    projections::registry(config.schedule()).reaction(WebHooks::new(clock.clone())).program(PROGRAM)
}

impl Service {
    /// Starts it.
    ///
    /// # Errors
    /// A sentence that names the setting that is in the way.
    pub async fn start(config: Config, clock: Clock) -> Result<Self> {
        Self::start_with(config, clock, Timeouts::default()).await
    }

    /// Starts it with other timeouts for clients.
    ///
    /// # Errors
    /// A sentence that names the setting that is in the way.
    pub async fn start_with(config: Config, clock: Clock, timeouts: Timeouts) -> Result<Self> {
        let client = client();
        let database = database::create(&config).await?;
        let vault = vault::open(&config, &database, vault::Missing::Make, clock.now()).await?;
        let stop = CancellationToken::new();
        if config.instagram.app_id.is_some() || config.facebook.app_id.is_some() {
            clock.begin_after(engine::last_at(&database).await?);
        }
        let commands = commands(&config, &client.await??, database, vault, clock, stop.child_token());
        if config.is_https() && config.http.trusted_proxies.is_empty() {
            tracing::warn!(
                event = "proxy.none_listed",
                "http.public_url is https, so a proxy is in front; http.trusted_proxies lists none, and all its clients \
                 share one limit"
            );
        }
        let listen = config.http.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("http.listen: {listen} can't be listened on"))?;
        let address = listener.local_addr()?;
        let mailer = config.smtp.url.as_ref().map(|url| Mailer::new(url, config.mail.from.as_deref())).transpose();
        let mailer = mailer.map_err(anyhow::Error::msg)?;
        let bounds = Bounds::of(&config);
        let registry = registry(&config, &commands.clock);
        let projections = registry.run(&commands.store, &stop);
        let position = |name| projections.position(name).with_context(|| format!("there is no projection {name}"));
        let (status, work) = (position(projections::ACCOUNT_STATUS)?, position(projections::WORK)?);
        let hooks = position(WebHooks::NAME)?;
        let completer = Completer::start(commands.store.database().clone());
        let app = App::from(Shared {
            commands,
            config,
            mailer,
            limits: Limits::default(),
            proxies: UnlistedProxies::default(),
            passwords: Passwords::queued(),
            streams: Streams::new(&bounds),
            feeds: FeedCache::default(),
            proof: Proof::default(),
            status_position: status,
            tasks: TaskTracker::new(),
            completer,
            registry,
            changed: watch::channel(0).0,
        });
        let router = routes::router(&app).map_err(anyhow::Error::msg)?;
        let mut loops = JoinSet::new();
        loops.spawn(workers::run(app.clone(), work.clone(), stop.clone()));
        // Shared by all queues except Meta's, which has a worker of its own.
        let worker = Arc::new(workers::worker(&app));
        loops.spawn(workers::clock::run(app.clone(), worker.clone(), work.clone(), stop.clone()));
        loops.spawn(workers::notices::run(app.clone(), worker.clone(), work.clone(), stop.clone()));
        loops.spawn(workers::notices::run_mails(app.clone(), worker.clone(), work, stop.clone()));
        loops.spawn(workers::incidents::run(app.clone(), stop.clone()));
        loops.spawn(webhooks::deliver::run(app.clone(), worker.clone(), hooks, stop.clone()));
        loops.spawn(workers::tidy::run(app.clone(), stop.clone()));
        loops.spawn(workers::witness::run(app.clone(), stop.clone()));
        let server = tokio::spawn(server::serve(listener, router, bounds, timeouts, stop.clone()));
        Ok(Self { app, address, stop, server, loops, worker, projections })
    }

    /// Stops: no new request, what is under way is finished, the rest given back, the database closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let loops = async { while self.loops.join_next().await.is_some() {} };
        let _ = tokio::join!(self.server, loops);
        if let Err(error) = self.worker.release().await {
            tracing::warn!(%error, "what was not finished waits until its lease ends");
        }
        // Callbacks whose browsers went away: a code works once, so each is worth waiting for.
        self.app.tasks.close();
        let _ = tokio::time::timeout(META_TIMEOUT, self.app.tasks.wait()).await;
        self.projections.stopped().await;
        self.app.database().close().await;
    }

    /// Runs until the system says to end (SIGTERM, or Ctrl-C), then stops.
    ///
    /// # Errors
    /// When signals can't be heard, or one of its loops ended by itself: better started anew than half alive.
    pub async fn run(mut self) -> Result<()> {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = term.recv() => {}
            ended = tokio::signal::ctrl_c() => ended?,
            ended = self.loops.join_next() => {
                self.stop().await;
                bail!("a loop of the service ended by itself: {ended:?}");
            }
        }
        tracing::info!("stopping");
        self.stop().await;
        Ok(())
    }
}
