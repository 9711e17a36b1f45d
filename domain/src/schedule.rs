//! When things are due: pure functions of an account's facts.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{AccountId, account::Plan};

/// When what is due: what can be configured of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How often accounts are pulled.
    pub pull: PullIntervals,
    /// How long before its end a session is extended; `None`: when a third of its life is left.
    pub renew_before: Option<TimeDelta>,
    /// How long before data access ends people are reminded.
    pub remind_before: Vec<TimeDelta>,
}

impl Default for Schedule {
    fn default() -> Self {
        let remind_before = [14, 7, 1].map(TimeDelta::days).to_vec();
        Self { pull: PullIntervals::default(), renew_before: None, remind_before }
    }
}

impl Schedule {
    /// When a session that began at `since` is extended: well before its end, spread over a fortieth of its life, and never
    /// before Meta allows it. `None`: it has no end, or ends before that.
    ///
    /// A spread of a day and a half over sessions of 60 days leaves no minute of a crowd far above the average.
    pub fn renewal(
        &self,
        account: AccountId,
        since: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        let ends = expires_at?;
        let life = ends - since;
        let due = ends - self.renew_before.unwrap_or(life / 3) + jitter(account, life / 40);
        let due = due.max(since + MINIMUM_AGE);
        (due < ends).then_some(due)
    }

    /// When a session is extended that began some time before `at`, as far back as is known only to Meta: at once where less
    /// is left of it than Meta's least age.
    pub fn renewal_of_older(
        &self,
        account: AccountId,
        at: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        self.renewal(account, at, expires_at).or_else(|| expires_at.filter(|ends| *ends > at).map(|_| at))
    }

    /// When people are reminded next, after `after`, that data access ends.
    pub fn next_reminder(&self, ends_at: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.remind_before.iter().map(|before| ends_at - *before).filter(|due| *due > after).min()
    }

    /// Which reminder it is that is due at `now`: how many days before the end it is meant for. The last one, where
    /// several were missed; `None`: none is, or it is too late.
    pub fn reminder_due(&self, ends_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<u32> {
        let due = self.remind_before.iter().filter(|before| now < ends_at && ends_at - **before <= now).min()?;
        u32::try_from(due.num_days()).ok()
    }
}

/// How long what happened waits to be told, so that what comes together is told together, and what passes isn't told.
pub const GATHER: TimeDelta = TimeDelta::seconds(20);

/// How often accounts are pulled, by the best plan of their widgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullIntervals {
    /// For accounts with an `Upgraded` widget.
    pub upgraded: TimeDelta,
    /// For all others; also how often a `Free` widget beside an `Upgraded` one advances.
    pub free: TimeDelta,
}

impl Default for PullIntervals {
    fn default() -> Self {
        Self { upgraded: TimeDelta::minutes(30), free: TimeDelta::hours(6) }
    }
}

impl PullIntervals {
    /// The time between two pulls of an account whose best plan is `plan`.
    pub fn of(&self, plan: Plan) -> TimeDelta {
        match plan {
            Plan::Free => self.free,
            Plan::Upgraded => self.upgraded,
        }
    }

    /// When an account that was pulled at `fetched_at` is due again. Spread by a tenth of the interval, so that
    /// accounts that were connected together don't stay together.
    pub fn next_pull(&self, account: AccountId, plan: Plan, fetched_at: DateTime<Utc>) -> DateTime<Utc> {
        let interval = self.of(plan);
        fetched_at + interval - jitter(account, interval / 10)
    }
}

/// How long a token must be before Meta extends it. Source: Meta's "Refresh a Long-Lived Token" (Instagram Platform).
const MINIMUM_AGE: TimeDelta = TimeDelta::hours(24);

/// Meta tells nobody that a token died: each is asked about at least once a day. Source: Meta's "Debugging and Error
/// Handling" for access tokens.
const ASK_EVERY: TimeDelta = TimeDelta::hours(24);

/// When Meta is asked about a token of which it was last heard at `heard_at`; a call that worked counts as asking.
pub fn next_check(account: AccountId, heard_at: DateTime<Utc>) -> DateTime<Utc> {
    heard_at + ASK_EVERY - jitter(account, ASK_EVERY / 8)
}

/// When Meta is asked again whether a token that expired at `expired_at` works after all: after an hour, after six, daily for
/// thirty days, then weekly until data access ends, or 90 days are over. `None`: not again.
pub fn next_recheck(
    account: AccountId,
    expired_at: DateTime<Utc>,
    data_access_ends: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let ends = data_access_ends.unwrap_or(expired_at + TimeDelta::days(90));
    let after = if now < expired_at + RECHECK_FIRST {
        expired_at + RECHECK_FIRST
    } else if now < expired_at + TimeDelta::hours(6) {
        expired_at + TimeDelta::hours(6)
    } else if now < expired_at + TimeDelta::days(30) {
        now + TimeDelta::days(1)
    } else {
        now + TimeDelta::weeks(1)
    };
    let due = after + jitter(account, ((after - expired_at) / 4).min(TimeDelta::hours(2)));
    (due < ends).then_some(due)
}

/// How long after it expired Meta is first asked again about a token.
const RECHECK_FIRST: TimeDelta = TimeDelta::hours(1);

/// How long the posts may be refused before people are told.
pub const TELL_OF_READING: TimeDelta = TimeDelta::days(1);

/// How long after a failed try the next one is made: doubling from 5 seconds up to 30 minutes, plus jitter.
///
/// `attempts` counts the tries that failed, so the first failure is 1.
pub fn backoff(account: AccountId, attempts: u32) -> TimeDelta {
    let delay = TimeDelta::seconds(5 << attempts.clamp(1, 10).saturating_sub(1)).min(TimeDelta::minutes(30));
    delay + jitter(account, delay / 4)
}

