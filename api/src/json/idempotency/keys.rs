//! The rows of keys: requests that are being carried out, and answers that are kept.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use commands::vault::Sealed;
use engine::{Database, Tx, sql};

use crate::{app::App, error::Error};

/// How long a request may be carried out before another node may do it, in seconds on the database's clock.
const LEASE_SECONDS: i64 = 60;

/// A request under its key.
pub(super) struct Keyed {
    pub(super) caller: String,
    pub(super) key: String,
    /// Of method, path and body.
    pub(super) hash: Vec<u8>,
}

/// How a request stands with its key.
pub(super) enum Standing {
    /// It is this caller's to carry out, under this lease.
    Reserved(String),
    /// It was answered: the status, and the body, sealed.
    Answered(StatusCode, Sealed),
    /// It is being carried out.
    UnderWay,
    /// The key is another request's.
    OfAnother,
}

impl Keyed {
    /// Reserves the key, unless that was done.
    pub(super) async fn reserve(&self, app: &App) -> Result<Standing, Error> {
        if let Some(standing) = self.answered(app.database()).await? {
            return Ok(standing);
        }
        let (dialect, lease) = (app.database().dialect(), commands::new_id().to_string());
        let reserved = sql(format!(
            "INSERT INTO keyed_requests (caller_id, key, request_hash, lease, leased_until, asked_at) \
             VALUES ($1, $2, $3, $4, {}, $5) ON CONFLICT (caller_id, key) DO UPDATE \
             SET lease = excluded.lease, leased_until = excluded.leased_until \
             WHERE keyed_requests.request_hash = excluded.request_hash \
             AND {}",
            dialect.clock(LEASE_SECONDS),
            dialect.is_free("keyed_requests", LEASE_SECONDS)
        ))
        .bind(&self.caller)
        .bind(&self.key)
        .bind(&self.hash)
        .bind(&lease)
        .bind(app.commands.clock.now())
        .execute(app.database())
        .await?;
        if reserved > 0 {
            // Its answer may have come between the two looks, with the reservation's end.
            return match self.answered(app.database()).await? {
                Some(standing) => self.release(app, &lease).await.map(|()| standing),
                None => Ok(Standing::Reserved(lease)),
            };
        }
        let known: Option<Vec<u8>> = sql("SELECT request_hash FROM keyed_requests WHERE caller_id = $1 AND key = $2")
            .bind(&self.caller)
            .bind(&self.key)
            .scalar_optional(app.database())
            .await?;
        Ok(if known.is_none_or(|known| known == self.hash) { Standing::UnderWay } else { Standing::OfAnother })
    }

    async fn answered(&self, database: &Database) -> Result<Option<Standing>, Error> {
        let row: Option<(Vec<u8>, i64, String, Vec<u8>)> =
            sql("SELECT request_hash, status, key_id, sealed FROM answers WHERE caller_id = $1 AND key = $2")
                .bind(&self.caller)
                .bind(&self.key)
                .fetch_optional(database)
                .await?;
        let Some((known, status, key_id, bytes)) = row else { return Ok(None) };
        if known != self.hash {
            return Ok(Some(Standing::OfAnother));
        }
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        Ok(Some(Standing::Answered(status.unwrap_or(StatusCode::OK), Sealed { key_id, bytes })))
    }

    /// Keeps the answer, and ends the reservation.
    pub(super) async fn keep(&self, app: &App, lease: &str, status: StatusCode, sealed: Sealed) -> Result<(), Error> {
        let mut tx = app.database().begin().await?;
        sql("INSERT INTO answers (caller_id, key, request_hash, status, key_id, sealed, answered_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (caller_id, key) DO NOTHING")
        .bind(&self.caller)
        .bind(&self.key)
        .bind(&self.hash)
        .bind(i64::from(status.as_u16()))
        .bind(&sealed.key_id)
        .bind(&sealed.bytes)
        .bind(app.commands.clock.now())
        .execute(&mut tx)
        .await?;
        self.delete(&mut tx, lease).await?;
        Ok(tx.commit().await?)
    }

    async fn delete(&self, tx: &mut Tx, lease: &str) -> Result<(), Error> {
        sql("DELETE FROM keyed_requests WHERE caller_id = $1 AND key = $2 AND lease = $3")
            .bind(&self.caller)
            .bind(&self.key)
            .bind(lease)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Ends the reservation without an answer: the same request may be sent again, and no other under this key.
    pub(super) async fn release(&self, app: &App, lease: &str) -> Result<(), Error> {
        sql("UPDATE keyed_requests SET lease = NULL, leased_until = NULL WHERE caller_id = $1 AND key = $2 AND lease = $3")
            .bind(&self.caller)
            .bind(&self.key)
            .bind(lease)
            .execute(app.database())
            .await?;
        Ok(())
    }
}

/// Forgets keys from before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(database: &Database, at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    sql("DELETE FROM answers WHERE answered_at < $1").bind(at).execute(&mut tx).await?;
    sql("DELETE FROM keyed_requests WHERE asked_at < $1").bind(at).execute(&mut tx).await?;
    tx.commit().await
}
