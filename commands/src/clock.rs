//! The only source of time. The demo's can be moved forward.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// The program's clock. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_us: Arc<AtomicI64>,
}

impl Clock {
    /// The time now, cut to microseconds as both engines keep it.
    #[expect(clippy::disallowed_methods, reason = "this is the only source of time")]
    pub fn now(&self) -> DateTime<Utc> {
        let now = Utc::now() + TimeDelta::microseconds(self.ahead_us.load(Ordering::Relaxed));
        now.trunc_subsecs(6)
    }

    /// Moves it forward.
    pub fn forward(&self, by: TimeDelta) {
        self.ahead_us.fetch_add(by.num_microseconds().unwrap_or(0).max(0), Ordering::Relaxed);
    }
}
