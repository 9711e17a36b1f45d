//! Allowance: how many permanent changes a day are taken from a member, on an account, from logins without a sign-in.
//!
//! The journal is append-only, so what one customer can add to it has a bound. The count is a row that is written in the
//! commit of the change itself: it is exact with several nodes and several requests at once, and a restart doesn't reset it.
//! Commands that change nothing count nothing. What takes away (a widget removed, access revoked, an account disconnected)
//! counts nothing either and is never refused: something that counted came before each of them, and an owner must be able
//! to shut out a member who has used up the account's allowance. Machines with an API key write no such row: their bound is read from the
//! length of the account's own stream, and only once that stream is long.

use std::fmt;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use domain::{Account, AccountId, Actor};
use engine::{Database, StoreError, Unit, sql};

use crate::Error;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A widget, its plan, or somebody's access. Counts on the member and on the account.
    Edit,
    /// A login that brought a token or access. Counts on the member, or on the account's logins without a sign-in: a member
    /// who edits too much keeps nobody else from a refresh.
    Login,
}

/// Changes a day by one member, over all accounts.
pub const MEMBER_CHANGES: i64 = 1_000;
/// Changes a day of one account, by all its members.
pub const ACCOUNT_CHANGES: i64 = 300;
/// Tokens a day that logins without a sign-in bring for one account.
pub const VISITOR_LOGINS: i64 = 50;
/// Events of one account's stream in 24 hours, beyond which no API key adds to it.
pub const KEY_CHANGES: i64 = 10_000;

/// What an allowance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Member,
    Account,
    Visitor,
    Key,
}

impl Scope {
    /// The name in rows.
    const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Account => "account",
            Self::Visitor => "visitor",
            Self::Key => "key",
        }
    }

    const fn limit(self) -> i64 {
        match self {
            Self::Member => MEMBER_CHANGES,
            Self::Account => ACCOUNT_CHANGES,
            Self::Visitor => VISITOR_LOGINS,
            Self::Key => KEY_CHANGES,
        }
    }
}

/// An allowance that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    scope: Scope,
    /// When changes are taken again.
    pub until: DateTime<Utc>,
    /// The same in seconds from the refusal.
    pub seconds: u64,
}

impl Spent {
    fn new(scope: Scope, until: DateTime<Utc>, at: DateTime<Utc>) -> Self {
        Self { scope, until, seconds: u64::try_from((until - at).num_seconds()).unwrap_or_default() + 1 }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.scope.limit();
        match self.scope {
            Scope::Member => write!(f, "you have made {limit} changes today, which is the limit"),
            Scope::Account => write!(f, "this account was changed {limit} times today, which is the limit"),
            Scope::Visitor => write!(f, "this account was refreshed {limit} times today, which is the limit"),
            Scope::Key => write!(f, "this account was changed {limit} times in 24 hours, which is the limit"),
        }?;
        write!(f, "; you can go on after {}", self.until.format("%e %B %Y, %H:%M UTC").to_string().trim())
    }
}

/// The rows that a change of an account by somebody counts on.
fn rows(change: Change, actor: Actor, account: AccountId) -> Vec<(Scope, String)> {
    match (actor, change) {
        (Actor::User(user), Change::Edit) => {
            vec![(Scope::Member, user.to_string()), (Scope::Account, account.to_string())]
        }
        (Actor::User(user), Change::Login) => vec![(Scope::Member, user.to_string())],
        (Actor::Visitor, _) => vec![(Scope::Visitor, account.to_string())],
        // Machines have a bound of their own; Meta and Relight itself do nothing that a customer can repeat at will.
        (Actor::ApiKey(_) | Actor::Meta | Actor::Relight | Actor::Operator, _) => vec![],
    }
}

/// Days since 1970-01-01 UTC.
fn day(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(86_400)
}

