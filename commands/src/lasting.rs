//! What goes on failing for days, whatever Meta says: counted beside what is held against a token, so that somebody is told in
//! time. One success ends it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, TokenId};
use engine::{Query, sql};

use crate::{Commands, Error};

/// So many failures…
const FAILURES: i64 = 3;
/// …over so long are more than bad luck.
pub(crate) const A_DAY: TimeDelta = TimeDelta::days(1);
/// The same of answers that Meta calls passing, and of limits.
pub(crate) const DAYS: TimeDelta = TimeDelta::days(3);

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Extending the session.
    Renewal,
    /// Reading the posts.
    Reading,
}

impl Lasting {
    /// The name in rows.
    const fn name(self) -> &'static str {
        match self {
            Self::Renewal => "renew",
            Self::Reading => "read",
        }
    }
}

impl Commands {
    /// Counts one more failure with this token. Since when it has failed, if that was often enough and for so long.
    pub(crate) async fn fails(
        &self,
        account: AccountId,
        token: TokenId,
        what: Lasting,
        long: TimeDelta,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let now = self.clock.now();
        let (failures, since): (i64, DateTime<Utc>) = sql(
            "INSERT INTO lasting_failures (account_id, call, token_id, first_at, failures) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (account_id, call) DO UPDATE SET \
             first_at = CASE WHEN lasting_failures.token_id = excluded.token_id THEN lasting_failures.first_at \
             ELSE excluded.first_at END, \
             failures = CASE WHEN lasting_failures.token_id = excluded.token_id THEN lasting_failures.failures + 1 \
             ELSE 1 END, \
             token_id = excluded.token_id RETURNING failures, first_at",
        )
        .bind(account.to_string())
        .bind(what.name())
        .bind(token.to_string())
        .bind(now)
        .fetch_one(self.store.database().writing())
        .await?;
        Ok(Some(since).filter(|since| failures >= FAILURES && now - *since >= long))
    }
}

/// The write after which it doesn't fail any more.
pub(crate) fn over(account: AccountId, what: Lasting) -> Query {
    sql("DELETE FROM lasting_failures WHERE account_id = $1 AND call = $2").bind(account.to_string()).bind(what.name())
}
