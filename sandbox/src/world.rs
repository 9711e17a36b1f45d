//! What the pretend Meta knows: accounts, people, tokens, codes; and the rules of who may read what.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, distr::Alphanumeric};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{faults::Fault, mail::PostOffice};

/// Meta's two logins; each is an app of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Instagram Login.
    Instagram,
    /// Facebook Login.
    Facebook,
}

impl Login {
    /// The permissions that the login knows.
    pub fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Instagram => &[
                "instagram_business_basic",
                "instagram_business_content_publish",
                "instagram_business_manage_messages",
                "instagram_business_manage_comments",
            ],
            Self::Facebook => &["instagram_basic", "pages_show_list", "pages_read_engagement", "public_profile"],
        }
    }
}

/// A clock that can be moved forward. Saved as milliseconds ahead of the machine's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct Clock {
    ahead: watch::Sender<TimeDelta>,
}

impl From<i64> for Clock {
    fn from(ahead_ms: i64) -> Self {
        Self { ahead: watch::channel(TimeDelta::milliseconds(ahead_ms)).0 }
    }
}

impl From<Clock> for i64 {
    fn from(clock: Clock) -> Self {
        clock.ahead.borrow().num_milliseconds()
    }
}

impl Clock {
    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "this is the sandbox's one source of time")]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + *self.ahead.borrow()
    }

    /// Moves it.
    pub fn forward(&self, by: TimeDelta) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }

    /// How far it is ahead of the machine's, now and after each move.
    pub fn ahead(&self) -> watch::Receiver<TimeDelta> {
        self.ahead.subscribe()
    }
}

/// What can happen to whoever holds a login.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Tokens from before this instant died of a password change.
    pub password_changed_at: Option<DateTime<Utc>>,
    /// Tokens from before this instant died with the app's removal.
    pub app_removed_at: Option<DateTime<Utc>>,
    /// Tokens from before this instant were logged out.
    pub logged_out_at: Option<DateTime<Utc>>,
    /// A check must be passed before anything else.
    pub checkpoint: bool,
    /// Permissions that were taken back.
    pub declined: BTreeSet<String>,
    /// Data access ended, and only a login that asks for it restarts it.
    #[serde(default)]
    pub reauthorize: bool,
}

/// An Instagram account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// The professional account's id, the same through both logins.
    pub id: String,
    /// The id that the app with Instagram Login sees.
    pub app_scoped_id: String,
    /// Its name.
    pub username: String,
    /// A personal account: the API gives nothing of it.
    pub personal: bool,
    /// What happened to it.
    pub standing: Standing,
    /// Its posts, newest first.
    pub posts: VecDeque<Post>,
}

/// A post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Post {
    /// Its id.
    pub id: String,
    /// Its text.
    pub caption: String,
    /// `IMAGE`, `VIDEO` or `CAROUSEL_ALBUM`.
    pub media_type: String,
    /// When it was published.
    pub at: DateTime<Utc>,
}

/// A Facebook user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The app-scoped id.
    pub id: String,
    /// The name.
    pub name: String,
    /// What happened to them.
    pub standing: Standing,
    /// Their Pages.
    pub pages: Vec<Page>,
}

/// A Page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Instagram account that is linked to it.
    pub account: Option<String>,
}

/// A token that was given out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// Through which login.
    pub login: Login,
    /// The account's or the person's id.
    pub holder: String,
    /// When the person went through the login.
    pub granted_at: DateTime<Utc>,
    /// When this string was made.
    pub issued_at: DateTime<Utc>,
    /// When the session ends.
    pub expires_at: DateTime<Utc>,
    /// When data access ends.
    pub data_access_expires_at: DateTime<Utc>,
    /// What was granted.
    pub permissions: BTreeSet<String>,
    /// The Pages that were ticked.
    pub pages: BTreeSet<String>,
    /// Lives an hour, to be exchanged.
    pub short: bool,
}

/// A code that waits to be exchanged.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) token: Token,
    pub(crate) redirect_uri: String,
}

/// Everything. Codes and outages are not kept over a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct World {
    /// The pretend Meta's clock.
    pub clock: Clock,
    /// All accounts by id.
    pub accounts: BTreeMap<String, Account>,
    /// All Facebook users by id.
    pub people: BTreeMap<String, Person>,
    /// All tokens by their string.
    pub tokens: HashMap<String, Token>,
    #[serde(skip)]
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) used_codes: u64,
    #[serde(skip)]
    pub(crate) faults: VecDeque<Fault>,
    /// Apps that Meta restricted.
    pub restricted: BTreeSet<Login>,
    /// How many calls were answered, well or not.
    #[serde(skip)]
    pub calls: u64,
    /// What answers say in `X-App-Usage`, in percent; `None`: nothing.
    #[serde(skip)]
    pub(crate) app_usage: Option<u32>,
    /// How much time is still to pass, a day at a time.
    #[serde(skip)]
    pub(crate) passing: TimeDelta,
    /// Whom Meta still has to tell that somebody removed the app: of which login, by which id, when.
    #[serde(skip)]
    pub(crate) removed: VecDeque<(Login, String, i64)>,
    /// The mail server beside it.
    #[serde(default)]
    pub post: PostOffice,
}

