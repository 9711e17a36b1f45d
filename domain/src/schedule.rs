//! When things are due: pure functions of an account's facts.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{AccountId, account::Plan};

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
