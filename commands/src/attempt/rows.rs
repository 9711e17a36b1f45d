//! The rows of attempts.

use chrono::{DateTime, Utc};
use domain::{AccountId, AttemptId, Reason, UserId};
use engine::{Database, sql};

use super::{Attempt, INTERRUPTED, Phase, Start, Started, hash, parse, random_text, reference, unreadable};
use crate::{Commands, Error, Outcome, new_id};

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
    pending: Option<String>,
    asking_until: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "SELECT id, reference, cookie_hash, purpose, connection, account_id, user_id, link_id, link_ends_at, \
                       phase, started_at, claimed_at, choose_until, finished_at, outcome, pending, asking_until \
                       FROM attempts";

impl Commands {
    /// Begins an attempt.
    pub(crate) async fn start(&self, start: Start<'_>) -> Result<Started, Error> {
        let state = random_text::<32>();
        let id = AttemptId::new(new_id());
        let mut tx = self.store.database().begin().await?;
        let text = |id: Option<String>| id;
        sql("INSERT INTO attempts (id, reference, state_hash, cookie_hash, purpose, connection, account_id, \
             user_id, link_id, link_ends_at, phase, started_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11, 'started', $10)")
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
        .execute(&mut tx)
        .await?;
        if let Some(account) = start.account {
            sql("INSERT INTO attempt_accounts (account_id, attempt_id) VALUES ($1, $2)")
                .bind(account.to_string())
                .bind(id.to_string())
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(Started { state })
    }

    /// The attempt of a `state` that came back.
    pub(crate) async fn attempt_of_state(&self, state: &str) -> Result<Option<Attempt>, Error> {
        let row: Option<Row> = sql(format!("{COLUMNS} WHERE state_hash = $1"))
            .bind(hash(state))
            .fetch_optional(self.store.database())
            .await?;
        row.map(|row| self.attempt(row)).transpose()
    }

    /// An attempt by its reference.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempt_of_reference(&self, reference: &str) -> Result<Option<Attempt>, Error> {
        let row: Option<Row> = sql(format!("{COLUMNS} WHERE reference = $1"))
            .bind(reference)
            .fetch_optional(self.store.database())
            .await?;
        row.map(|row| self.attempt(row)).transpose()
    }

    /// The latest attempts that were about an account, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts_of_account(&self, account: AccountId, limit: i64) -> Result<Vec<Attempt>, Error> {
        let rows: Vec<Row> = sql(format!(
            "{COLUMNS} WHERE id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1) \
             ORDER BY started_at DESC LIMIT $2"
        ))
        .bind(account.to_string())
        .bind(limit)
        .fetch_all(self.store.database())
        .await?;
        rows.into_iter().map(|row| self.attempt(row)).collect()
    }

    /// Whether a login of this member through Facebook was completed before, as far as attempts are kept.
    pub(crate) async fn has_granted(&self, user: UserId) -> Result<bool, Error> {
        let outcomes: Vec<String> =
            sql("SELECT outcome FROM attempts WHERE user_id = $1 AND connection = 'business' AND phase = 'finished' \
             AND outcome IS NOT NULL ORDER BY started_at DESC LIMIT 20")
            .bind(user.to_string())
            .scalars(self.store.database())
            .await?;
        let shows =
            |outcome: &String| serde_json::from_str::<Outcome>(outcome).is_ok_and(|outcome| outcome.is_granted());
        Ok(outcomes.iter().any(shows))
    }

    /// Whether data access of an account has ended that this member logged in for through Facebook.
    pub(crate) async fn lost_data_access(&self, user: UserId) -> Result<bool, Error> {
        let ids: Vec<String> =
            sql("SELECT DISTINCT aa.account_id FROM attempt_accounts aa JOIN attempts a ON a.id = aa.attempt_id \
             WHERE a.user_id = $1 AND a.connection = 'business' ORDER BY aa.account_id LIMIT 50")
            .bind(user.to_string())
            .scalars(self.store.database())
            .await?;
        for id in ids {
            // An account that can't be read keeps no login from beginning.
            let Ok(token) = self.token(parse(&id)?).await else { continue };
            if token.expired() == Some(Reason::DataAccessEnded) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The accounts that an attempt was about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts_of_attempt(&self, attempt: AttemptId) -> Result<Vec<AccountId>, Error> {
        let ids: Vec<String> = sql("SELECT account_id FROM attempt_accounts WHERE attempt_id = $1 ORDER BY account_id")
            .bind(attempt.to_string())
            .scalars(self.store.database())
            .await?;
        ids.iter().map(|id| parse(id)).collect()
    }

    /// Takes the right to work on an attempt, once for all callbacks with its state.
    pub(crate) async fn claim(&self, attempt: &Attempt) -> Result<bool, Error> {
        let (now, id) = (self.clock.now(), attempt.id.to_string());
        let claimed = sql("UPDATE attempts SET phase = 'claimed', claimed_at = $1 WHERE id = $2 AND phase = 'started'")
            .bind(now)
            .bind(&id)
            .execute(self.store.database())
            .await?;
        Ok(claimed == 1)
    }

    /// Keeps who logged in, as Meta's app knows them.
    pub(crate) async fn granted_by(&self, attempt: &Attempt, grantor_id: &str) -> Result<(), Error> {
        sql("UPDATE attempts SET grantor_id = $1 WHERE id = $2")
            .bind(grantor_id)
            .bind(attempt.id.to_string())
            .execute(self.store.database())
            .await?;
        Ok(())
    }

    /// Whether an attempt is over.
    pub(crate) async fn is_over(&self, attempt: &Attempt) -> Result<bool, Error> {
        let now = self.attempt_of_reference(&attempt.reference).await?;
        Ok(now.is_none_or(|now| matches!(now.phase, Phase::Finished(_))))
    }

    fn attempt(&self, row: Row) -> Result<Attempt, Error> {
        let id: AttemptId = parse(&row.id)?;
        let now = self.clock.now();
        let read = |outcome: &str| serde_json::from_str(outcome).map_err(|error| unreadable(&error.to_string()));
        let phase = match (row.phase.as_str(), row.outcome.as_ref().or(row.pending.as_ref())) {
            ("claimed", _) if row.claimed_at.is_none_or(|at| now - at > INTERRUPTED) => {
                Phase::Finished(Outcome::Interrupted)
            }
            ("claimed", _) => Phase::Claimed,
            ("choosing", _) if row.asking_until.is_some_and(|until| now < until) => Phase::Claimed,
            ("choosing", pending) if row.choose_until.is_none_or(|until| until < now) => {
                Phase::Finished(pending.map_or(Ok(Outcome::ChoiceExpired), |pending| read(pending))?)
            }
            ("choosing", Some(pending)) => Phase::Waiting(read(pending)?),
            ("choosing", None) => Phase::Choosing,
            ("finished", Some(outcome)) => Phase::Finished(read(outcome)?),
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

/// Forgets attempts that began before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(database: &Database, at: DateTime<Utc>) -> Result<u64, Error> {
    Ok(sql("DELETE FROM attempts WHERE started_at < $1").bind(at).execute(database).await?)
}