/// An error as the Graph API puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) kind: &'static str,
    pub(crate) message: &'static str,
}

impl GraphError {
    pub(crate) const fn new(code: i64, subcode: Option<i64>, message: &'static str) -> Self {
        Self { status: 400, code, subcode, kind: "OAuthException", message }
    }

    pub(crate) fn body(&self) -> Value {
        let mut error = json!({
            "message": self.message, "type": self.kind, "code": self.code,
            "fbtrace_id": format!("A{}", random(10)),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = subcode.into();
        }
        json!({ "error": error })
    }
}

/// A random text of letters and digits.
pub(crate) fn random(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

impl World {
    /// What happened to an account or a person.
    pub fn standing_mut(&mut self, holder: &str) -> Option<&mut Standing> {
        match self.accounts.get_mut(holder) {
            Some(account) => Some(&mut account.standing),
            None => self.people.get_mut(holder).map(|person| &mut person.standing),
        }
    }

    fn standing(&self, holder: &str) -> Option<&Standing> {
        let account = self.accounts.get(holder).map(|account| &account.standing);
        account.or_else(|| self.people.get(holder).map(|person| &person.standing))
    }

    /// The token of a string, if it can be used now.
    pub(crate) fn usable(&self, string: &str, login: Login) -> Result<&Token, GraphError> {
        if self.restricted.contains(&login) {
            return Err(GraphError::new(200, None, "API access blocked."));
        }
        let token = self.tokens.get(string).filter(|token| token.login == login);
        let Some(token) = token else {
            return Err(GraphError::new(190, None, "Invalid OAuth access token - Cannot parse access token"));
        };
        self.why_dead(token).map_or(Ok(token), Err)
    }

    /// Why a token can't be used now, if it can't.
    pub(crate) fn why_dead(&self, token: &Token) -> Option<GraphError> {
        let standing = self.standing(&token.holder)?;
        let since = |at: Option<DateTime<Utc>>| at.is_some_and(|at| token.granted_at <= at);
        let dead = |subcode, message| Some(GraphError::new(190, Some(subcode), message));
        if since(standing.app_removed_at) {
            dead(458, "Error validating access token: The user has not authorized application.")
        } else if since(standing.password_changed_at) {
            dead(
                460,
                "Error validating access token: The session has been invalidated because the user changed their \
                 password or Facebook has changed the session for security reasons.",
            )
        } else if since(standing.logged_out_at) {
            dead(467, "Error validating access token: The session is invalid because the user logged out.")
        } else if standing.checkpoint {
            dead(459, "Error validating access token: You cannot access the app till you log in and follow the steps.")
        } else if token.expires_at <= self.clock.now() {
            dead(463, "Error validating access token: Session has expired.")
        } else {
            None
        }
    }

    /// Whether a token that works has a permission.
    pub(crate) fn permitted(&self, token: &Token, permission: &str) -> bool {
        let declined = self.standing(&token.holder).is_some_and(|standing| standing.declined.contains(permission));
        token.permissions.contains(permission) && !declined
    }

    /// Whether data access goes on.
    pub(crate) fn has_data_access(&self, token: &Token) -> bool {
        token.data_access_expires_at > self.clock.now()
    }

    /// Whether the token of a holder's latest login for an account can be used to read its posts, apart from outages and
    /// restrictions. `account`: its id; of a Facebook user's tokens, those count that were given its Page.
    pub fn works(&self, holder: &str, account: &str) -> bool {
        let pages = self.people.get(holder).map_or(&[][..], |person| &person.pages);
        let page = pages.iter().find(|page| page.account.as_deref() == Some(account));
        let reaches =
            |token: &Token| token.login == Login::Instagram || page.is_some_and(|page| token.pages.contains(&page.id));
        self.latest(holder, reaches).is_some_and(|(_, token)| {
            let permission = match token.login {
                Login::Instagram => "instagram_business_basic",
                Login::Facebook => "instagram_basic",
            };
            let reads = self.has_data_access(token) || token.login == Login::Instagram;
            self.why_dead(token).is_none() && reads && self.permitted(token, permission)
        })
    }

    /// Makes a new token string for a token.
    pub(crate) fn issue(&mut self, token: Token) -> String {
        let prefix = match token.login {
            Login::Instagram => "IGAA",
            Login::Facebook => "EAAG",
        };
        let string = format!("{prefix}{}", random(160));
        self.tokens.insert(string.clone(), token);
        string
    }

    /// The latest token of the latest login of an account or a person, if there is one.
    pub fn latest_token(&self, holder: &str) -> Option<(&String, &Token)> {
        self.latest(holder, |_| true)
    }

    fn latest(&self, holder: &str, which: impl Fn(&Token) -> bool) -> Option<(&String, &Token)> {
        let theirs = self.tokens.iter().filter(|(_, token)| token.holder == holder && !token.short && which(token));
        theirs.max_by_key(|(_, token)| (token.granted_at, token.issued_at))
    }
}
