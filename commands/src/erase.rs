//! Erase: everything about a person goes. The journal keeps its facts, which name nobody.
//!
//! A request is a row, and so is each account of it: whatever stops in between goes on ([`Commands::go_on_erasing`]). First what
//! gives access is destroyed and the account's work ends (`ErasureRequested`); then the rows go, in one commit with `Erased` and
//! its receipt. Meta may ask for what one person's grant brought alone: then the account stays, for it is somebody else's too.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountId, Actor, Connection, Evidence, Reason, Token, TokenCommand, account::Standing,
    failure::Call, token::Revocation,
};
use engine::{Decision, Query, StoreError, Unit, sql};
use rand::{Rng, distr::Alphanumeric};

use crate::{App, Commands, Context, Error, deauthorize::of_person, hold, link, profiles, vault::Vault};

/// So long after an erasure ended the files are emptied again.
const SCRUBBED_FOR: TimeDelta = TimeDelta::minutes(10);

/// What belongs to an account: the kind, as receipts name it, and the condition of its rows. What the projections make of the
/// account goes with `Erased`.
const ROWS: &[(&str, &str)] = &[
    ("attempt_accounts", "account_id = $1"),
    ("checks", "account_id = $1"),
    ("feeds", "account_id = $1"),
    ("invitations", "account_id = $1"),
    ("notices", "account_id = $1"),
    ("profiles", "account_id = $1"),
    ("reconnect_links", "account_id = $1"),
    ("renewal_failures", "account_id = $1"),
    ("snapshots", "aggregate_type IN ('account', 'token') AND aggregate_id = $1"),
    ("token_errors", "account_id = $1"),
    ("tries", "account_id = $1"),
    ("vault", "account_id = $1"),
    ("verdicts", "account_id = $1"),
    ("widget_accounts", "account_id = $1"),
];

/// What is looked for in whole tables: deleted before the others, so that nobody's commit waits for it. Attempts that were about
/// other accounts may name this one (`$2`, as JSON) among those that a login reached.
const SEARCHED: &[(&str, &str)] = &[
    (
        "attempts",
        "id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1) OR replace(outcome, $2, '') <> outcome \
         OR replace(pending, $2, '') <> pending",
    ),
    ("webhook_deliveries", "account_id = $1"),
];

/// The tables that an erasure deletes from: what is left of it in a server's files goes with `relight erase --scrub`.
pub fn tables() -> impl Iterator<Item = &'static str> {
    ROWS.iter().chain(SEARCHED).map(|(table, _)| *table)
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// Meta, for the person.
    Meta,
    /// Staff, on a page or by a key.
    Staff,
    /// An operator, by the command line.
    Operator,
}

impl AskedBy {
    const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Staff => "staff",
            Self::Operator => "operator",
        }
    }
}

/// What is erased of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// All of it.
    Account,
    /// What one person's grant brought.
    Grant,
}

/// How far an erasure is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Erasure {
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it ended; `None`: it is under way.
    pub ended_at: Option<DateTime<Utc>>,
    /// Of how many accounts.
    pub accounts: i64,
    /// Whether it is about whole accounts, and not only about what a person's login brought.
    pub of_accounts: bool,
}

impl Commands {
    /// Takes in Meta's request to delete a person's data. The answer is the code by which that can be looked up; unknown people
    /// get one, too.
    ///
    /// # Errors
    /// [`Error::BadSignature`] if Meta didn't sign it; when the store fails, and then Meta may send it again.
    pub async fn delete_data(
        &self,
        connection: Connection,
        signed_request: &str,
        context: &Context,
    ) -> Result<String, Error> {
        let signed = match self.app(connection)? {
            App::Consumer(consumer) => consumer.verify(signed_request),
            App::Business(business) => business.verify(signed_request),
        };
        let signed = signed.ok_or(Error::BadSignature)?;
        let what = match connection {
            Connection::Consumer => What::Account,
            Connection::Business => What::Grant,
        };
        let meant = of_person(self.store.database(), connection, &signed.user_id).await?;
        self.erase(&meant, what, (AskedBy::Meta, signed.issued_at), context).await
    }

    /// Erases an account, whoever uses it.
    ///
    /// # Errors
    /// When the account is missing, or the store fails; it goes on then.
    pub async fn erase_account(&self, account: AccountId, by: AskedBy, context: &Context) -> Result<String, Error> {
        if self.account(account).await?.standing() == Standing::Unknown {
            return Err(Error::Missing("account"));
        }
        self.erase(&[account], What::Account, (by, self.clock.now()), context).await
    }

