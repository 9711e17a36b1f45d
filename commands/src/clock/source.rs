//! What a clock goes by: the machine, or in tests whatever they say.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};

/// What a clock goes by.
pub trait Source: Debug + Send + Sync {
    /// The machine's clock, which people and programs set.
    fn set_by_people(&self) -> DateTime<Utc>;
    /// How long the machine has been up, asleep or awake. Nobody can set it.
    fn up(&self) -> TimeDelta;
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine;

impl Source for Machine {
    #[expect(clippy::disallowed_methods, reason = "this is the only source of time")]
    fn set_by_people(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn up(&self) -> TimeDelta {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const UP: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const UP: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let up = rustix::time::clock_gettime(UP);
        TimeDelta::seconds(up.tv_sec) + TimeDelta::nanoseconds(up.tv_nsec)
    }
}
