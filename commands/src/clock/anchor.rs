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
mod tests {
    use super::*;

    const DAYS_AHEAD: TimeDelta = TimeDelta::days(100);

    impl Anchor {
        fn doubt(&self, reading: Reading) -> Option<Doubt> {
            match self.standing(reading) {
                Standing::Doubted(doubt) => Some(doubt),
                _ => None,
            }
        }
    }

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
    }

    /// After the machine has run for some seconds with its clock set by so much.
    fn after(seconds: i64, set_by: TimeDelta) -> Reading {
        let up = TimeDelta::seconds(seconds);
        Reading { set: start() + up + set_by, up: TimeDelta::hours(5) + up }
    }

    fn right(seconds: i64) -> DateTime<Utc> {
        start() + TimeDelta::seconds(seconds)
    }

    fn begun() -> Anchor {
        Anchor::at(after(0, TimeDelta::zero()))
    }

    #[test]
    fn a_step_moves_nothing_and_is_doubted_until_it_is_taken_back() {
        let anchor = begun();
        assert_eq!(anchor.doubt(after(10, TimeDelta::zero())), None);
        assert_eq!(anchor.time(after(13, DAYS_AHEAD)), right(13));
        assert_eq!(anchor.doubt(after(13, DAYS_AHEAD)), Some(Doubt::Stepped(DAYS_AHEAD)));
        assert_eq!(anchor.time(after(16, -DAYS_AHEAD)), right(16));
        assert_eq!(anchor.doubt(after(16, TimeDelta::zero())), None);
    }

    #[test]
    fn small_corrections_are_followed() {
        let anchor = begun();
        let corrected = after(10, TimeDelta::seconds(90));
        assert_eq!(anchor.time(corrected), corrected.set);
        assert_eq!(anchor.doubt(corrected), None);
    }

    #[test]
    fn many_small_corrections_are_one_step_unless_a_witness_confirms_each() {
        let (unheard, mut heard) = (begun(), begun());
        for minute in 1..=5 {
            let reading = after(60 * minute, TimeDelta::minutes(minute));
            heard.hear(reading, Witness::Meta, reading.set);
            assert_eq!(heard.doubt(reading), None);
            assert_eq!(unheard.doubt(reading).is_some(), minute > 2);
        }
    }

    #[test]
    fn meta_confirms_who_is_right() {
        let stepped = |seconds| after(seconds, DAYS_AHEAD);
        // The step was wrong: the program goes on by its own time, and that can be trusted.
        let mut anchor = begun();
        anchor.hear(stepped(10), Witness::Meta, right(10));
        let apart = Standing::ApartFromTheMachine(DAYS_AHEAD);
        assert_eq!((anchor.time(stepped(20)), anchor.standing(stepped(20))), (right(20), apart));
        // Another one is another matter.
        assert!(anchor.doubt(after(30, DAYS_AHEAD * 2)).is_some());
        // The step was right: it is followed.
        let mut anchor = begun();
        anchor.hear(stepped(10), Witness::Meta, right(10) + DAYS_AHEAD);
        assert_eq!((anchor.time(stepped(20)), anchor.doubt(stepped(20))), (right(20) + DAYS_AHEAD, None));
    }

    #[test]
    fn a_witness_that_tells_another_time_is_no_less_right_than_the_machine() {
        let mut anchor = begun();
        anchor.hear(after(10, TimeDelta::zero()), Witness::Meta, right(10) + DAYS_AHEAD);
        let ahead = -DAYS_AHEAD;
        assert_eq!(anchor.doubt(after(20, TimeDelta::zero())), Some(Doubt::Contradicted(Witness::Meta, ahead)));
        // The machine is corrected, and Meta confirms it.
        assert!(anchor.doubt(after(30, DAYS_AHEAD)).is_some());
        anchor.hear(after(40, DAYS_AHEAD), Witness::Meta, right(40) + DAYS_AHEAD);
        assert_eq!(anchor.doubt(after(50, DAYS_AHEAD)), None);
    }

    #[test]
    fn meta_is_followed_when_it_tells_another_time_twice() {
        // The machine was wrong from its start.
        let mut anchor = Anchor::at(after(0, DAYS_AHEAD));
        anchor.begin_after(Some(right(-60)), right(0) + DAYS_AHEAD);
        anchor.hear(after(1, DAYS_AHEAD), Witness::Meta, right(1));
        assert!(anchor.doubt(after(1, DAYS_AHEAD)).is_some());
        anchor.hear(after(2, DAYS_AHEAD), Witness::Meta, right(2));
        let standing = Standing::ApartFromTheMachine(DAYS_AHEAD);
        assert_eq!((anchor.time(after(3, DAYS_AHEAD)), anchor.standing(after(3, DAYS_AHEAD))), (right(3), standing));
        // Then somebody sets it.
        assert_eq!(anchor.standing(after(4, TimeDelta::zero())), Standing::Trusted);
    }

    #[test]
    fn the_database_is_not_heard_against_meta() {
        let (mut anchor, now) = (begun(), |seconds| after(seconds, TimeDelta::zero()));
        anchor.hear(now(10), Witness::Meta, right(10));
        anchor.hear(now(20), Witness::Database, right(20) + TimeDelta::minutes(3));
        assert_eq!(anchor.doubt(now(20)), None);
        anchor.hear(now(7_200), Witness::Database, right(7_200) + TimeDelta::minutes(3));
        assert!(anchor.doubt(now(7_200)).is_some());
    }

    #[test]
    fn a_database_that_goes_by_the_same_clock_is_no_witness() {
        let mut anchor = begun();
        anchor.hear(after(10, TimeDelta::zero()), Witness::Database, right(10));
        anchor.hear(after(20, DAYS_AHEAD), Witness::Database, right(20) + DAYS_AHEAD);
        assert_eq!(anchor.time(after(20, DAYS_AHEAD)), right(20));
        assert!(anchor.doubt(after(20, DAYS_AHEAD)).is_some());
    }

    #[test]
    fn a_database_that_did_not_step_with_the_machine_is_one() {
        let mut anchor = begun();
        anchor.hear(after(20, DAYS_AHEAD), Witness::Database, right(20));
        assert_eq!((anchor.time(after(30, DAYS_AHEAD)), anchor.doubt(after(30, DAYS_AHEAD))), (right(30), None));
        // Later it is a witness of corrections as well.
        anchor.hear(after(40, TimeDelta::hours(1)), Witness::Database, right(40) + TimeDelta::hours(1));
        assert_eq!(anchor.time(after(40, TimeDelta::hours(1))), right(40) + TimeDelta::hours(1));
    }

    #[test]
    fn a_start_is_measured_by_the_last_event() {
        let doubt = |last: Option<TimeDelta>| {
            let mut anchor = begun();
            anchor.begin_after(last.map(|ago| right(0) - ago), right(0));
            anchor.doubt(after(1, TimeDelta::zero()))
        };
        assert_eq!(doubt(None), None);
        assert_eq!(doubt(Some(TimeDelta::hours(26))), None);
        assert_eq!(doubt(Some(TimeDelta::hours(27))), Some(Doubt::LongAfterTheLastEvent(TimeDelta::hours(27))));
        assert_eq!(doubt(Some(-TimeDelta::minutes(2))), None);
        assert_eq!(doubt(Some(-DAYS_AHEAD)), Some(Doubt::BeforeTheLastEvent(DAYS_AHEAD)));
    }

    #[test]
    fn a_database_alone_confirms_no_start_and_meta_does() {
        let mut anchor = begun();
        anchor.begin_after(Some(right(0) - DAYS_AHEAD), right(0));
        anchor.hear(after(1, TimeDelta::zero()), Witness::Database, right(1));
        assert!(anchor.doubt(after(1, TimeDelta::zero())).is_some());
        anchor.hear(after(2, TimeDelta::zero()), Witness::Meta, right(2));
        assert_eq!(anchor.doubt(after(2, TimeDelta::zero())), None);
    }

    #[test]
    fn a_doubt_says_by_how_much() {
        assert_eq!(Doubt::Stepped(DAYS_AHEAD).to_string(), "this machine's clock was set forward by 100 days");
        assert_eq!(
            Doubt::Stepped(-TimeDelta::minutes(5)).to_string(),
            "this machine's clock was set back by 5 minutes"
        );
        assert_eq!(
            Doubt::Contradicted(Witness::Meta, -TimeDelta::hours(3)).to_string(),
            "this machine's clock is 3 hours behind Meta's"
        );
    }
}