    async fn erase(
        &self,
        accounts: &[AccountId],
        what: What,
        (by, issued_at): (AskedBy, DateTime<Utc>),
        context: &Context,
    ) -> Result<String, Error> {
        let code: String = rand::rng().sample_iter(Alphanumeric).take(24).map(char::from).collect();
        let now = self.clock.now();
        let mut tx = self.store.database().begin().await?;
        sql("INSERT INTO erasures (code, asked_at, asked_by) VALUES ($1, $2, $3)")
            .bind(&code)
            .bind(now)
            .bind(by.name())
            .execute(&mut tx)
            .await?;
        for account in accounts {
            sql("INSERT INTO erased_accounts (code, account_id, what, issued_at) VALUES ($1, $2, $3, $4)")
                .bind(&code)
                .bind(account.to_string())
                .bind(if what == What::Account { "account" } else { "grant" })
                .bind(issued_at)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        self.carry_on(&code, context).await?;
        Ok(code)
    }

    /// How far the erasure of a code is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erasure(&self, code: &str) -> Result<Option<Erasure>, Error> {
        Ok(sql("SELECT asked_at, ended_at, (SELECT count(*) FROM erased_accounts WHERE code = $1) AS accounts, \
                EXISTS (SELECT 1 FROM erased_accounts WHERE code = $1 AND what = 'account') AS of_accounts \
                FROM erasures WHERE code = $1")
        .bind(code)
        .fetch_optional(self.store.database())
        .await?)
    }

    /// Goes on with erasures that were interrupted, and empties the files again after those that have just ended: what follows from
    /// an erasure's events is written after it.
    ///
    /// # Errors
    /// When the database fails. An account that can't be erased yet is logged, and keeps up no other.
    pub async fn go_on_erasing(&self) -> Result<(), Error> {
        let (database, now) = (self.store.database(), self.clock.now());
        let codes: Vec<String> = sql("SELECT code FROM erasures WHERE ended_at IS NULL ORDER BY asked_at LIMIT 100")
            .scalars(database)
            .await?;
        for code in codes {
            let context = Context { actor: Actor::Relight, correlation: code.clone(), causation: None, request: None };
            if let Err(error) = self.carry_on(&code, &context).await {
                tracing::error!(code, %error, "an erasure is not finished; it goes on");
            }
        }
        let has_just_ended = "SELECT EXISTS (SELECT 1 FROM erasures WHERE ended_at > $1)";
        if sql(has_just_ended).bind(now - SCRUBBED_FOR).scalar::<bool>(database).await? {
            database.scrub(&[]).await?;
        }
        Ok(())
    }

