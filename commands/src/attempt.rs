//! An attempt: one trip to Meta's login, from the button to the result page.
//!
//! The `state` that travels through Meta is random and stands in the row only as its hash; it works once, for an hour,
//! in the browser that set out. An attempt never signs anybody in.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, AttemptId, Connection, LinkId, ParseIdError, UserId};
use rand::Rng;
use sha2::{Digest, Sha256};
use store::{Database, StoreError, Value, Write, execute, read};

use crate::{Commands, Error, Outcome, login::Login, new_id};

/// How long a person may take at Meta: checkpoints and second factors take long.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(60);
/// How long a grant waits for the choice of an account.
pub const CHOICE: TimeDelta = TimeDelta::minutes(10);
/// After this a callback that was begun has been interrupted: every call to Meta has timed out by then.
const INTERRUPTED: TimeDelta = TimeDelta::minutes(5);

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
    type Err = ParseIdError;

    fn from_str(name: &str) -> Result<Self, ParseIdError> {
        let all = [Self::Connect, Self::Account, Self::TokenPage, Self::Link, Self::Switch];
        all.into_iter().find(|purpose| purpose.name() == name).ok_or(ParseIdError)
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

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    reference: String,
    cookie_hash: Vec<u8>,
    purpose: String,
    connection: String,
    account_id: Option<String>,
    user_id: Option<String>,
    link_id: Option<String>,
    link_ends_at: Option<DateTime<Utc>>,
    phase: String,
    started_at: DateTime<Utc>,
    claimed_at: Option<DateTime<Utc>>,
    choose_until: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
}

const COLUMNS: &str = "SELECT id, reference, cookie_hash, purpose, connection, account_id, user_id, link_id, link_ends_at, \
                       phase, started_at, claimed_at, choose_until, finished_at, outcome FROM attempts";

impl Commands {
    /// Begins an attempt.
    pub(crate) async fn start(&self, start: Start<'_>) -> Result<Started, Error> {
        let state = random_text::<32>();
        let id = AttemptId::new(new_id());
        let mut tx = self.store.database().begin().await?;
        let text = |id: Option<String>| id;
        execute!(
            &mut tx,
            sqlx::query(
                "INSERT INTO attempts (id, reference, state_hash, cookie_hash, purpose, connection, account_id, \
                 user_id, link_id, link_ends_at, phase, started_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11, 'started', $10)",
            )
            .bind(id.to_string())
            .bind(reference())
            .bind(hash(&state))
            .bind(hash(start.browser))
            .bind(start.purpose.name())
            .bind(start.connection.name())
            .bind(text(start.account.map(|id| id.to_string())))
            .bind(text(start.user.map(|id| id.to_string())))
            .bind(text(start.link.map(|id| id.to_string())))
            .bind(self.clock.now())
            .bind(start.link_ends_at)
        )?;
        if let Some(account) = start.account {
            execute!(
                &mut tx,
                sqlx::query("INSERT INTO attempt_accounts (account_id, attempt_id) VALUES ($1, $2)")
                    .bind(account.to_string())
                    .bind(id.to_string())
            )?;
        }
        tx.commit().await?;
        Ok(Started { state })
    }

    /// The attempt of a `state` that came back.
    pub(crate) async fn attempt_of_state(&self, state: &str) -> Result<Option<Attempt>, Error> {
        let sql = format!("{COLUMNS} WHERE state_hash = $1");
        let row: Option<Row> = read!(self.store.database(), pool =>
            sqlx::query_as(&sql).bind(hash(state)).fetch_optional(pool))?;
        row.map(|row| self.attempt(row)).transpose()
    }

