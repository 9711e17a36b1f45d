//! The server: which path plays which of Meta's hosts.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Query, Request, State},
    http::{HeaderName, HeaderValue},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use chrono::TimeDelta;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::{callbacks, consent, control, file, graph, mail, pictures, tokens, world::World};

/// While time passes: so much of it…
const STEP: TimeDelta = TimeDelta::days(1);
/// …so often.
const STEP_EVERY: Duration = Duration::from_millis(500);

/// How the sandbox is started.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; on loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Id and secret of the app with Instagram Login.
    pub instagram_app: (String, String),
    /// Id and secret of the app with Facebook Login.
    pub facebook_app: (String, String),
    /// Where its mail server listens; port 0 takes a free one.
    pub smtp_listen: SocketAddr,
    /// Where what it knows is kept from one start to the next; `None`: nowhere.
    pub file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            smtp_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            instagram_app: ("990001".to_owned(), "sandbox-instagram-secret".to_owned()),
            facebook_app: ("990002".to_owned(), "sandbox-facebook-secret".to_owned()),
            file: None,
        }
    }
}

impl Config {
    pub(crate) fn listen_port(&self) -> u16 {
        self.listen.port()
    }
}

/// What every handler shares.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) config: Arc<Config>,
    world: Arc<Mutex<World>>,
    /// Where it tells that somebody removed an app: the address before `/meta/…/deauthorize`.
    tells: Arc<Mutex<Option<String>>>,
}

impl Meta {
    pub(crate) fn tells(&self) -> Option<String> {
        self.tells.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `localhost`, so that it shares no cookie with a Relight on `127.0.0.1`.
    pub(crate) fn base(&self) -> String {
        format!("http://localhost:{}", self.config.listen_port())
    }
}

/// A running sandbox. It ends when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    meta: Meta,
    tasks: JoinSet<()>,
    saver: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts it with what its file holds, or with its cast.
    ///
    /// # Errors
    /// When the address isn't on loopback or can't be listened on, or the file can't be read.
    pub async fn start(config: Config) -> io::Result<Self> {
        let saved = config.file.as_deref().map(file::load).transpose()?.flatten();
        Self::start_with(config, saved.unwrap_or_else(World::with_cast)).await
    }

    /// Starts it with a world of one's own.
    ///
    /// # Errors
    /// When the address isn't on loopback or can't be listened on.
    pub async fn start_with(mut config: Config, world: World) -> io::Result<Self> {
        if !config.listen.ip().is_loopback() || !config.smtp_listen.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the sandbox listens on loopback only"));
        }
        let listener = TcpListener::bind(config.listen).await?;
        config.listen = listener.local_addr()?;
        let smtp = TcpListener::bind(config.smtp_listen).await?;
        config.smtp_listen = smtp.local_addr()?;
        let meta = Meta { config: Arc::new(config), world: Arc::new(Mutex::new(world)), tells: Arc::default() };
        let router = router(meta.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(mail::serve(smtp, meta.clone()));
        tasks.spawn(pass_time(meta.clone()));
        tasks.spawn(callbacks::tell_removed(meta.clone()));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sandbox stopped");
            }
        });
        let saver = meta.config.file.clone().map(|file| tokio::spawn(file::save_always(meta.clone(), file)));
        Ok(Self { meta, tasks, saver })
    }

    /// Its address for browsers and programs.
    pub fn url(&self) -> String {
        self.meta.base()
    }

    /// The address of its mail server, as `smtp.url` takes it.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.config().smtp_listen)
    }

    /// Tells the service at this address from now on when somebody removes the app, as its deauthorize callback.
    pub fn tell(&self, base: &str) {
        *self.meta.tells.lock().unwrap_or_else(PoisonError::into_inner) = Some(base.to_owned());
    }

    /// Its apps' ids and secrets, and where it listens.
    pub fn config(&self) -> &Config {
        &self.meta.config
    }

    /// What it knows, to look at or to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.meta.world()
    }

    /// How many faults wait for calls.
    pub fn faults(&self) -> usize {
        self.world().faults.len()
    }

    /// Does something to it.
    ///
    /// # Errors
    /// When there is nobody of that id or name.
    pub fn act(&self, action: control::Action) -> Result<(), &'static str> {
        self.world().act(action)
    }

    /// Runs until it ends, which it doesn't by itself.
    pub async fn wait(mut self) {
        let _ = self.tasks.join_next().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.abort_all();
        if let (Some(saver), Some(file)) = (&self.saver, &self.meta.config.file) {
            saver.abort();
            file::save(&self.world(), file);
        }
    }
}

