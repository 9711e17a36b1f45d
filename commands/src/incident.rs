//! Incidents: token errors that hit many accounts at once are the app's matter, or Meta's, not the tokens'.
//!
//! While an incident is open, what isn't clear stays held, mails about the app's accounts wait, and calls that nobody waits
//! for are few: probes. When a read of the app works, it closes by itself; an admin can close it before. What was held is
//! then asked about once more, one account after another.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, Connection, UserId};
use engine::{StoreError, autocommit, execute, read, within};

use crate::{Commands, Error, hold::APART, new_id, notices::outbox::INCIDENT, profiles};

/// When token errors are an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// So many accounts…
    pub accounts: i64,
    /// …and such a part of those that were called, in percent…
    pub percent: i64,
    /// …within so long.
    pub within: TimeDelta,
}

/// …or so many, if they are all that the app has: each would wait for the other to show that the app works.
const ALL: i64 = 2;
/// While an incident is open: how far calls are apart that nobody waits for.
pub(crate) const PROBE_EVERY: TimeDelta = TimeDelta::seconds(20);

const COLUMNS: &str = "id, connection, opened_at, accounts, called, closed_at, outcome";

/// An incident.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// Of which login's app.
    #[sqlx(try_from = "String")]
    pub connection: Shown,
    /// Since when.
    pub opened_at: DateTime<Utc>,
    /// How many were hit when it was opened.
    pub accounts: i64,
    /// Of how many that were called.
    pub called: i64,
    /// Until when.
    pub closed_at: Option<DateTime<Utc>>,
    /// How it ended: `worked`, `released`, `dismissed` or `nobody_left`.
    pub outcome: Option<String>,
}

/// A connection in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown(pub Connection);

impl TryFrom<String> for Shown {
    type Error = domain::ParseError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Connection::ALL.into_iter().find(|connection| connection.name() == name).map(Self).ok_or(domain::ParseError)
    }
}

/// What is known of the app's other accounts when one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Others {
    /// How many were called in the guard's time and worked.
    pub worked: i64,
    /// There are some, and something is held against each of them.
    pub all_held: bool,
}

/// How an incident ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// A read of the app works again.
    Worked,
    /// No account of the app is left that could show it: as if released.
    NobodyLeft,
    /// By an admin: what is held counts if it comes again.
    Released,
    /// By an admin: what is held is forgotten.
    Dismissed,
}

impl Close {
    const fn name(self) -> &'static str {
        match self {
            Self::Worked => "worked",
            Self::NobodyLeft => "nobody_left",
            Self::Released => "released",
            Self::Dismissed => "dismissed",
        }
    }
}

