//! What can be done to the pretend Meta: by code, by JSON (`POST /control` with an [`Action`]) or on its page.

use std::collections::VecDeque;

use askama::Template;
use axum::{
    Json,
    extract::{Form, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    consent::render,
    faults::{Fault, FaultKind, Spoils},
    server::Meta,
    world::{Login, World},
};

/// Something to do. `holder` is an Instagram account's or a Facebook user's id, or its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// All tokens from before die with 190/460.
    ChangePassword {
        /// Whose.
        holder: String,
    },
    /// The person removes the app: 190/458.
    RemoveApp {
        /// Whose.
        holder: String,
    },
    /// The person logs out everywhere: 190/467.
    LogOut {
        /// Who.
        holder: String,
    },
    /// A check must be passed at the next login: 190/459.
    Checkpoint {
        /// Who.
        holder: String,
    },
    /// The check was passed elsewhere: tokens work again.
    ClearCheckpoint {
        /// Whose.
        holder: String,
    },
    /// Every token's session ends now: 190/463.
    ExpireToken {
        /// Whose.
        holder: String,
    },
    /// Data access ends now.
    EndDataAccess {
        /// Whose.
        holder: String,
        /// Only a login with `auth_type=reauthorize` restarts it.
        #[serde(default)]
        strictly: bool,
    },
    /// A permission is taken back.
    DeclinePermission {
        /// Who.
        holder: String,
        /// Which.
        permission: String,
    },
    /// A Facebook user gets a role on the Page that an account is linked to.
    GivePageRole {
        /// Who gets it.
        holder: String,
        /// The account's id or name.
        account: String,
    },
    /// The next calls are spoiled.
    Fail {
        /// How.
        kind: FaultKind,
        /// How many.
        calls: u32,
        /// Only those that read this account.
        #[serde(default)]
        holder: Option<String>,
        /// Only those whose path contains this, such as `/media`.
        #[serde(default)]
        path: Option<String>,
    },
    /// The next calls are answered so.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The JSON.
        body: Value,
        /// How many; absent: all, until `stop_failing`.
        #[serde(default)]
        calls: Option<u32>,
        /// Only those that read this account.
        #[serde(default)]
        holder: Option<String>,
        /// Only those whose path contains this, such as `/media`.
        #[serde(default)]
        path: Option<String>,
    },
    /// An account has another name from now on.
    Rename {
        /// Which.
        holder: String,
        /// Its new name.
        username: String,
    },
    /// No call is spoiled any more.
    StopFailing,
    /// Meta restricts the app of a login, or lifts that.
    Restrict {
        /// Of which login.
        login: Login,
        /// Whether it is restricted from now on.
        restricted: bool,
    },
    /// What answers say from now on about how much of the apps' calls is used up.
    UseUp {
        /// How much of it, in percent; 0: nothing is said.
        percent: u32,
    },
    /// New posts.
    AddPosts {
        /// By whom.
        holder: String,
        /// How many.
        count: u32,
    },
    /// The clock moves forward at once: whoever lives by it finds out afterwards.
    MoveClock {
        /// By how much.
        seconds: u32,
    },
    /// Time passes, a day in half a second: whoever lives by it lives through it.
    PassTime {
        /// How much.
        seconds: u32,
    },
    /// The mail server refuses an address from now on, or takes its mails again.
    RefuseMail {
        /// Which.
        address: String,
        /// Whether it is refused.
        refused: bool,
    },
    /// The mail server answers nobody, or does again.
    CloseMail {
        /// Whether it is closed.
        closed: bool,
    },
}

