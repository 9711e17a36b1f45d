//! Hold: what Meta says against a token without saying it clearly may be the app's fault, or its own. It is held until
//! another account of the app is seen to work and this token fails once more; with no other account to ask, until it has
//! failed for a while. Passing errors hold nothing.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, Connection, Evidence, Reason, TokenId, failure::APP_TOKEN_REFUSED};
use engine::{Query, sql};

use crate::{Commands, Context, Error, lasting, report_failure::Report};

/// How far apart two failures must be to count as two.
pub const APART: TimeDelta = TimeDelta::minutes(1);
/// With no other account to ask: so many failures…
const ALONE_FAILURES: i64 = 3;
/// …over so long.
const ALONE_FOR: TimeDelta = TimeDelta::minutes(10);

/// How long an account that worked shows that the app does.
const LATELY: TimeDelta = TimeDelta::hours(1);
/// After an answer that says nothing of the token: how long before it counts against it.
pub(crate) const DAY: TimeDelta = TimeDelta::days(1);

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suspicion {
    pub(crate) reason: Reason,
    /// Against reading the posts: the token works. Otherwise against the token.
    reading: bool,
    /// It can't become sure before it has gone on for a day; otherwise as soon as it is met again while others work.
    for_a_day: bool,
}

impl Suspicion {
    /// Against the token.
    pub(crate) const fn token(reason: Reason) -> Self {
        Self { reason, reading: false, for_a_day: false }
    }

    /// Against reading the posts.
    pub(crate) const fn reading(reason: Reason) -> Self {
        Self { reason, reading: true, for_a_day: false }
    }

    /// The same, not sure before it has gone on for a day.
    pub(crate) const fn for_a_day(self) -> Self {
        Self { for_a_day: true, ..self }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    token_id: String,
    reason: String,
    evidence: String,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    failures: i64,
    sure_from: Option<DateTime<Utc>>,
    reading: bool,
}

impl Row {
    /// Whether what is held is sure by now. After an incident it begins anew.
    fn is_sure(&self, other_worked_at: Option<DateTime<Utc>>, others: bool) -> bool {
        if self.sure_from.is_some_and(|from| self.last_at < from) {
            false
        } else if others {
            // After a day of it, what worked at its beginning says little.
            let since = self.sure_from.map_or(self.first_at, |_| self.last_at - LATELY);
            self.failures >= 2 && other_worked_at.is_some_and(|at| at >= since)
        } else {
            self.failures >= ALONE_FAILURES && self.last_at - self.first_at >= ALONE_FOR
        }
    }
}

/// What came of a verdict that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It was sure: the token is expired.
    Expired,
    /// It was sure: the token works, and the posts are refused.
    ReadingRefused,
    /// It isn't sure yet.
    Waits,
    /// Nothing is decided while the app has an incident.
    Incident,
}

impl Commands {
    /// Holds against a token what a call met.
    pub(crate) async fn hold(
        &self,
        (account, connection): (AccountId, Connection),
        token: TokenId,
        Suspicion { reason, reading, for_a_day }: Suspicion,
        evidence: &Evidence,
    ) -> Result<(), Error> {
        let sure_from = for_a_day.then_some(evidence.at + DAY);
        let (id, token, at) = (account.to_string(), token.to_string(), evidence.at);
        let evidence = serde_json::to_string(evidence).unwrap_or_default();
        let apart = at - APART;
        // What was held against an earlier token, or of another kind, begins anew.
        let same = "verdicts.token_id = excluded.token_id AND verdicts.reading = excluded.reading \
                    AND (verdicts.sure_from IS NULL) = (excluded.sure_from IS NULL)";
        sql(format!(
            "INSERT INTO verdicts (account_id, token_id, reason, evidence, first_at, last_at, failures, connection, \
             sure_from, reading) VALUES ($1, $2, $3, $4, $5, $5, 1, $7, $8, $9) ON CONFLICT (account_id) DO UPDATE SET \
             first_at = CASE WHEN {same} THEN verdicts.first_at ELSE excluded.first_at END, \
             failures = CASE WHEN NOT ({same}) THEN 1 \
             WHEN verdicts.last_at <= $6 THEN verdicts.failures + 1 ELSE verdicts.failures END, \
             last_at = CASE WHEN {same} AND verdicts.last_at > $6 THEN verdicts.last_at ELSE excluded.last_at END, \
             incident_over_at = CASE WHEN {same} THEN verdicts.incident_over_at END, \
             sure_from = CASE WHEN {same} AND excluded.sure_from IS NOT NULL \
             THEN verdicts.sure_from ELSE excluded.sure_from END, \
             token_id = excluded.token_id, reason = excluded.reason, evidence = excluded.evidence, \
             connection = excluded.connection, reading = excluded.reading"
        ))
        .bind(&id)
        .bind(&token)
        .bind(reason.name())
        .bind(&evidence)
        .bind(at)
        .bind(apart)
        .bind(connection.name())
        .bind(sure_from)
        .bind(reading)
        .execute(self.store.database())
        .await?;
        Ok(())
    }

    /// Whether a failure of this token was suspected at an earlier call, far enough back to count as another one.
    pub(crate) async fn is_suspected(&self, account: AccountId, token: TokenId) -> Result<bool, Error> {
        let before = self.clock.now() - APART;
        Ok(sql("SELECT EXISTS (SELECT 1 FROM verdicts WHERE account_id = $1 AND token_id = $2 AND first_at <= $3)")
            .bind(account.to_string())
            .bind(token.to_string())
            .bind(before)
            .scalar(self.store.database())
            .await?)
    }

