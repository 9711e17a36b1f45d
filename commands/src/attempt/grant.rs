//! The sealed grant of a login that waits: for a choice among the accounts that it reaches, or to be tried again.

use chrono::{DateTime, Utc};
use engine::{Database, sql};

use super::{Attempt, CHOICE, INTERRUPTED, LIMITED, grant_of, unreadable};
use crate::{Commands, Error, Outcome, login::Login, vault::Sealed};

impl Commands {
    /// Lets the grant of a login wait, sealed, for a choice among the accounts that it reaches.
    pub(crate) async fn await_choice(&self, attempt: &Attempt, login: &Login) -> Result<(), Error> {
        let sealed = self.vault.seal(&login.to_bytes(), &grant_of(attempt.id))?;
        let (until, id) = (self.clock.now() + CHOICE, attempt.id.to_string());
        sql("UPDATE attempts SET phase = 'choosing', choose_until = $1, sealed = $2, sealed_key = $3 \
             WHERE id = $4 AND phase = 'claimed'")
        .bind(until)
        .bind(&sealed.bytes)
        .bind(&sealed.key_id)
        .bind(&id)
        .execute(self.store.database())
        .await?;
        Ok(())
    }

    /// Keeps the grant of a login, sealed, while Meta is asked about its accounts: a program that ends meanwhile, however it
    /// does, costs the person no other login.
    pub(crate) async fn keep_grant(&self, attempt: &Attempt, login: &Login) -> Result<(), Error> {
        let sealed = self.vault.seal(&login.to_bytes(), &grant_of(attempt.id))?;
        let why = serde_json::to_string(&Outcome::Interrupted).map_err(|error| unreadable(&error.to_string()))?;
        let (until, id) = (self.clock.now() + INTERRUPTED, attempt.id.to_string());
        sql("UPDATE attempts SET phase = 'choosing', asking_until = $1, choose_until = $2, sealed = $3, \
             sealed_key = $4, pending = $5 WHERE id = $6 AND phase = 'claimed'")
        .bind(until)
        .bind(until + CHOICE)
        .bind(&sealed.bytes)
        .bind(&sealed.key_id)
        .bind(&why)
        .bind(&id)
        .execute(self.store.database())
        .await?;
        Ok(())
    }

    /// Takes the right to ask Meta about the accounts of a grant that waits: one at a time. The grant is kept meanwhile, also
    /// past its time.
    pub(crate) async fn ask_again(&self, attempt: &Attempt) -> Result<bool, Error> {
        let (now, id) = (self.clock.now(), attempt.id.to_string());
        let asks =
            sql("UPDATE attempts SET asking_until = $1 WHERE id = $2 AND phase = 'choosing' AND choose_until >= $3 \
                 AND (asking_until IS NULL OR asking_until <= $3)")
            .bind(now + INTERRUPTED)
            .bind(&id)
            .bind(now)
            .execute(self.store.database())
            .await?;
        Ok(asks == 1)
    }

    /// Lets the grant that is kept wait to be tried again. It waits no longer than from its first time on; or, where Meta's
    /// limit lets no one ask, as long after that as usual.
    pub(crate) async fn await_again(&self, attempt: &Attempt, why: &Outcome) -> Result<(), Error> {
        let limited = why.until();
        let why = serde_json::to_string(why).map_err(|error| unreadable(&error.to_string()))?;
        let usual = self.clock.now() + CHOICE;
        let limited = limited.map(|until| (until + CHOICE).min(attempt.started_at + LIMITED));
        sql("UPDATE attempts SET asking_until = NULL, pending = $1, choose_until = CASE \
             WHEN choose_until < $2 THEN $2 WHEN choose_until > $3 THEN $3 ELSE choose_until END \
             WHERE id = $4 AND phase = 'choosing'")
        .bind(&why)
        .bind(limited.unwrap_or(attempt.started_at))
        .bind(limited.map_or(usual, |limited| limited.max(usual)))
        .bind(attempt.id.to_string())
        .execute(self.store.database())
        .await?;
        Ok(())
    }

    /// The grant that waits for a choice, or to be tried again.
    pub(crate) async fn waiting_grant(&self, attempt: &Attempt) -> Result<Option<Login>, Error> {
        let row: Option<(Vec<u8>, String)> =
            sql("SELECT sealed, sealed_key FROM attempts WHERE id = $1 AND phase = 'choosing'")
                .bind(attempt.id.to_string())
                .fetch_optional(self.store.database())
                .await?;
        let Some((bytes, key_id)) = row else { return Ok(None) };
        let opened = self.vault.open(&Sealed { key_id, bytes }, &grant_of(attempt.id))?;
        Login::from_bytes(&opened).map(Some).ok_or(Error::Sealed("not a grant"))
    }
}

/// Ends attempts whose grant no person chose from or tried again in time, and destroys those grants.
///
/// # Errors
/// When the database fails.
pub async fn forget_unchosen(database: &Database, now: DateTime<Utc>) -> Result<u64, Error> {
    let outcome = serde_json::to_string(&Outcome::ChoiceExpired).map_err(|error| unreadable(&error.to_string()))?;
    Ok(sql(
        "UPDATE attempts SET phase = 'finished', outcome = COALESCE(pending, $1), finished_at = $2, sealed = NULL, \
         sealed_key = NULL, pending = NULL, asking_until = NULL WHERE phase = 'choosing' AND choose_until < $2 \
         AND (asking_until IS NULL OR asking_until <= $2)",
    )
    .bind(&outcome)
    .bind(now)
    .execute(database)
    .await?)
}