impl World {
    /// Does something.
    ///
    /// # Errors
    /// When there is nobody of that id or name.
    pub fn act(&mut self, action: Action) -> Result<(), &'static str> {
        let now = self.clock.now();
        match action {
            Action::ChangePassword { holder } => self.standing_of(&holder)?.password_changed_at = Some(now),
            Action::RemoveApp { holder } => {
                self.standing_of(&holder)?.app_removed_at = Some(now);
                let id = self.id_of(&holder)?;
                let (login, user) = match self.accounts.get(&id) {
                    Some(account) => (Login::Instagram, account.app_scoped_id.clone()),
                    None => (Login::Facebook, id),
                };
                self.removed.push_back((login, user, now.timestamp()));
            }
            Action::LogOut { holder } => self.standing_of(&holder)?.logged_out_at = Some(now),
            Action::Checkpoint { holder } => self.standing_of(&holder)?.checkpoint = true,
            Action::ClearCheckpoint { holder } => self.standing_of(&holder)?.checkpoint = false,
            Action::ExpireToken { holder } => {
                let holder = self.id_of(&holder)?;
                self.tokens
                    .values_mut()
                    .filter(|token| token.holder == holder)
                    .for_each(|token| token.expires_at = now);
            }
            Action::EndDataAccess { holder, strictly } => {
                let holder = self.id_of(&holder)?;
                self.standing_of(&holder)?.reauthorize = strictly;
                let theirs = self.tokens.values_mut().filter(|token| token.holder == holder);
                theirs.for_each(|token| token.data_access_expires_at = now);
            }
            Action::DeclinePermission { holder, permission } => {
                self.standing_of(&holder)?.declined.insert(permission);
            }
            Action::GivePageRole { holder, account } => self.give_page_role(&holder, &account)?,
            Action::Fail { kind, calls, holder, path } => {
                let account = holder.filter(|name| !name.is_empty()).map(|name| self.id_of(&name)).transpose()?;
                self.faults.push_back(Fault { spoils: Spoils::Kind(kind), calls, account, path });
            }
            Action::Answer { status, body, calls, holder, path } => {
                let account = holder.map(|name| self.id_of(&name)).transpose()?;
                let calls = calls.unwrap_or(u32::MAX);
                self.faults.push_back(Fault { spoils: Spoils::Answer { status, body }, calls, account, path });
            }
            Action::Rename { holder, username } => {
                let id = self.id_of(&holder)?;
                self.accounts.get_mut(&id).ok_or("there is no such account")?.username = username;
            }
            Action::UseUp { percent } => self.app_usage = (percent > 0).then_some(percent),
            Action::StopFailing => self.faults = VecDeque::new(),
            Action::Restrict { login, restricted: true } => drop(self.restricted.insert(login)),
            Action::Restrict { login, restricted: false } => drop(self.restricted.remove(&login)),
            Action::AddPosts { holder, count } => {
                let holder = self.id_of(&holder)?;
                for _ in 0..count.min(100) {
                    self.add_post(&holder, TimeDelta::zero());
                }
            }
            Action::MoveClock { seconds } => self.clock.forward(TimeDelta::seconds(seconds.into())),
            Action::PassTime { seconds } => self.passing += TimeDelta::seconds(seconds.into()),
            Action::RefuseMail { address, refused: true } => drop(self.post.refused.insert(address)),
            Action::RefuseMail { address, refused: false } => drop(self.post.refused.remove(&address)),
            Action::CloseMail { closed } => self.post.is_down = closed,
        }
        Ok(())
    }

    fn give_page_role(&mut self, holder: &str, account: &str) -> Result<(), &'static str> {
        let (holder, account) = (self.id_of(holder)?, self.id_of(account)?);
        let mut pages = self.people.values().flat_map(|person| &person.pages);
        let page = pages.find(|page| page.account.as_ref() == Some(&account)).cloned();
        let page = page.ok_or("the account is linked to no Page")?;
        let person = self.people.get_mut(&holder).ok_or("only a Facebook user has a role on a Page")?;
        if person.pages.iter().all(|theirs| theirs.id != page.id) {
            person.pages.push(page);
        }
        Ok(())
    }

    fn id_of(&self, holder: &str) -> Result<String, &'static str> {
        if self.accounts.contains_key(holder) || self.people.contains_key(holder) {
            return Ok(holder.to_owned());
        }
        self.account_id(holder).or_else(|| self.person_id(holder)).ok_or("nobody has this id or name")
    }

    fn standing_of(&mut self, holder: &str) -> Result<&mut crate::world::Standing, &'static str> {
        let id = self.id_of(holder)?;
        self.standing_mut(&id).ok_or("nobody has this id or name")
    }
}

/// `POST /control` with JSON.
pub(crate) async fn json(State(meta): State<Meta>, Json(action): Json<Action>) -> Response {
    match meta.world().act(action) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": error }))).into_response(),
    }
}

#[derive(Deserialize)]
pub(crate) struct ActionForm {
    /// An action as JSON: each button of the page carries its own.
    action: String,
    #[serde(default)]
    holder: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    calls: Option<u32>,
}

/// `POST /control/form`, from the page.
pub(crate) async fn form(State(meta): State<Meta>, Form(form): Form<ActionForm>) -> Response {
    let action = (|| {
        let mut action: Value = serde_json::from_str(&form.action).ok()?;
        let fields = action.as_object_mut()?;
        if !form.holder.is_empty() {
            fields.insert("holder".to_owned(), form.holder.into());
        }
        if !form.kind.is_empty() {
            fields.insert("kind".to_owned(), form.kind.into());
            fields.insert("calls".to_owned(), form.calls.unwrap_or(1).into());
        }
        serde_json::from_value::<Action>(action).ok()
    })();
    let Some(action) = action else {
        return (StatusCode::BAD_REQUEST, "That is no action.").into_response();
    };
    match meta.world().act(action) {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error).into_response(),
    }
}

