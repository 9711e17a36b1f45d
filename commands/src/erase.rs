//! Erase: everything about a person goes. The journal keeps its facts, which name nobody.
//!
//! A request is a row, and so is each account of it: whatever stops in between goes on ([`Commands::go_on_erasing`]). First what
//! gives access is destroyed and the account's work ends (`ErasureRequested`); then the rows go, in one commit with `Erased` and
//! its receipt. Meta may ask for what one person's grant brought alone: then the account stays, for it is somebody else's too.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    Account, AccountCommand, AccountId, Actor, Connection, Evidence, Reason, Token, TokenCommand, failure::Call,
    token::Revocation,
};
use engine::{Decision, Query, StoreError, Unit, sql};
use rand::{Rng, distr::Alphanumeric};

use crate::{App, Commands, Context, Error, deauthorize::of_person, hold, link, vault::Vault};

/// What belongs to an account: the kind, as receipts name it, and the condition of its rows. What the projections make of the
/// account goes with `Erased`.
const ROWS: &[(&str, &str)] = &[
    ("attempts", "id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1) OR account_id = $1"),
    ("attempt_accounts", "account_id = $1"),
    ("checks", "account_id = $1"),
    ("feeds", "account_id = $1"),
    ("invitations", "account_id = $1"),
    ("notices", "account_id = $1"),
    ("profiles", "account_id = $1"),
    ("reconnect_links", "account_id = $1"),
    ("renewal_failures", "account_id = $1"),
    ("snapshots", "aggregate_id = $1"),
    ("token_errors", "account_id = $1"),
    ("tries", "account_id = $1"),
    ("vault", "account_id = $1"),
    ("verdicts", "account_id = $1"),
    ("webhook_deliveries", "account_id = $1"),
    ("widget_accounts", "account_id = $1"),
];

/// The tables that an erasure deletes from: what is left of it in a server's files goes with `relight erase --scrub`.
pub fn tables() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(table, _)| *table)
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it ended; `None`: it is under way.
    pub ended_at: Option<DateTime<Utc>>,
    /// Of how many accounts.
    pub accounts: i64,
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
        let mut meant = Vec::new();
        for account in of_person(self.store.database(), connection, &signed.user_id).await? {
            // What came after the request is another grant.
            let granted_at = self.token(account).await?.current().map(|token| token.granted_at);
            if granted_at.is_none_or(|at| at < signed.issued_at) {
                meant.push(account);
            }
        }
        self.erase(&meant, what, (AskedBy::Meta, signed.issued_at), context).await
    }

    /// Erases an account, whoever uses it.
    ///
    /// # Errors
    /// When the account is missing, or the store fails; it goes on then.
    pub async fn erase_account(&self, account: AccountId, by: AskedBy, context: &Context) -> Result<String, Error> {
        if matches!(self.account(account).await?.standing(), domain::account::Standing::Unknown) {
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
        let row: Option<(DateTime<Utc>, Option<DateTime<Utc>>, i64)> =
            sql("SELECT asked_at, ended_at, (SELECT count(*) FROM erased_accounts WHERE code = $1) FROM erasures \
             WHERE code = $1")
            .bind(code)
            .fetch_optional(self.store.database())
            .await?;
        Ok(row.map(|(asked_at, ended_at, accounts)| Erasure { asked_at, ended_at, accounts }))
    }

    /// Goes on with erasures that were interrupted.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn go_on_erasing(&self) -> Result<(), Error> {
        let codes: Vec<String> = sql("SELECT code FROM erasures WHERE ended_at IS NULL ORDER BY asked_at LIMIT 100")
            .scalars(self.store.database())
            .await?;
        for code in codes {
            let context = Context { actor: Actor::Relight, correlation: code.clone(), causation: None, request: None };
            self.carry_on(&code, &context).await?;
        }
        Ok(())
    }

    async fn carry_on(&self, code: &str, context: &Context) -> Result<(), Error> {
        let open: Vec<(String, String, DateTime<Utc>)> =
            sql("SELECT account_id, what, issued_at FROM erased_accounts WHERE code = $1 AND ended_at IS NULL \
             ORDER BY account_id")
            .bind(code)
            .fetch_all(self.store.database())
            .await?;
        for (id, what, issued_at) in open {
            let account: AccountId =
                id.parse().map_err(|_| StoreError::Unreadable("an erasure without an account".to_owned()))?;
            let ended = sql("UPDATE erased_accounts SET ended_at = $1 WHERE code = $2 AND account_id = $3")
                .bind(self.clock.now())
                .bind(code)
                .bind(&id);
            if what == "grant" {
                self.store.run(&self.metadata(context), &EraseGrant { account, issued_at, ended }).await?;
            } else {
                self.store.run(&self.metadata(context), &Begin { account }).await?;
                let receipt = self.count(account).await?;
                self.store.run(&self.metadata(context), &End { account, receipt, ended }).await?;
            }
        }
        sql("UPDATE erasures SET ended_at = $1 WHERE code = $2 AND ended_at IS NULL")
            .bind(self.clock.now())
            .bind(code)
            .execute(self.store.database())
            .await?;
        self.store.database().scrub(&[]).await?;
        Ok(())
    }

    /// How many rows of each kind there are about an account.
    async fn count(&self, account: AccountId) -> Result<BTreeMap<String, u64>, Error> {
        let mut receipt = BTreeMap::new();
        for (table, its) in ROWS {
            let rows: i64 = sql(format!("SELECT count(*) FROM {table} WHERE {its}"))
                .bind(account.to_string())
                .scalar(self.store.database())
                .await?;
            if rows > 0 {
                receipt.insert((*table).to_owned(), u64::try_from(rows).unwrap_or_default());
            }
        }
        Ok(receipt)
    }
}

/// Nothing gives access any more, and all work ends.
struct Begin {
    account: AccountId,
}

impl Decision for Begin {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account } = *self;
        unit.execute::<Account>(account, AccountCommand::RequestErasure).await?;
        unit.execute::<Token>(account, TokenCommand::Revoke(Revocation::Erased)).await?;
        unit.write(Vault::destroy(account));
        unit.write(link::all_dead(account));
        unit.write(hold::nothing(account));
        Ok(())
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
    ended: Query,
}

impl Decision for EraseGrant {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account, issued_at, ended } = self;
        let (account, at) = (*account, unit.metadata().at);
        unit.write(ended.clone());
        let token = unit.load::<Token>(account).await?;
        let Some(current) = token.current().filter(|token| token.granted_at < *issued_at) else { return Ok(()) };
        let evidence = Evidence::of(Call::Deauthorization, at);
        let report = TokenCommand::ReportFailure { token: current.id, reason: Reason::AppRemoved, evidence };
        unit.execute::<Token>(account, report).await?;
        let id = account.to_string();
        unit.write(Vault::destroy(account));
        unit.write(sql("UPDATE profiles SET grantor_id = NULL WHERE account_id = $1").bind(id.as_str()));
        unit.write(
            sql("DELETE FROM attempts WHERE id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1)")
                .bind(id.as_str()),
        );
        unit.write(hold::nothing(account));
        Ok(())
    }
}