    /// An attempt by its reference.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempt_of_reference(&self, reference: &str) -> Result<Option<Attempt>, Error> {
        let sql = format!("{COLUMNS} WHERE reference = $1");
        let row: Option<Row> = read!(self.store.database(), pool =>
            sqlx::query_as(&sql).bind(reference).fetch_optional(pool))?;
        row.map(|row| self.attempt(row)).transpose()
    }

    /// The latest attempts that were about an account, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts_of_account(&self, account: AccountId, limit: i64) -> Result<Vec<Attempt>, Error> {
        let sql = format!(
            "{COLUMNS} WHERE id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1) \
             ORDER BY started_at DESC LIMIT $2"
        );
        let rows: Vec<Row> = read!(self.store.database(), pool =>
            sqlx::query_as(&sql).bind(account.to_string()).bind(limit).fetch_all(pool))?;
        rows.into_iter().map(|row| self.attempt(row)).collect()
    }

    /// The accounts that an attempt was about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts_of_attempt(&self, attempt: AttemptId) -> Result<Vec<AccountId>, Error> {
        let ids: Vec<String> = read!(self.store.database(), pool =>
            sqlx::query_scalar("SELECT account_id FROM attempt_accounts WHERE attempt_id = $1 ORDER BY account_id")
                .bind(attempt.to_string()).fetch_all(pool))?;
        ids.iter().map(|id| parse(id)).collect()
    }

    /// Takes the right to work on an attempt, once for all callbacks with its state.
    pub(crate) async fn claim(&self, attempt: &Attempt) -> Result<bool, Error> {
        let mut tx = self.store.database().begin().await?;
        let claimed = execute!(
            &mut tx,
            sqlx::query("UPDATE attempts SET phase = 'claimed', claimed_at = $1 WHERE id = $2 AND phase = 'started'")
                .bind(self.clock.now())
                .bind(attempt.id.to_string())
        )?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// Lets the grant of a login wait, sealed, for a choice among the accounts that it reaches.
    pub(crate) async fn await_choice(&self, attempt: &Attempt, login: &Login) -> Result<(), Error> {
        let sealed = self.vault.seal(&login.to_bytes(), &grant_of(attempt.id))?;
        let mut tx = self.store.database().begin().await?;
        execute!(
            &mut tx,
            sqlx::query(
                "UPDATE attempts SET phase = 'choosing', choose_until = $1, sealed = $2, sealed_key = $3 \
                 WHERE id = $4 AND phase = 'claimed'",
            )
            .bind(self.clock.now() + CHOICE)
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .bind(attempt.id.to_string())
        )?;
        Ok(tx.commit().await?)
    }

    /// The grant that waits for a choice.
    pub(crate) async fn waiting_grant(&self, attempt: &Attempt) -> Result<Option<Login>, Error> {
        let row: Option<(Vec<u8>, String)> = read!(self.store.database(), pool =>
            sqlx::query_as("SELECT sealed, sealed_key FROM attempts WHERE id = $1 AND phase = 'choosing'")
                .bind(attempt.id.to_string()).fetch_optional(pool))?;
        let Some((bytes, key_id)) = row else { return Ok(None) };
        let opened = self.vault.open(&crate::vault::Sealed { key_id, bytes }, &grant_of(attempt.id))?;
        Login::from_bytes(&opened).map(Some).ok_or(Error::Sealed("not a grant"))
    }

    fn attempt(&self, row: Row) -> Result<Attempt, Error> {
        let id: AttemptId = parse(&row.id)?;
        let now = self.clock.now();
        let phase = match (row.phase.as_str(), &row.outcome) {
            ("claimed", _) if row.claimed_at.is_none_or(|at| now - at > INTERRUPTED) => {
                Phase::Finished(Outcome::Interrupted)
            }
            ("claimed", _) => Phase::Claimed,
            ("choosing", _) if row.choose_until.is_none_or(|until| until < now) => {
                Phase::Finished(Outcome::ChoiceExpired)
            }
            ("choosing", _) => Phase::Choosing,
            ("finished", Some(outcome)) => {
                Phase::Finished(serde_json::from_str(outcome).map_err(|error| unreadable(&error.to_string()))?)
            }
            _ => Phase::Started,
        };
        Ok(Attempt {
            id,
            reference: row.reference,
            purpose: parse(&row.purpose)?,
            connection: parse(&row.connection)?,
            account: row.account_id.as_deref().map(parse).transpose()?,
            user: row.user_id.as_deref().map(parse).transpose()?,
            link: row.link_id.as_deref().map(parse).transpose()?,
            link_ends_at: row.link_ends_at,
            phase,
            started_at: row.started_at,
            finished_at: row.finished_at,
            browser_hash: row.cookie_hash,
        })
    }
}

impl Attempt {
    /// Whether this is the browser that set out.
    pub fn is_of_browser(&self, browser: &str) -> bool {
        // Hashes of random values: comparing them tells nobody anything about the values.
        self.browser_hash == hash(browser)
    }

    /// The writes that end it, in the unit of what it led to. They are refused if it is over already.
    pub(crate) fn finish(&self, outcome: &Outcome, accounts: &[AccountId], at: DateTime<Utc>) -> Vec<Write> {
        let outcome = serde_json::to_string(outcome).unwrap_or_else(|_| r#"{"outcome":"interrupted"}"#.to_owned());
        let finish = Write::new(
            "UPDATE attempts SET phase = 'finished', outcome = $1, finished_at = $2, sealed = NULL, sealed_key = NULL \
             WHERE id = $3 AND phase IN ('claimed', 'choosing')",
        );
        let mut writes = vec![finish.bind(outcome).bind(at).bind(self.id).guarded()];
        writes.extend(accounts.iter().map(|account| about(*account, self.id)));
        writes
    }
}

/// The write that says that an attempt was about an account.
fn about(account: AccountId, attempt: AttemptId) -> Write {
    Write::new("INSERT INTO attempt_accounts (account_id, attempt_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(Value::from(account))
        .bind(attempt)
}

fn grant_of(attempt: AttemptId) -> String {
    format!("grant {attempt}")
}

fn parse<T: FromStr<Err = ParseIdError>>(text: &str) -> Result<T, Error> {
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

/// Nine characters without those that are easily mixed up, in threes: read out over the phone without a mistake.
fn reference() -> String {
    const LETTERS: &[u8; 28] = b"23456789ABCDEFGHJKMNPQRSTVWX";
    let mut rng = rand::rng();
    let mut three = || (0..3).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect::<String>();
    format!("{}-{}-{}", three(), three(), three())
}

/// Ends attempts whose grant nobody chose from in time, and destroys those grants.
///
/// # Errors
/// When the database fails.
pub async fn forget_unchosen(database: &Database, now: DateTime<Utc>) -> Result<u64, Error> {
    let outcome = serde_json::to_string(&Outcome::ChoiceExpired).map_err(|error| unreadable(&error.to_string()))?;
    let mut tx = database.begin().await?;
    let sql = "UPDATE attempts SET phase = 'finished', outcome = $1, finished_at = $2, sealed = NULL, \
               sealed_key = NULL WHERE phase = 'choosing' AND choose_until < $2";
    let forgotten = execute!(&mut tx, sqlx::query(sql).bind(outcome).bind(now))?;
    tx.commit().await?;
    Ok(forgotten)
}

/// Forgets attempts that began before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(database: &Database, at: DateTime<Utc>) -> Result<u64, Error> {
    let mut tx = database.begin().await?;
    let forgotten = execute!(&mut tx, sqlx::query("DELETE FROM attempts WHERE started_at < $1").bind(at))?;
    tx.commit().await?;
    Ok(forgotten)
}
