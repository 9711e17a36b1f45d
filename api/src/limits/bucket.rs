//! Leaky buckets by key, bounded in number: a bucket that is not used for as long as it takes to run empty is forgotten,
//! and beyond the largest number those that are used least.
//!
//! A bucket is one number, the instant at which it will have run empty (the generic cell rate algorithm, ITU-T I.371).

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::sync::Cache;

/// How many buckets of a kind are kept.
const BUCKETS: u64 = 100_000;

/// Buckets of one size by key.
#[derive(Debug)]
pub(super) struct Buckets<K>
where
    K: Hash + Eq + Send + Sync + 'static,
{
    began: Instant,
    /// How long one drop takes to run out, in nanoseconds.
    drop: u64,
    /// How long a full bucket takes to run out.
    full: u64,
    empty_at: Cache<K, Arc<AtomicU64>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Buckets<K> {
    /// Buckets that hold `drops`, of which one runs out in each interval.
    pub(super) fn new(drops: u32, each: Duration) -> Self {
        let nanoseconds = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let full = each * drops;
        Self {
            began: Instant::now(),
            drop: nanoseconds(each),
            full: nanoseconds(full),
            empty_at: Cache::builder().max_capacity(BUCKETS).time_to_idle(full).build(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Puts a drop into a bucket; a full one says how long until it has room.
    pub(super) fn take(&self, key: &K) -> Result<(), Duration> {
        let bucket = self.empty_at.get_with_by_ref(key, Arc::default);
        let now = self.now();
        let filled = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| {
            let filled = empty_at.max(now) + self.drop;
            (filled - now <= self.full).then_some(filled)
        });
        filled.map(drop).map_err(|empty_at| Duration::from_nanos(empty_at + self.drop - self.full - now))
    }

    /// Takes a drop out again.
    pub(super) fn give_back(&self, key: &K) {
        if let Some(bucket) = self.empty_at.get(key) {
            let back = |empty_at: u64| Some(empty_at.saturating_sub(self.drop));
            let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
        }
    }

    /// Puts a drop into a bucket, full or not, and says how many are in it.
    pub(super) fn pour(&self, key: &K) -> u64 {
        let bucket = self.empty_at.get_with_by_ref(key, Arc::default);
        let now = self.now();
        let pour = |empty_at: u64| Some((empty_at.max(now) + self.drop).min(now + self.full));
        let before = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pour).unwrap_or_default();
        (before.max(now) + self.drop - now).div_ceil(self.drop).min(self.full / self.drop)
    }

    /// How many drops are in a bucket.
    pub(super) fn level(&self, key: &K) -> u64 {
        let empty_at = self.empty_at.get(key).map_or(0, |bucket| bucket.load(Ordering::Relaxed));
        empty_at.saturating_sub(self.now()).div_ceil(self.drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_full_bucket_refuses_and_says_for_how_long() {
        let buckets = Buckets::new(2, HOUR);
        assert!(buckets.take(&1).is_ok() && buckets.take(&1).is_ok());
        let wait = buckets.take(&1).expect_err("full");
        assert!(wait <= HOUR && wait > HOUR / 2, "{wait:?}");
        assert!(buckets.take(&2).is_ok(), "another key");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let buckets = Buckets::new(1, HOUR);
        for _ in 0..5 {
            assert!(buckets.take(&1).is_ok());
            buckets.give_back(&1);
        }
        assert_eq!(buckets.level(&1), 0);
    }

    #[test]
    fn a_bucket_that_overflows_is_full_and_no_more() {
        let buckets = Buckets::new(3, HOUR);
        let levels: Vec<_> = (0..5).map(|_| buckets.pour(&1)).collect();
        assert_eq!(levels, [1, 2, 3, 3, 3]);
        assert_eq!(buckets.level(&1), 3);
    }
}