    /// Expires the account's token if what is held against it is sure by now; `others`: whether other accounts of the app
    /// could be asked.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decide_held(&self, account: AccountId, others: bool, context: &Context) -> Result<Decided, Error> {
        let Some(connection) = self.usable(account).await? else { return Ok(Decided::Waits) };
        if self.open_incident(connection).await?.is_some() {
            return Ok(Decided::Incident);
        }
        let held: Option<Row> =
            sql("SELECT token_id, reason, evidence, first_at, last_at, failures, sure_from, reading FROM verdicts \
                 WHERE account_id = $1")
            .bind(account.to_string())
            .fetch_optional(self.store.database())
            .await?;
        let Some(held) = held else { return Ok(Decided::Waits) };
        let other_worked_at: Option<DateTime<Utc>> =
            sql("SELECT worked_at FROM apps WHERE connection = $1 AND worked_by IS NOT NULL AND worked_by <> $2")
                .bind(connection.name())
                .bind(account.to_string())
                .scalar_optional(self.store.database())
                .await?;
        let parsed = (held.token_id.parse(), Reason::from_name(&held.reason), serde_json::from_str(&held.evidence));
        let (true, (Ok(token), Some(reason), Ok(evidence))) = (held.is_sure(other_worked_at, others), parsed) else {
            return Ok(Decided::Waits);
        };
        if held.reading {
            self.unread(account, token, evidence, context).await?;
            return Ok(Decided::ReadingRefused);
        }
        let report = Report { account, token, reason, evidence };
        self.store.run(&self.metadata(context), &report).await?;
        Ok(Decided::Expired)
    }

    /// Whether another account of the app worked within the last hour, as far as that is known; an admin's word counts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn other_worked_lately(&self, account: AccountId, connection: Connection) -> Result<bool, Error> {
        Ok(sql("SELECT EXISTS (SELECT 1 FROM apps WHERE connection = $1 AND worked_at > $2 \
                AND worked_by IS NOT NULL AND worked_by <> $3)")
        .bind(connection.name())
        .bind(self.clock.now() - LATELY)
        .bind(account.to_string())
        .scalar(self.store.database())
        .await?)
    }

    /// Whether an admin released what is held against an account from its app's incident, and no account has worked since: it
    /// counts against the account, however long its tries take.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_released(&self, account: AccountId) -> Result<bool, Error> {
        Ok(sql("SELECT EXISTS (SELECT 1 FROM verdicts v JOIN apps a ON a.connection = v.connection \
                WHERE v.account_id = $1 AND v.incident_over_at IS NOT NULL AND a.worked_by = 'admin')")
        .bind(account.to_string())
        .scalar(self.store.database())
        .await?)
    }

    /// Posts of an account were read: nothing is held against it any more, and its app works.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn worked(&self, account: AccountId, connection: Connection) -> Result<(), Error> {
        let (held, goes_on): (bool, bool) = sql("SELECT EXISTS (SELECT 1 FROM verdicts WHERE account_id = $1), \
             EXISTS (SELECT 1 FROM lasting_failures WHERE account_id = $1 AND call = 'read_for_now')")
        .bind(account.to_string())
        .fetch_one(self.store.database())
        .await?;
        if held {
            nothing(account).execute(self.store.database()).await?;
        }
        if goes_on {
            lasting::clear_reading(account).execute(self.store.database()).await?;
        }
        self.app_works(connection, Some(account)).await
    }

    /// Posts of an account were read: its app works, and an incident is over, unless it is because of the app's own token. `by`: the account, if it is known here; one that
    /// is just being connected shows nothing about others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn app_works(&self, connection: Connection, by: Option<AccountId>) -> Result<(), Error> {
        let (name, now) = (connection.name(), self.clock.now());
        let (is_news, incident): (bool, bool) =
            sql("SELECT NOT EXISTS (SELECT 1 FROM apps WHERE connection = $1 AND worked_at > $2) \
                 OR EXISTS (SELECT 1 FROM verdicts v JOIN apps a ON a.connection = v.connection \
                 WHERE v.connection = $1 AND (v.first_at > a.worked_at OR v.account_id = a.worked_by)) \
                 OR EXISTS (SELECT 1 FROM token_errors e JOIN apps a ON a.connection = e.connection \
                 WHERE e.connection = $1 AND e.at >= a.worked_at), \
                 EXISTS (SELECT 1 FROM incidents WHERE connection = $1 AND closed_at IS NULL \
                 AND (cause IS NULL OR cause <> $3))")
            .bind(name)
            .bind(now - APART)
            .bind(APP_TOKEN_REFUSED)
            .fetch_one(self.store.database())
            .await?;
        // To the minute, or now if somebody waits to know: what is held, or refused since, is another matter if the app works.
        if let (true, Some(by)) = (is_news, by) {
            sql("INSERT INTO apps (connection, worked_at, worked_by) VALUES ($1, $2, $3) \
                 ON CONFLICT (connection) DO UPDATE SET worked_at = excluded.worked_at, \
                 worked_by = excluded.worked_by WHERE apps.worked_at < excluded.worked_at")
            .bind(name)
            .bind(now)
            .bind(by.to_string())
            .execute(self.store.database())
            .await?;
        }
        if incident {
            self.incident_over(connection).await?;
        }
        Ok(())
    }
}

/// The write after which nothing is held against an account's tokens.
pub(crate) fn nothing(account: AccountId) -> Query {
    sql("DELETE FROM verdicts WHERE account_id = $1").bind(account.to_string())
}

/// The write after which nothing is held against a token.
pub(crate) fn nothing_against(account: AccountId, token: TokenId) -> Query {
    sql("DELETE FROM verdicts WHERE account_id = $1 AND token_id = $2")
        .bind(account.to_string())
        .bind(token.to_string())
}
