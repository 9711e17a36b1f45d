//! Erasure: deletes all personal data of an account. The journal keeps its events, which have no personal data.
//!
//! A request is a row, and so is each account of it: whatever stops in between goes on ([`Commands::go_on_erasing`]). First what
//! gives access is destroyed and the account's work ends (`ErasureRequested`); then the rows go, in one commit with `Erased` and
//! its receipt. Meta may ask for what one person's grant brought alone: then the account stays, because other people use it too.

mod decisions;
mod rows;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, Actor, Connection, account::Standing};
use engine::{Query, StoreError, sql};
use rand::{Rng, distr::Alphanumeric};

pub use self::rows::tables;
use self::{
    decisions::{Begin, End, EraseGrant},
    rows::{ROWS, SEARCHED, of},
};
use crate::{App, Commands, Context, Error, deauthorize::of_person, profiles};

/// So long after an erasure ended the files are emptied again.
const SCRUBBED_FOR: TimeDelta = TimeDelta::minutes(10);

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
        let erased = self.erase(&meant, what, (AskedBy::Meta, signed.issued_at), context).await;
        // The person's other logins until then, whatever came of them, also where an account can't be erased yet.
        sql("DELETE FROM attempts WHERE connection = $1 AND grantor_id = $2 AND claimed_at <= $3")
            .bind(connection.name())
            .bind(&signed.user_id)
            .bind(signed.issued_at)
            .execute(self.store.database())
            .await?;
        erased
    }

    /// Erases an account with all its users' access to it.
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
