//! What an account's owner should have been told, by its events alone.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Connection, TokenEvent, token::Way};
use engine::Recorded;
use store::Event;

use crate::life::PIECE;

/// Days before the end of data access on which people are reminded: the default.
const REMINDERS: [i64; 3] = [14, 7, 1];

/// When an app had an incident.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incident {
    pub(crate) connection: Connection,
    pub(crate) opened_at: DateTime<Utc>,
    /// `None`: it is open.
    pub(crate) closed_at: Option<DateTime<Utc>>,
}

impl Incident {
    /// Whether a mail that became due at this time may have waited for its end.
    fn contains(&self, at: DateTime<Utc>) -> bool {
        self.opened_at - PIECE <= at && self.closed_at.is_none_or(|closed| at <= closed + PIECE * 2)
    }
}

/// What may have come otherwise, and is right too.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Doubtful {
    /// Reminders whose moment fell into the same piece of time as the token's end, whichever came first, or into an incident.
    pub(crate) reminders: usize,
    /// Tokens that had expired, and then expired for good: told with the first, or once more.
    pub(crate) again: usize,
    /// Tokens that died and were back by themselves before the next look or within an incident: either both is told or
    /// nothing.
    pub(crate) pairs: usize,
}

/// How many mails of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) expired: usize,
    pub(crate) recovered: usize,
    pub(crate) by_visitor: usize,
    pub(crate) reminded: usize,
}

/// The reminders that follow from an account's deadlines.
struct Reminders<'a> {
    /// How many days before the end each was for, and when.
    told: Vec<(i64, DateTime<Utc>)>,
    doubtful: usize,
    incidents: &'a [Incident],
}

impl Reminders<'_> {
    /// The same isn't told again within as many days.
    fn tell(&mut self, days: i64, at: DateTime<Utc>) {
        if !self.told.iter().any(|(of, before)| *of == days && at - *before < TimeDelta::days(days)) {
            self.told.push((days, at));
        }
    }

    /// Those that became due after `since`, until then.
    fn until(&mut self, ends: Option<DateTime<Utc>>, since: DateTime<Utc>, until: DateTime<Utc>) {
        for (days, due) in REMINDERS.into_iter().filter_map(|days| Some((days, ends? - TimeDelta::days(days)))) {
            if due <= since {
                continue;
            }
            let waits = self.incidents.iter().any(|incident| incident.contains(due));
            self.doubtful += usize::from((due - until).abs() <= PIECE * 2 || (due <= until && waits));
            if due <= until {
                self.tell(days, due);
            }
        }
    }

    /// The one that is due where a deadline has just moved.
    fn moved(&mut self, ends: Option<DateTime<Utc>>, at: DateTime<Utc>) {
        let Some(end) = ends.filter(|end| *end > at) else { return };
        if let Some(days) = REMINDERS.into_iter().filter(|days| end - TimeDelta::days(*days) <= at).min() {
            self.doubtful += usize::from(self.incidents.iter().any(|incident| incident.contains(at)));
            self.tell(days, at);
        }
    }
}

impl Told {
    /// What follows from an account's events until now, and from the incidents of its app, in which mails wait.
    pub(crate) fn of(journal: &[Recorded], now: DateTime<Utc>, incidents: &[Incident]) -> (Self, Doubtful) {
        let (mut told, mut doubtful) = (Self::default(), Doubtful::default());
        let mut reminders = Reminders { told: Vec::new(), doubtful: 0, incidents };
        let mut expired_at: Option<DateTime<Utc>> = None;
        let mut is_expired = false;
        let mut ends: Option<DateTime<Utc>> = None;
        let mut since = DateTime::<Utc>::MIN_UTC;
        for recorded in journal {
            let Event::Token(event) = recorded.event().expect("readable") else { continue };
            match event {
                TokenEvent::Issued { grant, .. } => {
                    is_expired = false;
                    (ends, since) = (grant.data_access.map(|end| end.ends_at), recorded.at);
                }
                TokenEvent::Refreshed { grant, .. } => {
                    is_expired = false;
                    if ends.is_none() {
                        told.recovered += 1;
                    } else {
                        reminders.until(ends, since, recorded.at);
                        told.by_visitor += usize::from(matches!(grant.way, Way::TokenPage | Way::Link));
                    }
                    (ends, since) = (grant.data_access.map(|end| end.ends_at), recorded.at);
                }
                TokenEvent::DeadlinesMoved { data_access, .. } | TokenEvent::DataAccessMoved { data_access, .. } => {
                    reminders.until(ends, since, recorded.at);
                    (ends, since) = (data_access.map(|end| end.ends_at), recorded.at);
                    reminders.moved(ends, recorded.at);
                }
                TokenEvent::Expired { .. } if is_expired => doubtful.again += 1,
                TokenEvent::Expired { .. } => {
                    is_expired = true;
                    (told.expired, expired_at) = (told.expired + 1, Some(recorded.at));
                    reminders.until(ends, since, recorded.at);
                    ends = None;
                }
                TokenEvent::Restored { data_access, .. } => {
                    is_expired = false;
                    told.recovered += 1;
                    // The mail waited, for an incident's end or the next look, and then there was nothing to tell.
                    doubtful.pairs += usize::from(expired_at.is_some_and(|at| {
                        let within = |incident: &Incident| incident.contains(at) && incident.contains(recorded.at);
                        recorded.at - at <= PIECE * 2 || incidents.iter().any(within)
                    }));
                    (ends, since) = (data_access.map(|end| end.ends_at), recorded.at);
                }
                TokenEvent::Renewed { .. }
                | TokenEvent::ReadingRefused { .. }
                | TokenEvent::ReadingResumed { .. }
                | TokenEvent::RenewalFailing { .. }
                | TokenEvent::RefreshDeclined { .. }
                | TokenEvent::Revoked { .. } => {}
            }
        }
        reminders.until(ends, since, now);
        told.reminded = reminders.told.len();
        doubtful.reminders = reminders.doubtful;
        (told, doubtful)
    }
}
