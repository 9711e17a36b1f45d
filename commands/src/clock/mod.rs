//! The only source of time, and whether it can be trusted. The demo's can be moved forward.
//!
//! A machine's clock is set by people and programs, and now and then to a wrong time. What follows from that must not end
//! tokens: the program's clock doesn't follow a step of the machine's before an independent witness has confirmed it.

mod anchor;
mod source;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::watch;

pub use anchor::{Doubt, Standing, Witness, is_near};
pub use source::Source;

use anchor::{Anchor, Reading};
use source::Machine;

/// The program's clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Arc<dyn Source>,
    anchor: Arc<Mutex<Anchor>>,
    ahead: watch::Sender<TimeDelta>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::of(Arc::new(Machine))
    }
}

impl Clock {
    /// A clock that goes by this source.
    pub fn of(source: Arc<dyn Source>) -> Self {
        let anchor = Arc::new(Mutex::new(Anchor::at(Reading::of(&*source))));
        Self { source, anchor, ahead: watch::Sender::default() }
    }

    /// The time now, cut to microseconds as both engines keep it.
    pub fn now(&self) -> DateTime<Utc> {
        (self.of_the_world() + *self.ahead.borrow()).trunc_subsecs(6)
    }

    /// The time, also where this clock was moved: for those who live by another.
    pub fn of_the_world(&self) -> DateTime<Utc> {
        self.with(|anchor, reading| anchor.time(reading)).trunc_subsecs(6)
    }

    /// For how long the machine has run, its sleep included: what measures a time that a sleep is part of.
    pub fn running(&self) -> TimeDelta {
        self.source.up()
    }

    /// Moves it forward.
    pub fn forward(&self, by: TimeDelta) {
        self.ahead.send_modify(|ahead| *ahead += by.max(TimeDelta::zero()));
    }

    /// Tells whenever it was moved: what waits for a time must look again.
    pub fn moved(&self) -> watch::Receiver<TimeDelta> {
        self.ahead.subscribe()
    }

    /// Whether it can be trusted.
    pub fn standing(&self) -> Standing {
        self.with(|anchor, reading| anchor.standing(reading))
    }

    /// Why it can't be trusted; `None`: it can.
    pub fn doubt(&self) -> Option<Doubt> {
        match self.standing() {
            Standing::Doubted(doubt) => Some(doubt),
            Standing::Trusted | Standing::ApartFromTheMachine(_) => None,
        }
    }

    /// Begins where the journal ends: at its last event's time, if it has one.
    pub fn begin_after(&self, last: Option<DateTime<Utc>>) {
        let now = self.now();
        self.with(|anchor, _| anchor.begin_after(last, now));
    }

    /// Hears what time it is from elsewhere.
    pub fn hear(&self, witness: Witness, time: DateTime<Utc>) {
        self.with(|anchor, reading| anchor.hear(reading, witness, time));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Anchor, Reading) -> T) -> T {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut anchor, Reading::of(&*self.source))
    }
}
