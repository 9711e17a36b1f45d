//! An attempt: one trip to Meta's login, from the button to the result page.
//!
//! The `state` that travels through Meta is random and stands in the row only as its hash; it works once, for an hour,
//! in the browser that set out. An attempt never signs anybody in.

mod grant;
mod rows;

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, AttemptId, Connection, LinkId, ParseError, UserId};
use engine::{Query, StoreError, sql};
use rand::Rng;
use sha2::{Digest, Sha256};

pub use grant::forget_unchosen;
pub use rows::forget_before;

use crate::{Error, Outcome, vault::tables::GRANTS};

/// How long a person may take at Meta: checkpoints and second factors take long.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(60);
/// How long a grant waits for the choice of an account.
pub const CHOICE: TimeDelta = TimeDelta::minutes(10);
/// How long after the login's beginning a grant waits at most, where Meta's limit of calls lets no one ask sooner.
const LIMITED: TimeDelta = TimeDelta::hours(3);
/// After this a callback that was begun has been interrupted: every call to Meta has timed out by then, those of the login
/// itself (a minute and a half, and a minute for its Pages) and four rounds of a minute that ask about its accounts.
const INTERRUPTED: TimeDelta = TimeDelta::minutes(8);

/// Why somebody goes to the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To connect an account, signed in.
    Connect,
    /// To refresh one account from its page, signed in.
    Account,
    /// To refresh whatever the login reaches, from the access token page.
    TokenPage,
    /// To refresh one account, by a reconnect link.
    Link,
    /// To switch one account to the other connection, signed in.
    Switch,
}

impl Purpose {
    /// The name in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Account => "account",
            Self::TokenPage => "token_page",
            Self::Link => "link",
            Self::Switch => "switch",
        }
    }
}

impl FromStr for Purpose {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        let all = [Self::Connect, Self::Account, Self::TokenPage, Self::Link, Self::Switch];
        all.into_iter().find(|purpose| purpose.name() == name).ok_or(ParseError)
    }
}

/// Where an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The person is at Meta.
    Started,
    /// The callback came and is being worked on.
    Claimed,
    /// The person must choose among several accounts.
    Choosing,
    /// Meta could not be asked to the end, for this reason, or the program stopped meanwhile. The grant waits: trying again
    /// needs no other login.
    Waiting(Outcome),
    /// It is over.
    Finished(Outcome),
}

/// An attempt as it stands.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// What pages show and support finds it by.
    pub reference: String,
    /// Why.
    pub purpose: Purpose,
    /// Through which login.
    pub connection: Connection,
    /// The account that is meant.
    pub account: Option<AccountId>,
    /// Who set out, if signed in.
    pub user: Option<UserId>,
    /// The reconnect link that was used.
    pub link: Option<LinkId>,
    /// Until when that works.
    pub link_ends_at: Option<DateTime<Utc>>,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    browser_hash: Vec<u8>,
}

/// What an attempt begins with.
#[derive(Debug, Clone)]
pub(crate) struct Start<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) connection: Connection,
    pub(crate) account: Option<AccountId>,
    pub(crate) user: Option<UserId>,
    pub(crate) link: Option<LinkId>,
    pub(crate) link_ends_at: Option<DateTime<Utc>>,
    /// The value of the browser's own cookie.
    pub(crate) browser: &'a str,
}

/// An attempt that has begun.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) state: String,
}

impl Attempt {
    /// Whether this is the browser that set out.
    pub fn is_of_browser(&self, browser: &str) -> bool {
        // Hashes of random values: comparing them tells nobody anything about the values.
        self.browser_hash == hash(browser)
    }

    /// The writes that end it, in the unit of what it led to. They are refused if it is over already.
    pub(crate) fn finish(&self, outcome: &Outcome, accounts: &[AccountId], at: DateTime<Utc>) -> Vec<Query> {
        let outcome = serde_json::to_string(outcome).unwrap_or_else(|_| r#"{"outcome":"interrupted"}"#.to_owned());
        let finish = sql(
            "UPDATE attempts SET phase = 'finished', outcome = $1, finished_at = $2, sealed = NULL, sealed_key = NULL, \
             pending = NULL, asking_until = NULL WHERE id = $3 AND phase IN ('claimed', 'choosing')",
        );
        let mut writes = vec![finish.bind(outcome).bind(at).bind(self.id.to_string()).guarded()];
        writes.extend(self.about(accounts));
        writes
    }

    /// The writes that say that it was about these accounts.
    pub(crate) fn about(&self, accounts: &[AccountId]) -> Vec<Query> {
        accounts
            .iter()
            .map(|account| {
                sql("INSERT INTO attempt_accounts (account_id, attempt_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(account.to_string())
                    .bind(self.id.to_string())
            })
            .collect()
    }
}

/// What a sealed grant is bound to.
fn grant_of(attempt: AttemptId) -> String {
    GRANTS.bound_to(&[&attempt.to_string()])
}

fn parse<T: FromStr<Err = ParseError>>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| unreadable("an attempt's row"))
}

fn unreadable(what: &str) -> Error {
    StoreError::Unreadable(what.to_owned()).into()
}

fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Random bytes as a text that can stand in URLs and cookies.
pub fn random_text<const BYTES: usize>() -> String {
    URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; BYTES]>())
}

/// A reference as it is stored, however it was typed: with other dashes or none, with spaces, in small letters.
pub fn spelled(typed: &str) -> String {
    let characters: Vec<_> =
        typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    characters.chunks(3).map(|three| three.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Nine characters without those that are easily mixed up, in threes: read out over the phone without a mistake.
fn reference() -> String {
    const LETTERS: &[u8; 28] = b"23456789ABCDEFGHJKMNPQRSTVWX";
    let mut rng = rand::rng();
    let mut three = || (0..3).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect::<String>();
    format!("{}-{}-{}", three(), three(), three())
}
