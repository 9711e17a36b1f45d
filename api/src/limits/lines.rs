//! Lines in the log about tries that failed: bounded, however many fail.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::sync::Cache;

use super::{Door, address::network, bucket::Buckets};

/// How many lines about failures are logged a minute, for the whole node.
const LINES: (u32, Duration) = (60, Duration::from_secs(1));
/// Prefixes whose lines are counted.
const LOGGED: u64 = 10_000;
/// How long after its last line a prefix that goes on gets the next one.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// Lines in the log, bounded: of a prefix the first, the tenth, the hundredth…, and one a minute while it goes on.
#[derive(Debug)]
pub(super) struct Lines {
    prefixes: Cache<(Door, IpAddr), Arc<Line>>,
    all: Buckets<()>,
    left_out: AtomicU64,
}

#[derive(Debug, Default)]
struct Line {
    count: AtomicU64,
    /// When the last one was written, and how many tries had failed by then.
    written: Mutex<Option<(Instant, u64)>>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            prefixes: Cache::builder().max_capacity(LOGGED).time_to_idle(LINE_EVERY * 10).build(),
            all: Buckets::new(LINES.0, LINES.1),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Lines {
    pub(super) fn write(&self, door: Door, from: IpAddr, what: &str) {
        let prefix = network(from);
        let line = self.prefixes.get_with((door, prefix), Arc::default);
        let count = line.count.fetch_add(1, Ordering::Relaxed) + 1;
        let Ok(mut written) = line.written.lock() else { return };
        let now = Instant::now();
        if !is_due(*written, now, count) {
            return;
        }
        // A line that is left out stays due.
        if self.all.take(&()).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        *written = Some((now, count));
        drop(written);
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        tracing::warn!(event = "door.failed", %door, %prefix, count, left_out, "a try {what}");
    }
}

/// Whether the so many-th failure is to be written now.
fn is_due(written: Option<(Instant, u64)>, now: Instant, count: u64) -> bool {
    written.is_none_or(|(at, last)| count.checked_ilog10() > last.checked_ilog10() || now - at >= LINE_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_due_at_powers_of_ten_and_each_minute() {
        let (begun, mut written, mut due) = (Instant::now(), None, Vec::new());
        for count in 1..=150_u32 {
            // A failure a second.
            let now = begun + Duration::from_secs(count.into());
            if is_due(written, now, count.into()) {
                written = Some((now, count.into()));
                due.push(count);
            }
        }
        assert_eq!(due, [1, 10, 70, 100]);
        assert!(is_due(None, begun, 7), "a first line that was left out stays due");
    }
}
