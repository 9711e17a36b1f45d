//! How the program's time hangs on the machine's two clocks: the one that is set, and the one that only runs.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::Source;

/// How far two clocks may be apart that tell the same time.
const APART: TimeDelta = TimeDelta::minutes(2);
/// So long after the last event a start can't tell a rest from a wrong clock: each account is asked about once a day.
const QUIET: TimeDelta = TimeDelta::hours(26);

/// For so long what Meta has confirmed stands against the database.
const OUTRANKS: TimeDelta = TimeDelta::hours(1);

/// Who tells the time besides the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// The database server. It may run on this machine, and live by the same clock: it counts once it has told another time.
    Database,
    /// The `Date` of Meta's answers.
    Meta,
}

/// Why the time can't be trusted. Lengths are those by which the one clock is ahead of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The machine's clock was set, by so much.
    Stepped(TimeDelta),
    /// At the start the journal's last event was of a later time, by so much.
    BeforeTheLastEvent(TimeDelta),
    /// At the start the journal's last event was so long ago that the clock may be ahead.
    LongAfterTheLastEvent(TimeDelta),
    /// A witness tells another time: so much is the program ahead of it.
    Contradicted(Witness, TimeDelta),
}

impl Doubt {
    /// Whether the program's own time may be wrong. After a step it goes on as before.
    pub const fn is_about_now(self) -> bool {
        !matches!(self, Self::Stepped(_))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stepped(by) => write!(f, "this machine's clock was set {}", Shift(*by)),
            Self::BeforeTheLastEvent(by) => {
                write!(f, "this machine's clock is {} behind the last event", Length(*by))
            }
            Self::LongAfterTheLastEvent(by) => {
                write!(f, "the last event is {} old, and nobody has confirmed this machine's clock yet", Length(*by))
            }
            Self::Contradicted(witness, by) => {
                let witness = match witness {
                    Witness::Database => "the database server's",
                    Witness::Meta => "Meta's",
                };
                let side = if *by < TimeDelta::zero() { "behind" } else { "ahead of" };
                write!(f, "this machine's clock is {} {side} {witness}", Length(*by))
            }
        }
    }
}

/// How the program's time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the machine's, and can be trusted.
    Trusted,
    /// It can be trusted, and the machine's clock is wrong: so much ahead of it.
    ApartFromTheMachine(TimeDelta),
    /// It can't be trusted.
    Doubted(Doubt),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trusted => f.write_str("the time is confirmed"),
            Self::ApartFromTheMachine(by) => {
                let side = if *by < TimeDelta::zero() { "behind" } else { "ahead" };
                write!(
                    f,
                    "this machine's clock is {} {side}; the program goes by its own, which is confirmed",
                    Length(*by)
                )
            }
            Self::Doubted(doubt) => {
                write!(f, "{doubt}; nothing is done by the clock alone until the time is confirmed")
            }
        }
    }
}

/// A length of time as people say it.
struct Length(TimeDelta);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = |unit: TimeDelta| (self.0.abs() + unit / 2).num_seconds() / unit.num_seconds();
        let [minutes, hours, days] = [TimeDelta::minutes(1), TimeDelta::hours(1), TimeDelta::days(1)].map(rounded);
        match (days, hours) {
            (2.., _) => write!(f, "{days} days"),
            (_, 2..) => write!(f, "{hours} hours"),
            _ => write!(f, "{minutes} minutes"),
        }
    }
}

/// How a clock was set.
struct Shift(TimeDelta);

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 < TimeDelta::zero() { "back" } else { "forward" };
        write!(f, "{side} by {}", Length(self.0))
    }
}

/// What both of the machine's clocks say at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    set: DateTime<Utc>,
    up: TimeDelta,
}

impl Reading {
    pub(super) fn of(source: &dyn Source) -> Self {
        Self { up: source.up(), set: source.set_by_people() }
    }
}

/// Where the clock that only runs was when it was what time.
#[derive(Debug)]
pub(super) struct Anchor {
    /// The time when the machine started, by the clock that the program goes by.
    started: DateTime<Utc>,
    /// The same by a machine's clock of which a witness said that it is wrong, and the program right.
    refuted: Option<DateTime<Utc>>,
    doubt: Option<Doubt>,
    /// The database's clock is not the machine's: it has told another time.
    is_apart: bool,
    /// What Meta told last, if it was a time of its own: the time when the machine started.
    told: Option<DateTime<Utc>>,
    /// When Meta last told the program's time, as the machine runs.
    confirmed: Option<TimeDelta>,
}

/// Whether two clocks tell the same time.
pub fn is_near(one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
    (one - other).abs() <= APART
}

impl Anchor {
    pub(super) fn at(Reading { set, up }: Reading) -> Self {
        Self { started: set - up, refuted: None, doubt: None, is_apart: false, told: None, confirmed: None }
    }

    /// The time: the machine's, unless that was set since it was last known to be right.
    pub(super) fn time(&self, reading: Reading) -> DateTime<Utc> {
        if self.has_stepped(reading) { self.started + reading.up } else { reading.set }
    }

    fn has_stepped(&self, Reading { set, up }: Reading) -> bool {
        !is_near(set, self.started + up)
    }

    pub(super) fn standing(&self, reading @ Reading { set, up }: Reading) -> Standing {
        let apart = set - (self.started + up);
        match self.doubt {
            Some(doubt) => Standing::Doubted(doubt),
            None if !self.has_stepped(reading) => Standing::Trusted,
            None if self.refuted.is_some_and(|started| is_near(started, set - up)) => {
                Standing::ApartFromTheMachine(apart)
            }
            None => Standing::Doubted(Doubt::Stepped(apart)),
        }
    }

    /// `now`: on the clock by which events are dated.
    pub(super) fn begin_after(&mut self, last: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        self.doubt = last.and_then(|last| match now - last {
            since if since < -APART => Some(Doubt::BeforeTheLastEvent(-since)),
            since if since > QUIET => Some(Doubt::LongAfterTheLastEvent(since)),
            _ => None,
        });
    }

    /// A witness that tells the program's time ends all doubt; one that tells the machine's, which was set, is followed. Meta,
    /// when it tells a third time twice, is followed as well; the database is not heard against Meta.
    pub(super) fn hear(&mut self, reading @ Reading { set, up }: Reading, witness: Witness, told: DateTime<Utc>) {
        if witness == Witness::Database {
            self.is_apart |= !is_near(told, set);
            if !self.is_apart {
                return;
            }
        }
        let time = self.time(reading);
        let is_of_meta = witness == Witness::Meta;
        if is_near(told, time) {
            (self.doubt, self.told) = (None, None);
            if is_of_meta {
                self.confirmed = Some(up);
            }
            if self.has_stepped(reading) {
                self.refuted = Some(set - up);
            } else {
                self.started = set - up;
            }
        } else if is_near(told, set) {
            *self = Self { is_apart: self.is_apart, confirmed: is_of_meta.then_some(up), ..Self::at(reading) };
        } else if is_of_meta && self.told.is_some_and(|before| is_near(before, told - up)) {
            let (started, confirmed) = (told - up, Some(up));
            *self = Self { started, confirmed, refuted: Some(set - up), is_apart: self.is_apart, ..Self::at(reading) };
        } else if is_of_meta || self.confirmed.is_none_or(|confirmed| up - confirmed > OUTRANKS) {
            self.told = is_of_meta.then_some(told - up);
            self.doubt = Some(Doubt::Contradicted(witness, time - told));
        }
    }
}

#[cfg(test)]
mod tests;
