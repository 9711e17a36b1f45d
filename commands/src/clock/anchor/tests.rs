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
    assert_eq!(Doubt::Stepped(-TimeDelta::minutes(5)).to_string(), "this machine's clock was set back by 5 minutes");
    assert_eq!(
        Doubt::Contradicted(Witness::Meta, -TimeDelta::hours(3)).to_string(),
        "this machine's clock is 3 hours behind Meta's"
    );
}