impl Commands {
    /// Notes that Meta refused an account's token; opens an incident when that hits many. `clearly`: Meta said why, and it
    /// is the person's matter. `admins`: who is told of an incident. Whether one was opened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_refused(
        &self,
        account: AccountId,
        connection: Connection,
        clearly: bool,
        others: Others,
        admins: &[UserId],
    ) -> Result<bool, Error> {
        let (database, now, name) = (self.store.database(), self.clock.now(), connection.name());
        let guard = self.settings.guard;
        let sql = "SELECT EXISTS (SELECT 1 FROM verdicts WHERE account_id = $1 AND incident_over_at IS NOT NULL)";
        if read!(database, pool => sqlx::query_scalar::<_, bool>(sql).bind(account.to_string()).fetch_one(pool))? {
            // What an incident left over is no new one.
            return Ok(false);
        }
        let granted_by = if clearly { profiles::grantor(database, account).await? } else { None };
        let (id, person) = (account.to_string(), granted_by.unwrap_or_else(|| account.to_string()));
        let sql = "INSERT INTO token_errors (account_id, connection, person, at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (account_id) DO UPDATE SET connection = excluded.connection, person = excluded.person, \
                   at = excluded.at";
        autocommit!(database, pool => sqlx::query(sql).bind(&id).bind(name).bind(&person).bind(now).execute(pool))?;
        let sql = "SELECT count(DISTINCT person) FROM token_errors WHERE connection = $1 AND at > $2 \
                   AND at > COALESCE((SELECT worked_at FROM apps WHERE connection = $1), $2)";
        let hit: i64 =
            read!(database, pool => sqlx::query_scalar(sql).bind(name).bind(now - guard.within).fetch_one(pool))?;
        let called = hit + others.worked;
        let many = if others.all_held { guard.accounts.min(ALL) } else { guard.accounts };
        if hit < many || hit * 100 < guard.percent * called {
            return Ok(false);
        }
        let mut tx = database.begin().await?;
        let sql = "INSERT INTO incidents (id, connection, opened_at, accounts, called) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT DO NOTHING";
        let incident = new_id().to_string();
        let opened = execute!(&mut tx, sqlx::query(sql).bind(&incident).bind(name).bind(now).bind(hit).bind(called))?;
        if opened == 0 {
            return Ok(false);
        }
        for admin in admins {
            let sql = "INSERT INTO mails (id, user_id, kind, due_at) VALUES ($1, $2, $3, $4)";
            let mail = new_id().to_string();
            execute!(&mut tx, sqlx::query(sql).bind(&mail).bind(admin.to_string()).bind(INCIDENT).bind(now))?;
        }
        tx.commit().await?;
        tracing::error!(app = connection.login(), hit, called, "many tokens are refused at once: an incident is open");
        Ok(true)
    }

    /// The open incident of an app, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_incident(&self, connection: Connection) -> Result<Option<Incident>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM incidents WHERE connection = $1 AND closed_at IS NULL");
        let name = connection.name();
        Ok(read!(self.store.database(), pool => sqlx::query_as(&sql).bind(name).fetch_optional(pool))?)
    }

    /// The incidents that are open, one an app at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM incidents WHERE closed_at IS NULL ORDER BY opened_at");
        Ok(read!(self.store.database(), pool => sqlx::query_as(&sql).fetch_all(pool))?)
    }

    /// The latest incidents, open ones first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn incidents(&self, limit: i64) -> Result<Vec<Incident>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM incidents ORDER BY closed_at IS NOT NULL, opened_at DESC LIMIT $1");
        Ok(read!(self.store.database(), pool => sqlx::query_as(&sql).bind(limit).fetch_all(pool))?)
    }

    /// How many accounts' verdicts are held.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held(&self) -> Result<i64, StoreError> {
        Ok(read!(self.store.database(), pool => sqlx::query_scalar("SELECT count(*) FROM verdicts").fetch_one(pool))?)
    }

    /// A call of the app worked: its incident is over.
    pub(crate) async fn incident_over(&self, connection: Connection) -> Result<(), Error> {
        match self.open_incident(connection).await? {
            Some(incident) => self.close_incident(&incident.id, Close::Worked, None).await,
            None => Ok(()),
        }
    }

    /// The next accounts to ask about after an incident.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn to_ask_again(&self, limit: i64) -> Result<Vec<AccountId>, StoreError> {
        let sql = "SELECT account_id FROM verdicts WHERE incident_over_at IS NOT NULL AND asked_at IS NULL \
                   ORDER BY account_id LIMIT $1";
        let ids: Vec<String> =
            read!(self.store.database(), pool => sqlx::query_scalar(sql).bind(limit).fetch_all(pool))?;
        let (sql, now) = ("UPDATE verdicts SET asked_at = $1 WHERE account_id = $2", self.clock.now());
        for id in &ids {
            autocommit!(self.store.database(), pool => sqlx::query(sql).bind(now).bind(id).execute(pool))?;
        }
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Closes an incident. What was held begins anew, with a question to Meta ([`Commands::to_ask_again`]), or is
    /// forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_incident(&self, id: &str, how: Close, by: Option<UserId>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.store.database().begin().await?;
        let sql = "UPDATE incidents SET closed_at = $1, outcome = $2, closed_by = $3 WHERE id = $4 AND closed_at IS NULL \
                   RETURNING connection";
        let by = by.map(|by| by.to_string());
        let closed: Option<String> = within!(&mut tx, on =>
            sqlx::query_scalar(sql).bind(now).bind(how.name()).bind(&by).bind(id).fetch_optional(on))?;
        let Some(connection) = closed else {
            let sql = "SELECT 1 FROM incidents WHERE id = $1";
            let known: Option<i32> = within!(&mut tx, on => sqlx::query_scalar(sql).bind(id).fetch_optional(on))?;
            // One that is over already stays so.
            return known.map(drop).ok_or(Error::Missing("incident"));
        };
        let held = if how == Close::Dismissed {
            execute!(&mut tx, sqlx::query("DELETE FROM verdicts WHERE connection = $1").bind(&connection))?
        } else {
            // The next failure is the first again.
            let sql = "UPDATE verdicts SET first_at = $2, last_at = $3, failures = 0, \
                       incident_over_at = $2, asked_at = NULL WHERE connection = $1";
            execute!(&mut tx, sqlx::query(sql).bind(&connection).bind(now).bind(now - APART))?
        };
        if matches!(how, Close::Released | Close::NobodyLeft) {
            // It counts as working, by nobody's call.
            let sql = "INSERT INTO apps (connection, worked_at) VALUES ($1, $2) ON CONFLICT (connection) DO UPDATE SET \
                       worked_at = excluded.worked_at, worked_by = NULL";
            execute!(&mut tx, sqlx::query(sql).bind(&connection).bind(now))?;
        }
        execute!(&mut tx, sqlx::query("DELETE FROM token_errors WHERE connection = $1").bind(&connection))?;
        tx.commit().await?;
        tracing::info!(app = connection, outcome = how.name(), held, "an incident is over");
        Ok(())
    }

    pub(crate) async fn any_incident(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM incidents WHERE closed_at IS NULL)";
        Ok(read!(self.store.database(), pool => sqlx::query_scalar(sql).fetch_one(pool))?)
    }

    /// Forgets refusals of before, and what was held against tokens that nobody asks about any more; nothing of an app whose
    /// incident is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_refusals(&self) -> Result<(), StoreError> {
        for (table, at, days) in [("token_errors", "at", 1), ("verdicts", "last_at", 2)] {
            let sql = format!(
                "DELETE FROM {table} WHERE {at} < $1 AND NOT EXISTS (SELECT 1 FROM incidents i \
                 WHERE i.connection = {table}.connection AND i.closed_at IS NULL)"
            );
            let before = self.clock.now() - TimeDelta::days(days);
            autocommit!(self.store.database(), pool => sqlx::query(&sql).bind(before).execute(pool))?;
        }
        Ok(())
    }
}
