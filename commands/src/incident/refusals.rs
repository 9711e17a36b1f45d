//! Refusals of tokens, counted: those that hit many accounts at once open an incident.

use chrono::TimeDelta;
use domain::{AccountId, Connection, UserId};
use engine::{StoreError, sql};

use crate::{Commands, Error, profiles};

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

/// What is known of the app's other accounts when one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Others {
    /// How many were called in the guard's time and worked.
    pub worked: i64,
    /// There are some, and something is held against each of them.
    pub all_held: bool,
}

impl Commands {
    /// Notes that Meta refused an account's token; opens an incident when that hits many. `clearly`: Meta said why, and it
    /// is the person's matter. `words`: what it said, without what names anybody. `admins`: to whom an incident is mailed.
    /// Whether one was opened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_refused(
        &self,
        account: AccountId,
        connection: Connection,
        (clearly, words): (bool, &str),
        others: Others,
        admins: &[UserId],
    ) -> Result<bool, Error> {
        let (database, now, name) = (self.store.database(), self.clock.now(), connection.name());
        let guard = self.settings.guard;
        if self.token(account).await?.current().is_some_and(|current| current.ran_out(now).is_some()) {
            // Its time was over anyway.
            return Ok(false);
        }
        if sql("SELECT EXISTS (SELECT 1 FROM verdicts WHERE account_id = $1 AND incident_over_at IS NOT NULL)")
            .bind(account.to_string())
            .scalar::<bool>(database)
            .await?
        {
            // What an incident left over is no new one.
            return Ok(false);
        }
        let granted_by = if clearly { profiles::grantor(database, account).await? } else { None };
        let (id, person) = (account.to_string(), granted_by.unwrap_or_else(|| account.to_string()));
        sql("INSERT INTO token_errors (account_id, connection, person, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (account_id) DO UPDATE SET connection = excluded.connection, person = excluded.person, \
             at = excluded.at")
        .bind(&id)
        .bind(name)
        .bind(&person)
        .bind(now)
        .execute(database)
        .await?;
        let hit: i64 = sql("SELECT count(DISTINCT person) FROM token_errors WHERE connection = $1 AND at > $2 \
                            AND at > COALESCE((SELECT worked_at FROM apps WHERE connection = $1), $2)")
        .bind(name)
        .bind(now - guard.within)
        .scalar(database)
        .await?;
        let called = hit + others.worked;
        let many = if others.all_held { guard.accounts.min(ALL) } else { guard.accounts };
        if hit < many || hit * 100 < guard.percent * called {
            return Ok(false);
        }
        if !self.open(connection, (hit, called), (None, words), admins).await? {
            return Ok(false);
        }
        tracing::error!(
            app = connection.login(),
            hit,
            called,
            words,
            "many tokens are refused at once: an incident is open"
        );
        Ok(true)
    }

    /// Forgets refusals of before, and what was held against tokens that are not checked any more; nothing of an app whose
    /// incident is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_refusals(&self) -> Result<(), StoreError> {
        for (table, at, days) in [("token_errors", "at", 1), ("verdicts", "last_at", 2)] {
            let before = self.clock.now() - TimeDelta::days(days);
            sql(format!(
                "DELETE FROM {table} WHERE {at} < $1 AND NOT EXISTS (SELECT 1 FROM incidents i \
                 WHERE i.connection = {table}.connection AND i.closed_at IS NULL)"
            ))
            .bind(before)
            .execute(self.store.database())
            .await?;
        }
        Ok(())
    }
}