    /// Forgets erasures that ended before a time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_erasures(&self, before: DateTime<Utc>) -> Result<(), Error> {
        sql("DELETE FROM erasures WHERE ended_at < $1").bind(before).execute(self.store.database()).await?;
        Ok(())
    }

    /// Works on what is left of an erasure; the first error, after all that could be done.
    async fn carry_on(&self, code: &str, context: &Context) -> Result<(), Error> {
        let database = self.store.database();
        let open: Vec<(String, String, DateTime<Utc>)> =
            sql("SELECT account_id, what, issued_at FROM erased_accounts WHERE code = $1 AND ended_at IS NULL \
                 ORDER BY account_id")
            .bind(code)
            .fetch_all(database)
            .await?;
        let (is_any, mut failed) = (!open.is_empty(), None);
        for (id, what, issued_at) in open {
            let ended = sql("UPDATE erased_accounts SET ended_at = $1 WHERE code = $2 AND account_id = $3")
                .bind(self.clock.now())
                .bind(code)
                .bind(&id);
            if let Err(error) = self.carry_on_with((&id, &what), (code, issued_at), ended, context).await {
                failed = failed.or(Some(error));
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        sql("UPDATE erasures SET ended_at = $1 WHERE code = $2 AND ended_at IS NULL")
            .bind(self.clock.now())
            .bind(code)
            .execute(database)
            .await?;
        if is_any {
            database.scrub(&[]).await?;
        }
        Ok(())
    }

    async fn carry_on_with(
        &self,
        (id, what): (&str, &str),
        (code, issued_at): (&str, DateTime<Utc>),
        ended: Query,
        context: &Context,
    ) -> Result<(), Error> {
        let unreadable = || StoreError::Unreadable("an erasure's row".to_owned());
        let account: AccountId = id.parse().map_err(|_| unreadable())?;
        let database = self.store.database();
        // Where another grant has come since, nothing of this account was asked for.
        let nothing = sql("DELETE FROM erased_accounts WHERE code = $1 AND account_id = $2").bind(code).bind(id);
        match what {
            "grant" => {
                let is_sealed: bool =
                    sql("SELECT EXISTS (SELECT 1 FROM vault WHERE account_id = $1)").bind(id).scalar(database).await?;
                let erase = EraseGrant { account, issued_at, is_sealed, ended };
                if !self.store.run(&self.metadata(context), &erase).await?.0 {
                    nothing.execute(database).await?;
                }
            }
            "account" => {
                let by_meta: bool = sql("SELECT EXISTS (SELECT 1 FROM erasures WHERE code = $1 AND asked_by = 'meta')")
                    .bind(code)
                    .scalar(database)
                    .await?;
                let name = profiles::of(database, account).await?.map_or_else(String::new, |profile| profile.username);
                // As it stands in JSON. Without a name nothing is replaced.
                let quoted = serde_json::Value::from(name.as_str()).to_string();
                let receipt = self.count(account, &quoted).await?;
                let begin = Begin { account, unless_since: by_meta.then_some(issued_at) };
                if !self.store.run(&self.metadata(context), &begin).await?.0 {
                    nothing.execute(database).await?;
                    return Ok(());
                }
                let mut tx = database.begin().await?;
                for (table, its) in SEARCHED {
                    of(format!("DELETE FROM {table} WHERE {its}"), its, account, &quoted).execute(&mut tx).await?;
                }
                tx.commit().await?;
                self.store.run(&self.metadata(context), &End { account, receipt, ended }).await?;
            }
            _ => return Err(unreadable().into()),
        }
        Ok(())
    }

    /// How many rows of each kind there are about an account.
    async fn count(&self, account: AccountId, quoted: &str) -> Result<BTreeMap<String, u64>, Error> {
        let mut receipt = BTreeMap::new();
        for (table, its) in ROWS.iter().chain(SEARCHED) {
            let count = of(format!("SELECT count(*) FROM {table} WHERE {its}"), its, account, quoted);
            let rows: i64 = count.scalar(self.store.database()).await?;
            if rows > 0 {
                receipt.insert((*table).to_owned(), u64::try_from(rows).unwrap_or_default());
            }
        }
        Ok(receipt)
    }
}

/// A statement about an account's rows: its id, and where it is searched for by name, that.
fn of(statement: String, its: &str, account: AccountId, quoted: &str) -> Query {
    let query = sql(statement).bind(account.to_string());
    if its.contains("$2") { query.bind(quoted) } else { query }
}

/// Nothing gives access any more, and all work ends.
struct Begin {
    account: AccountId,
    /// Not where somebody has granted access since.
    unless_since: Option<DateTime<Utc>>,
}

impl Decision for Begin {
    /// Whether it begins, or has begun.
    type Output = bool;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<bool, Error> {
        let Self { account, unless_since } = *self;
        let (state, token) = (unit.load::<Account>(account).await?, unit.load::<Token>(account).await?);
        let is_of_the_login = match state.standing() {
            Standing::Connected(uses) | Standing::Disconnected(uses) => uses == Connection::Consumer,
            _ => true,
        };
        let is_newer = |since| token.current().is_some_and(|token| token.granted_at >= since);
        if unless_since.is_some_and(|since| is_newer(since) || !is_of_the_login) {
            return Ok(false);
        }
        unit.execute::<Account>(account, AccountCommand::RequestErasure).await?;
        unit.execute::<Token>(account, TokenCommand::Revoke(Revocation::Erased)).await?;
        unit.write(Vault::destroy(account));
        unit.write(link::all_dead(account));
        unit.write(hold::nothing(account));
        Ok(true)
    }
}

/// The rows go, and the journal says so.
struct End {
    account: AccountId,
    receipt: BTreeMap<String, u64>,
    ended: Query,
}

impl Decision for End {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account, receipt, ended } = self;
        for (table, its) in ROWS {
            unit.write(sql(format!("DELETE FROM {table} WHERE {its}")).bind(account.to_string()));
        }
        unit.write(ended.clone());
        Ok(unit.execute::<Account>(*account, AccountCommand::RecordErasure { receipt: receipt.clone() }).await?)
    }
}

/// A person's grant goes: the token, and who that was. The account and its widgets stay, for another person to refresh.
struct EraseGrant {
    account: AccountId,
    issued_at: DateTime<Utc>,
    /// Its token lies in the vault still.
    is_sealed: bool,
    ended: Query,
}

impl Decision for EraseGrant {
    /// Whether it was the grant that was asked about.
    type Output = bool;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<bool, Error> {
        let Self { account, issued_at, is_sealed, ended } = self;
        let (account, at) = (*account, unit.metadata().at);
        let (id, token) = (account.to_string(), unit.load::<Token>(account).await?);
        let of_account = |statement: &'static str| sql(statement).bind(id.as_str());
        if let Some(current) = token.current() {
            if current.granted_at >= *issued_at || current.connection != Connection::Business {
                return Ok(false);
            }
            let evidence = Evidence::of(Call::Deauthorization, at);
            let report = TokenCommand::ReportFailure { token: current.id, reason: Reason::AppRemoved, evidence };
            unit.execute::<Token>(account, report).await?;
            // Refused, and decided anew, if another token has taken its place.
            let of_token = |statement: &'static str| of_account(statement).bind(current.id.to_string());
            let is_there = "UPDATE vault SET token_id = token_id WHERE account_id = $1 AND token_id = $2";
            if *is_sealed {
                unit.write(of_token(is_there).guarded());
            }
            unit.write(of_token("DELETE FROM vault WHERE account_id = $1 AND token_id = $2"));
        }
        unit.write(of_account("UPDATE profiles SET grantor_id = NULL WHERE account_id = $1"));
        unit.write(of_account("DELETE FROM token_errors WHERE account_id = $1"));
        unit.write(of_account(
            "DELETE FROM attempts WHERE id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1)",
        ));
        unit.write(hold::nothing(account));
        unit.write(ended.clone());
        Ok(true)
    }
}