/// Lets time pass as it was asked to, in steps that leave others the time to act.
async fn pass_time(meta: Meta) {
    loop {
        tokio::time::sleep(STEP_EVERY).await;
        let mut world = meta.world();
        let step = world.passing.min(STEP);
        if step > TimeDelta::zero() {
            world.passing -= step;
            world.clock.forward(step);
        }
    }
}

fn router(meta: Meta) -> Router {
    let controls = Router::new()
        .route("/", get(control::page))
        .route("/control", get(control::state).post(control::json))
        .route("/control/form", post(control::form))
        .route("/mails", get(mail::list))
        .route("/mails/{number}", get(mail::one))
        .layer(middleware::from_fn_with_state(meta.clone(), control::guard));
    let logins = Router::new()
        .route("/oauth/authorize", get(consent::instagram_page).post(consent::instagram_answer))
        .route("/facebook/{version}/dialog/oauth", get(consent::facebook_page))
        .route("/facebook/dialog", post(consent::facebook_answer));
    let apis = Router::new()
        // https://api.instagram.com
        .route("/oauth/access_token", post(tokens::instagram_code))
        // https://graph.instagram.com
        .route("/instagram/access_token", get(tokens::instagram_exchange))
        .route("/instagram/refresh_access_token", get(tokens::instagram_renew))
        .route("/instagram/{version}/me", get(graph::instagram_me))
        .route("/instagram/{version}/{id}/media", get(graph::instagram_media))
        // https://graph.facebook.com
        .route("/graph/{version}/oauth/access_token", get(tokens::facebook_token))
        .route("/graph/{version}/debug_token", get(graph::debug_token))
        .route("/graph/{version}/me/accounts", get(graph::me_accounts))
        .route("/graph/{version}/me/permissions", get(graph::me_permissions))
        .route("/graph/{version}/{id}", get(graph::page))
        .route("/graph/{version}/{id}/media", get(graph::facebook_media))
        .route("/graph/{version}/{id}/{edge}", get(graph::unknown_edge))
        .layer(middleware::from_fn_with_state(meta.clone(), spoil));
    let pictures = Router::new()
        .route("/pictures/{name}", get(pictures::picture))
        .route("/p/{id}/", get(async |Path(id): Path<String>| format!("The pretend page of post {id}.")));
    Router::new().merge(controls).merge(logins).merge(apis).merge(pictures).with_state(meta)
}

#[derive(serde::Deserialize)]
struct Caller {
    access_token: Option<String>,
    input_token: Option<String>,
}

/// Counts calls, and spoils those that a fault is waiting for.
async fn spoil(State(meta): State<Meta>, Query(caller): Query<Caller>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let (kind, usage) = {
        let mut world = meta.world();
        world.calls += 1;
        let string = caller.input_token.or(caller.access_token);
        let holder = string.and_then(|string| world.tokens.get(&string)).map(|token| token.holder.clone());
        let meant = |account: &String| holder.as_ref() == Some(account) || path.contains(account.as_str());
        let hit = world.faults.iter().position(|fault| {
            fault.account.as_ref().is_none_or(meant) && fault.path.as_ref().is_none_or(|part| path.contains(part))
        });
        let kind = hit.and_then(|index| {
            let fault = world.faults.get_mut(index)?;
            let kind = fault.spoils.clone();
            // The most that can be asked for stands for *always*.
            fault.calls = if fault.calls == u32::MAX { u32::MAX } else { fault.calls.saturating_sub(1) };
            if fault.calls == 0 {
                world.faults.remove(index);
            }
            Some(kind)
        });
        (kind, world.app_usage)
    };
    let spoiled = match &kind {
        Some(kind) => kind.answer().await,
        None => None,
    };
    let mut response = match spoiled {
        Some(spoiled) => spoiled,
        None => {
            let usual = next.run(request).await;
            match &kind {
                Some(kind) => kind.spoil(usual).await,
                None => usual,
            }
        }
    };
    if let Some(percent) = usage {
        let usage = format!(r#"{{"call_count":{percent},"total_time":1,"total_cputime":1}}"#);
        response
            .headers_mut()
            .extend(HeaderValue::try_from(usage).ok().map(|usage| (HeaderName::from_static("x-app-usage"), usage)));
    }
    response
}