/// A part of `span` that is always the same for the account, and evenly spread over accounts.
///
/// The last 62 bits of a `UUIDv7` are random (RFC 9562, section 5.7), so its low 32 bits serve as they are.
pub fn jitter(account: AccountId, span: TimeDelta) -> TimeDelta {
    let [.., a, b, c, d] = *account.uuid().as_bytes();
    let fraction = f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX);
    let micros = span.num_microseconds().unwrap_or(i64::MAX);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "spans are far below 2^52 µs")]
    TimeDelta::microseconds((micros as f64 * fraction) as i64)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn account(low: u32) -> AccountId {
        AccountId::new(Uuid::from_u128(u128::from(low)))
    }

    #[test]
    fn the_best_plan_decides_how_often_an_account_is_pulled() {
        let intervals = PullIntervals::default();
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(intervals.next_pull(account(0), Plan::Upgraded, at) - at, TimeDelta::minutes(30));
        assert_eq!(intervals.next_pull(account(0), Plan::Free, at) - at, TimeDelta::hours(6));
        assert_eq!(intervals.next_pull(account(u32::MAX), Plan::Upgraded, at) - at, TimeDelta::minutes(27));
    }

    #[test]
    fn a_session_is_extended_when_a_third_of_its_life_is_left() {
        let since = DateTime::UNIX_EPOCH;
        let renewal = |account, since, ends| Schedule::default().renewal(account, since, ends);
        let after = |low, life: TimeDelta| renewal(account(low), since, Some(since + life)).map(|due| due - since);
        assert_eq!(after(0, TimeDelta::days(60)), Some(TimeDelta::days(40)));
        assert_eq!(after(u32::MAX, TimeDelta::days(60)), Some(TimeDelta::hours(40 * 24 + 36)));
        assert_eq!(after(0, TimeDelta::hours(30)), Some(TimeDelta::hours(24)), "Meta refuses younger ones");
        assert_eq!(after(0, TimeDelta::hours(24)), None);
        assert_eq!(renewal(account(0), since, None), None);
        let soon = Some(since + TimeDelta::hours(20));
        assert_eq!(renewal(account(0), since, soon), None, "Meta would refuse it all its life");
        let older = |ends| Schedule::default().renewal_of_older(account(0), since, ends);
        assert_eq!(older(soon), Some(since));
        assert_eq!(older(Some(since)), None, "it is over");
        assert_eq!(older(None), None);
        let long = Some(since + TimeDelta::days(60));
        assert_eq!(older(long), renewal(account(0), since, long));
    }

    #[test]
    fn a_crowd_of_one_moment_is_extended_without_a_rush() {
        // Well mixed, as random ids are (SplitMix64).
        let mixed = |number: u64| {
            let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits")
        };
        let ends = DateTime::UNIX_EPOCH + TimeDelta::days(60);
        let mut minutes = std::collections::BTreeMap::<i64, u32>::new();
        for number in 0..100_000 {
            let due = Schedule::default().renewal(account(mixed(number)), DateTime::UNIX_EPOCH, Some(ends));
            let due = due.expect("it has an end");
            *minutes.entry(due.timestamp() / 60).or_default() += 1;
        }
        let average = 100_000 / u32::try_from(minutes.len()).expect("not many");
        let busiest = minutes.values().copied().max().expect("some");
        assert!(busiest < 2 * average, "{busiest} in the busiest minute, {average} on average");
    }

    #[test]
    fn people_are_reminded_when_so_many_days_are_left() {
        let (schedule, begins) = (Schedule::default(), DateTime::UNIX_EPOCH);
        let ends = begins + TimeDelta::days(90);
        let next =
            |days: i64| schedule.next_reminder(ends, begins + TimeDelta::days(days)).map(|due| (ends - due).num_days());
        assert_eq!([0, 75, 76, 83, 89].map(next), [Some(14), Some(14), Some(7), Some(1), None]);
        let due = |days: i64| schedule.reminder_due(ends, begins + TimeDelta::days(days));
        assert_eq!([75, 76, 82, 83, 89, 90].map(due), [None, Some(14), Some(14), Some(7), Some(1), None]);
    }

    #[test]
    fn each_token_is_asked_about_at_least_once_a_day() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(next_check(account(0), at) - at, TimeDelta::hours(24));
        assert_eq!(next_check(account(u32::MAX), at) - at, TimeDelta::hours(21));
    }

    #[test]
    fn jitter_is_even_and_the_same_each_time() {
        let span = TimeDelta::seconds(100);
        assert_eq!(jitter(account(0), span), TimeDelta::zero());
        assert_eq!(jitter(account(u32::MAX), span), span);
        assert_eq!(jitter(account(u32::MAX / 2), span), jitter(account(u32::MAX / 2), span));
        assert_eq!(jitter(account(u32::MAX / 2), span).num_seconds(), 49);
    }

    #[test]
    fn backoff_doubles_up_to_half_an_hour() {
        assert_eq!(backoff(account(0), 1), TimeDelta::seconds(5));
        assert_eq!(backoff(account(0), 2), TimeDelta::seconds(10));
        assert_eq!(backoff(account(0), 9), TimeDelta::seconds(1280));
        assert_eq!(backoff(account(0), 10), TimeDelta::minutes(30));
        assert_eq!(backoff(account(0), u32::MAX), TimeDelta::minutes(30));
    }
}
