//! The only source of time. The demo's can be moved forward.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::watch;

/// The program's clock. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead: watch::Sender<TimeDelta>,
}

impl Clock {
    /// The time now, cut to microseconds as both engines keep it.
    #[expect(clippy::disallowed_methods, reason = "this is the only source of time")]
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + *self.ahead.borrow()).trunc_subsecs(6)
    }

    /// The machine's time, also where this clock was moved: for those who live by another.
    #[expect(clippy::disallowed_methods, reason = "this is the only source of time")]
    pub fn of_the_world(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    /// Moves it forward.
    pub fn forward(&self, by: TimeDelta) {
        self.ahead.send_modify(|ahead| *ahead += by.max(TimeDelta::zero()));
    }

    /// Tells whenever it was moved: what waits for a time must look again.
    pub fn moved(&self) -> watch::Receiver<TimeDelta> {
        self.ahead.subscribe()
    }
}
