//! What an account's owner should have been told, by its events alone.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{TokenEvent, token::Way};
use engine::Recorded;
use store::Event;

use crate::life::PIECE;

/// Days before the end of data access on which people are reminded: the default.
const REMINDERS: [i64; 3] = [14, 7, 1];

/// How many mails of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) expired: usize,
    pub(crate) recovered: usize,
    pub(crate) by_visitor: usize,
    pub(crate) reminded: usize,
}

impl Told {
    /// What follows from an account's events until now; and by how much reminders may differ: those whose moment fell into
    /// the same piece of time as the token's end, whichever came first.
    pub(crate) fn of(journal: &[Recorded], now: DateTime<Utc>) -> (Self, usize) {
        let (mut told, mut doubtful) = (Self::default(), 0);
        let mut ends: Option<DateTime<Utc>> = None;
        let mut since = DateTime::<Utc>::MIN_UTC;
        let mut reminders =
            |told: &mut Self, ends: Option<DateTime<Utc>>, since: DateTime<Utc>, until: DateTime<Utc>| {
                for due in REMINDERS.into_iter().filter_map(|days| Some(ends? - TimeDelta::days(days))) {
                    let is_near = |at: DateTime<Utc>| (due - at).abs() <= PIECE * 2;
                    if due > since {
                        told.reminded += usize::from(due <= until);
                        doubtful += usize::from(is_near(until));
                    }
                }
            };
        for recorded in journal {
            let Event::Token(event) = recorded.event().expect("readable") else { continue };
            match event {
                TokenEvent::Issued { grant, .. } => {
                    (ends, since) = (grant.data_access.map(|end| end.ends_at), recorded.at);
                }
                TokenEvent::Refreshed { grant, .. } => {
                    if ends.is_none() {
                        told.recovered += 1;
                    } else {
                        reminders(&mut told, ends, since, recorded.at);
                        told.by_visitor += usize::from(matches!(grant.way, Way::TokenPage | Way::Link));
                    }
                    (ends, since) = (grant.data_access.map(|end| end.ends_at), recorded.at);
                }
                TokenEvent::DeadlinesMoved { data_access, .. } => {
                    reminders(&mut told, ends, since, recorded.at);
                    (ends, since) = (data_access.map(|end| end.ends_at), recorded.at);
                }
                TokenEvent::Expired { .. } => {
                    told.expired += 1;
                    reminders(&mut told, ends, since, recorded.at);
                    ends = None;
                }
                TokenEvent::Restored { data_access, .. } => {
                    told.recovered += 1;
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
        reminders(&mut told, ends, since, now);
        (told, doubtful)
    }
}