/// `GET /control`: what the pretend Meta knows, without the tokens' strings.
pub(crate) async fn state(State(meta): State<Meta>) -> Json<Value> {
    let world = meta.world();
    let tokens: Vec<_> =
        world.tokens.values().map(|token| json!({"token": token, "works": world.why_dead(token).is_none()})).collect();
    Json(json!({
        "now": world.clock.now(), "accounts": world.accounts, "people": world.people, "tokens": tokens,
        "faults": world.faults, "restricted": world.restricted, "calls": world.calls,
    }))
}

struct Row {
    id: String,
    name: String,
    login: &'static str,
    about: String,
    token: &'static str,
    works: bool,
    posts: bool,
}

#[derive(Template)]
#[template(path = "control.html")]
struct ControlPage {
    now: String,
    passing: Option<i64>,
    mails: usize,
    mail_closed: bool,
    rows: Vec<Row>,
    faults: usize,
    instagram_restricted: bool,
    facebook_restricted: bool,
    faultkinds: &'static [(&'static str, &'static str)],
}

/// `GET /`: the page.
pub(crate) async fn page(State(meta): State<Meta>) -> Response {
    let world = meta.world();
    let token = |holder: &str| match world.latest_token(holder) {
        None => ("never connected", false),
        Some((_, token)) => match world.why_dead(token).and_then(|dead| dead.subcode) {
            None if !world.has_data_access(token) => ("data access ended", false),
            None => ("works", true),
            Some(458) => ("app removed", false),
            Some(459) => ("checkpoint", false),
            Some(460) => ("password changed", false),
            Some(463) => ("session expired", false),
            Some(_) => ("logged out", false),
        },
    };
    let accounts = world.accounts.values().map(|account| {
        let (token, works) = token(&account.id);
        let about = format!("{} posts{}", account.posts.len(), if account.personal { ", personal" } else { "" });
        let name = account.username.clone();
        Row { id: account.id.clone(), name, login: "Instagram", about, token, works, posts: true }
    });
    let people = world.people.values().map(|person| {
        let (token, works) = token(&person.id);
        let pages: Vec<_> = person.pages.iter().map(|page| page.name.as_str()).collect();
        let about = if pages.is_empty() { "no Pages".to_owned() } else { pages.join(", ") };
        Row { id: person.id.clone(), name: person.name.clone(), login: "Facebook", about, token, works, posts: false }
    });
    render(&ControlPage {
        now: world.clock.now().format("%A, %e %B %Y, %H:%M UTC").to_string(),
        passing: (world.passing > TimeDelta::zero()).then(|| world.passing.num_days().max(1)),
        mails: world.post.mails.len(),
        mail_closed: world.post.is_down,
        rows: accounts.chain(people).collect(),
        faults: world.faults.len(),
        instagram_restricted: world.restricted.contains(&Login::Instagram),
        facebook_restricted: world.restricted.contains(&Login::Facebook),
        faultkinds: &[
            ("unavailable", "503, temporarily unavailable"),
            ("bad_gateway", "502, a proxy's page"),
            ("slow", "an answer two seconds late"),
            ("timeout", "no answer"),
            ("html", "HTML instead of JSON"),
            ("wrong_types", "JSON of wrong types"),
            ("truncated", "half an answer"),
            ("drip", "an answer that drips"),
            ("transient", "a transient error"),
            ("app_throttled", "the app is throttled"),
            ("user_throttled", "the user is throttled"),
        ],
    })
}

/// Lets only this machine's own pages and programs at the controls: the address must be ours (no other name that leads
/// here, as in DNS rebinding), and a browser's request must come from our own page.
pub(crate) async fn guard(State(meta): State<Meta>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let port = meta.config.listen_port();
    let ours = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host_is_ours = text(header::HOST).is_some_and(|host| ours.iter().any(|our| our == host));
    let origin_is_ours = match text(header::ORIGIN) {
        Some(origin) => ours.iter().any(|our| origin == format!("http://{our}")),
        None => request.method() == Method::GET || text(header::HeaderName::from_static("sec-fetch-site")).is_none(),
    };
    if host_is_ours && origin_is_ours {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "The controls can be used from this machine's own page only.").into_response()
    }
}
