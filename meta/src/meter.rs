//! One meter of what Meta allows: how much of a rolling hour is used up, and what calls do about it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// From this percentage on, calls that nobody waits for are spaced…
pub const SLOWER_FROM: f64 = 75.0;
/// …and from this on, not made.
pub const RESERVED_FROM: f64 = 95.0;
/// At a hundred percent, without a word on how long: long enough that a rolling hour has moved on.
const PAUSE: TimeDelta = TimeDelta::minutes(15);
/// The longest that a header is believed, in minutes: an odd one keeps no account from its daily check.
const REGAINED_WITHIN: f64 = 1_440.0;
/// What is used falls out of the rolling hour.
pub(crate) const WINDOW: TimeDelta = TimeDelta::hours(1);

/// What a header says.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Percents {
    #[serde(default)]
    call_count: f64,
    #[serde(default)]
    total_time: f64,
    #[serde(default)]
    total_cputime: f64,
    /// In minutes.
    #[serde(default)]
    estimated_time_to_regain_access: f64,
}

impl Percents {
    fn highest(&self) -> f64 {
        self.call_count.max(self.total_time).max(self.total_cputime)
    }

    /// Of several limits, what is worst in each.
    pub(crate) fn worse(self, other: Self) -> Self {
        Self {
            call_count: self.highest().max(other.highest()),
            estimated_time_to_regain_access: self
                .estimated_time_to_regain_access
                .max(other.estimated_time_to_regain_access),
            ..Self::default()
        }
    }

    pub(crate) fn shut_out_for(&self) -> Option<TimeDelta> {
        #[expect(clippy::cast_possible_truncation, reason = "minutes, bounded by a day")]
        let minutes = self.estimated_time_to_regain_access.clamp(0.0, REGAINED_WITHIN).ceil() as i64;
        (minutes > 0).then(|| TimeDelta::minutes(minutes))
    }
}

/// A limit: the app's, or that of a business or an account.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// What was used up, in percent, and when Meta said so.
    told: Option<(f64, DateTime<Utc>)>,
    /// Until when no call is made.
    pub(crate) paused_until: Option<DateTime<Utc>>,
    /// When the next call may be made that nobody waits for.
    next_quiet: Option<DateTime<Utc>>,
}

impl Meter {
    pub(crate) fn read(&mut self, usage: Percents, now: DateTime<Utc>) {
        self.told = Some((usage.highest(), now));
        let full = (usage.highest() >= 100.0).then_some(PAUSE);
        if let Some(pause) = usage.shut_out_for().or(full) {
            self.paused_until = self.paused_until.max(Some(now + pause));
        }
    }

    /// Pauses for the usual time, unless it is paused.
    pub(crate) fn pause(&mut self, now: DateTime<Utc>) {
        if self.paused(now).is_none() {
            self.paused_until = Some(now + PAUSE);
        }
    }

    pub(crate) fn paused(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.paused_until.filter(|until| *until > now)
    }

    /// What is left of the percentage by now, if nothing was added, and when it was told: the hour rolls on.
    pub(crate) fn used(&self, now: DateTime<Utc>) -> Option<(f64, DateTime<Utc>)> {
        let (percent, at) = self.told?;
        #[expect(clippy::cast_precision_loss, reason = "an hour in milliseconds is a small number")]
        let part = (now - at).num_milliseconds().max(0) as f64 / WINDOW.num_milliseconds() as f64;
        Some((percent * (1.0 - part).max(0.0), at))
    }

    /// Whether calls may have to wait.
    pub(crate) fn is_short(&self, now: DateTime<Utc>) -> bool {
        self.paused(now).is_some() || self.used(now).is_some_and(|(percent, _)| percent >= SLOWER_FROM)
    }

    /// Whether it says anything still.
    pub(crate) fn matters(&self, now: DateTime<Utc>) -> bool {
        self.paused(now).is_some() || self.used(now).is_some_and(|(percent, _)| percent > 0.0)
    }

    /// How long a call should wait; `None`: it may be made now. `first`: somebody waits for it.
    pub(crate) fn wait(&mut self, first: bool, now: DateTime<Utc>) -> Option<TimeDelta> {
        if let Some(until) = self.paused(now) {
            return Some(until - now);
        }
        let used = self.used(now).map_or(0.0, |(percent, _)| percent);
        if first || used < SLOWER_FROM {
            return None;
        }
        if used >= RESERVED_FROM {
            // Until enough has fallen out of the hour.
            return Some(TimeDelta::minutes(5));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 20,000 ms")]
        self.space(TimeDelta::milliseconds(((used - SLOWER_FROM) * 1_000.0) as i64), now)
    }

    /// How long a call should wait; `None`: it may be made, and the next one so much later.
    pub(crate) fn space(&mut self, apart: TimeDelta, now: DateTime<Utc>) -> Option<TimeDelta> {
        if let Some(next) = self.next_quiet.filter(|next| *next > now) {
            return Some(next - now);
        }
        self.next_quiet = Some(now + apart);
        None
    }
}
