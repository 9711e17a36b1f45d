//! Counts failures that go on for days whatever Meta says, so that people can be told in time. One success ends the count.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, TokenId};
use engine::{Query, sql};

use crate::{Commands, Error};

/// The least number of failures.
const FAILURES: i64 = 3;
/// Failures closer together count as one.
const APART: TimeDelta = TimeDelta::hours(1);
/// After this long without a failure that counted, the count begins again.
const GAP: TimeDelta = TimeDelta::hours(36);

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Meta refuses to extend the session.
    Renewal,
    /// It is not extended, for reasons that Meta calls passing.
    RenewalForNow,
    /// The posts are not read, for reasons that Meta calls passing.
    ReadingForNow,
}

impl Lasting {
    /// The name in rows.
    const fn name(self) -> &'static str {
        match self {
            Self::Renewal => "renew",
            Self::RenewalForNow => "renew_for_now",
            Self::ReadingForNow => "read_for_now",
        }
    }

    /// For how long it must go on.
    const fn threshold(self) -> TimeDelta {
        match self {
            Self::Renewal => TimeDelta::days(1),
            Self::RenewalForNow | Self::ReadingForNow => TimeDelta::days(3),
        }
    }
}

impl Commands {
    /// Counts one more failure with this token. Since when it has failed, if that was often enough and for long.
    pub(crate) async fn count_failure(
        &self,
        account: AccountId,
        token: TokenId,
        what: Lasting,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let now = self.clock.now();
        let goes_on = "lasting_failures.token_id = excluded.token_id AND lasting_failures.last_at >= $5";
        let (failures, since): (i64, DateTime<Utc>) = sql(format!(
            "INSERT INTO lasting_failures (account_id, call, token_id, first_at, last_at, failures) \
             VALUES ($1, $2, $3, $4, $4, 1) ON CONFLICT (account_id, call) DO UPDATE SET \
             first_at = CASE WHEN {goes_on} THEN lasting_failures.first_at ELSE excluded.first_at END, \
             failures = CASE WHEN NOT ({goes_on}) THEN 1 WHEN lasting_failures.last_at <= $6 \
             THEN lasting_failures.failures + 1 ELSE lasting_failures.failures END, \
             last_at = CASE WHEN {goes_on} AND lasting_failures.last_at > $6 \
             THEN lasting_failures.last_at ELSE excluded.last_at END, \
             token_id = excluded.token_id RETURNING failures, first_at"
        ))
        .bind(account.to_string())
        .bind(what.name())
        .bind(token.to_string())
        .bind(now)
        .bind(now - GAP)
        .bind(now - APART)
        .fetch_one(self.store.database().writing())
        .await?;
        Ok(Some(since).filter(|since| failures >= FAILURES && now - *since >= what.threshold()))
    }
}

/// The write after which renewals don't fail any more.
pub(crate) fn clear_renewal(account: AccountId) -> Query {
    sql("DELETE FROM lasting_failures WHERE account_id = $1 AND call IN ('renew', 'renew_for_now')")
        .bind(account.to_string())
}

/// The write after which reading doesn't fail any more.
pub(crate) fn clear_reading(account: AccountId) -> Query {
    sql("DELETE FROM lasting_failures WHERE account_id = $1 AND call = 'read_for_now'").bind(account.to_string())
}
