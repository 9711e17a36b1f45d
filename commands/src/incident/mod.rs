//! Incidents: token errors that hit many accounts at once are the app's matter, or Meta's, not the tokens'.
//!
//! While an incident is open, what isn't clear stays held, mails about the app's accounts wait, and calls that nobody waits
//! for are few: probes. When a read of the app works, it closes by itself; an admin can close it before. What was held is
//! then asked about once more, one account after another.

mod refusals;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, Connection, UserId, failure::APP_TOKEN_REFUSED};
use engine::{StoreError, jobs, sql};

pub use refusals::{Guard, Others};

use crate::{
    Commands, Error,
    hold::{APART, DAY},
    new_id,
    notices::outbox::{INCIDENT, MAIL},
    report_failure::Failed,
};

/// While an incident is open: how far calls are apart that nobody waits for.
pub(crate) const PROBE_EVERY: TimeDelta = TimeDelta::seconds(20);

const COLUMNS: &str = "id, connection, opened_at, accounts, called, cause, words, closed_at, outcome";

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
    /// The row of the table of answers that makes it the app's matter; `None`: many tokens were refused at once.
    pub cause: Option<String>,
    /// What Meta said then, without what names anybody; of many tokens, about the last one.
    pub words: Option<String>,
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
    /// Meta refuses the app itself: opens an incident, unless one is open. `failed`: what the call met.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn app_refused(&self, connection: Connection, failed: &Failed, admins: &[UserId]) -> Result<(), Error> {
        if self.open(connection, (1, 1), (Some(failed.row), &failed.words), admins).await? {
            let (app, row, words) = (connection.login(), failed.row, &failed.words);
            tracing::error!(event = "app.refused", app, row, words, "Meta refuses the app: an incident is open");
        }
        Ok(())
    }

    /// Opens an incident and tells admins; whether there was none. `cause`: the row by which the app itself is refused.
    async fn open(
        &self,
        connection: Connection,
        (hit, called): (i64, i64),
        (cause, words): (Option<&'static str>, &str),
        admins: &[UserId],
    ) -> Result<bool, Error> {
        let (now, incident) = (self.clock.now(), new_id().to_string());
        let mut tx = self.store.database().begin().await?;
        let opened = sql("INSERT INTO incidents (id, connection, opened_at, accounts, called, cause, words) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING")
        .bind(&incident)
        .bind(connection.name())
        .bind(now)
        .bind(hit)
        .bind(called)
        .bind(cause)
        .bind(words)
        .execute(&mut tx)
        .await?;
        if opened == 0 {
            return Ok(false);
        }
        for admin in admins {
            let mail = new_id().to_string();
            sql("INSERT INTO mails (id, user_id, kind, due_at) VALUES ($1, $2, $3, $4)")
                .bind(&mail)
                .bind(admin.to_string())
                .bind(INCIDENT)
                .bind(now)
                .execute(&mut tx)
                .await?;
            jobs::add(MAIL, MAIL, &mail, now).execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The open incident of an app, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_incident(&self, connection: Connection) -> Result<Option<Incident>, StoreError> {
        let name = connection.name();
        Ok(sql(format!("SELECT {COLUMNS} FROM incidents WHERE connection = $1 AND closed_at IS NULL"))
            .bind(name)
            .fetch_optional(self.store.database())
            .await?)
    }

    /// The incidents that are open, one an app at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        Ok(sql(format!("SELECT {COLUMNS} FROM incidents WHERE closed_at IS NULL ORDER BY opened_at"))
            .fetch_all(self.store.database())
            .await?)
    }

    /// The latest incidents, open ones first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn incidents(&self, limit: i64) -> Result<Vec<Incident>, StoreError> {
        Ok(sql(format!("SELECT {COLUMNS} FROM incidents ORDER BY closed_at IS NOT NULL, opened_at DESC LIMIT $1"))
            .bind(limit)
            .fetch_all(self.store.database())
            .await?)
    }

    /// How many accounts' verdicts are held.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held(&self) -> Result<i64, StoreError> {
        Ok(sql("SELECT count(*) FROM verdicts").scalar(self.store.database()).await?)
    }

    /// A call of the app worked: its incident is over.
    pub(crate) async fn incident_over(&self, connection: Connection) -> Result<(), Error> {
        match self.open_incident(connection).await? {
            Some(incident) => self.close_incident(&incident.id, Close::Worked, None).await,
            None => Ok(()),
        }
    }

    /// A call by the app's own token worked: an incident because of that is over.
    pub(crate) async fn app_token_works(&self, connection: Connection) -> Result<(), Error> {
        match self.open_incident(connection).await? {
            Some(incident) if incident.cause.as_deref() == Some(APP_TOKEN_REFUSED) => {
                self.close_incident(&incident.id, Close::Worked, None).await
            }
            _ => Ok(()),
        }
    }

    /// The next accounts to ask about after an incident.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn to_ask_again(&self, limit: i64) -> Result<Vec<AccountId>, StoreError> {
        let next = "SELECT account_id FROM verdicts WHERE incident_over_at IS NOT NULL AND asked_at IS NULL \
                    ORDER BY account_id LIMIT $1";
        let ids: Vec<String> = sql(next).bind(limit).scalars(self.store.database()).await?;
        let now = self.clock.now();
        for id in &ids {
            sql("UPDATE verdicts SET asked_at = $1 WHERE account_id = $2")
                .bind(now)
                .bind(id)
                .execute(self.store.database())
                .await?;
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
        let by = by.map(|by| by.to_string());
        let closed: Option<String> = sql(
            "UPDATE incidents SET closed_at = $1, outcome = $2, closed_by = $3 WHERE id = $4 AND closed_at IS NULL \
             RETURNING connection",
        )
        .bind(now)
        .bind(how.name())
        .bind(&by)
        .bind(id)
        .scalar_optional(&mut tx)
        .await?;
        let Some(connection) = closed else {
            let known: Option<i32> =
                sql("SELECT 1 FROM incidents WHERE id = $1").bind(id).scalar_optional(&mut tx).await?;
            // One that is over already stays so.
            return known.map(drop).ok_or(Error::Missing("incident"));
        };
        let held = if how == Close::Dismissed {
            sql("DELETE FROM verdicts WHERE connection = $1").bind(&connection).execute(&mut tx).await?
        } else {
            // The next failure is the first again.
            sql("UPDATE verdicts SET first_at = $2, last_at = $3, failures = 0, \
                 incident_over_at = $2, asked_at = NULL, \
                 sure_from = CASE WHEN sure_from IS NULL THEN NULL ELSE $4 END WHERE connection = $1")
            .bind(&connection)
            .bind(now)
            .bind(now - APART)
            .bind(now + DAY)
            .execute(&mut tx)
            .await?
        };
        if matches!(how, Close::Released | Close::NobodyLeft) {
            // It counts as working, by nobody's call.
            sql("INSERT INTO apps (connection, worked_at, worked_by) VALUES ($1, $2, 'admin') \
                 ON CONFLICT (connection) DO UPDATE SET worked_at = excluded.worked_at, worked_by = excluded.worked_by")
            .bind(&connection)
            .bind(now)
            .execute(&mut tx)
            .await?;
        }
        sql("DELETE FROM token_errors WHERE connection = $1").bind(&connection).execute(&mut tx).await?;
        tx.commit().await?;
        tracing::info!(app = connection, outcome = how.name(), held, "an incident is over");
        Ok(())
    }

    pub(crate) async fn any_incident(&self) -> Result<bool, Error> {
        Ok(sql("SELECT EXISTS (SELECT 1 FROM incidents WHERE closed_at IS NULL)").scalar(self.store.database()).await?)
    }
}