/// Counts an actor's change of an account, in its own unit. The unit is refused ([`StoreError::Refused`]) when the allowance of its
/// actor is used up; [`spent`] then says which.
///
/// # Errors
/// [`Error::Spent`] for an API key; when the database fails.
pub(crate) async fn charge(
    database: &Database,
    unit: &mut Unit,
    (actor, change): (Actor, Change),
    account: AccountId,
) -> Result<(), Error> {
    let at = unit.metadata().at;
    for (scope, id) in rows(change, actor, account) {
        // A clock that steps back opens no new day.
        let write = sql(
            "INSERT INTO allowances (scope, id, day, used) VALUES ($1, $2, $3, 1) ON CONFLICT (scope, id) DO UPDATE SET \
             used = CASE WHEN allowances.day < excluded.day THEN 1 ELSE allowances.used + 1 END, \
             day = CASE WHEN allowances.day < excluded.day THEN excluded.day ELSE allowances.day END \
             WHERE allowances.day < excluded.day OR allowances.used < $4",
        );
        unit.write(write.bind(scope.name()).bind(id).bind(day(at)).bind(scope.limit()).guarded());
    }
    if matches!(actor, Actor::ApiKey(_))
        && let Some(until) = stream_is_full(database, account, unit.sequence::<Account>(account), at).await?
    {
        return Err(Error::Spent(Spent::new(Scope::Key, until, at)));
    }
    Ok(())
}

/// Until when an account's stream takes nothing more from machines, if it grew so much within 24 hours. `head`: the stream's
/// length with what the unit adds.
async fn stream_is_full(
    database: &Database,
    account: AccountId,
    head: i64,
    at: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    if head <= KEY_CHANGES {
        return Ok(None);
    }
    let before: Option<DateTime<Utc>> =
        sql("SELECT at FROM events WHERE aggregate_type = 'account' AND aggregate_id = $1 AND sequence = $2")
            .bind(account.to_string())
            .bind(head - KEY_CHANGES)
            .scalar_optional(database)
            .await?;
    Ok(before.map(|before| before + TimeDelta::hours(24)).filter(|until| *until > at))
}

/// The allowance that somebody has used up for changes of an account, if one is.
pub(crate) async fn spent(
    database: &Database,
    change: Change,
    actor: Actor,
    account: AccountId,
    at: DateTime<Utc>,
) -> Result<Option<Spent>, StoreError> {
    for (scope, id) in rows(change, actor, account) {
        if used(database, scope, &id, at).await? >= scope.limit() {
            let next = at.date_naive().checked_add_days(Days::new(1)).unwrap_or(at.date_naive());
            return Ok(Some(Spent::new(scope, next.and_time(NaiveTime::MIN).and_utc(), at)));
        }
    }
    Ok(None)
}

/// Whether an actor's allowance is too small for this many more changes, one of them of this account.
pub(crate) async fn lacks(
    database: &Database,
    (actor, change): (Actor, Change),
    account: AccountId,
    changes: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    for (scope, id) in rows(change, actor, account) {
        if used(database, scope, &id, at).await?.saturating_add(changes) > scope.limit() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How much of an allowance is used on a day.
async fn used(database: &Database, scope: Scope, id: &str, at: DateTime<Utc>) -> Result<i64, StoreError> {
    let used: Option<i64> = sql("SELECT used FROM allowances WHERE scope = $1 AND id = $2 AND day >= $3")
        .bind(scope.name())
        .bind(id)
        .bind(day(at))
        .scalar_optional(database)
        .await?;
    Ok(used.unwrap_or(0))
}

/// Forgets the counts of days that are over.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(database: &Database, at: DateTime<Utc>) -> Result<(), StoreError> {
    let day = day(at);
    sql("DELETE FROM allowances WHERE day < $1").bind(day).execute(database).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::UserId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_edit_counts_on_member_and_account_and_a_login_on_the_member_alone() {
        let account = AccountId::new(Uuid::from_u128(7));
        let user = UserId::new(Uuid::from_u128(1));
        let scopes = |change, actor| rows(change, actor, account).into_iter().map(|row| row.0).collect::<Vec<_>>();
        assert_eq!(scopes(Change::Edit, Actor::User(user)), [Scope::Member, Scope::Account]);
        assert_eq!(scopes(Change::Login, Actor::User(user)), [Scope::Member]);
        assert_eq!(scopes(Change::Login, Actor::Visitor), [Scope::Visitor]);
        assert_eq!(scopes(Change::Edit, Actor::ApiKey(user)), []);
        assert_eq!(scopes(Change::Login, Actor::Relight), []);
    }

    #[test]
    fn a_used_up_allowance_is_explained_in_plain_words() {
        let until = DateTime::from_timestamp(1_795_651_200, 0).expect("a time");
        let words = Spent::new(Scope::Account, until, until).to_string();
        let expected = "this account was changed 300 times today, which is the limit; you can go on after \
                        26 November 2026, 00:00 UTC";
        assert_eq!(words, expected);
    }
}
