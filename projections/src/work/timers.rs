//! What is due by the clocks of an account's token, or because of what happened to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    DataAccess, Evidence, TokenEvent,
    schedule::{self, GATHER, Schedule, TELL_OF_READING, next_recheck},
    token::{Grant, runs_out_at},
};
use engine::{
    StoreError, Target, Tx,
    jobs::{self, Priority, Scheduled},
};

use crate::{Entry, account, jobs::Kind};

/// Since when a token works, and when its session and data access end.
type Begins = (DateTime<Utc>, Option<DateTime<Utc>>, Option<DataAccess>);

fn of(grant: &Grant) -> Begins {
    (grant.granted_at, grant.expires_at, grant.data_access)
}

/// What a batch changes about what is due by the clocks of an account's token.
#[derive(Default)]
pub(super) struct Timers {
    /// The token that they were for is gone, or another one took its place.
    gone: bool,
    /// When each is due now, and by which event.
    set: BTreeMap<Kind, (DateTime<Utc>, i64)>,
}

impl Timers {
    pub(super) fn apply(&mut self, entry: &Entry, event: &TokenEvent, schedule: &Schedule) {
        match event {
            // The first token, or the first after one that was destroyed with its jobs: there is nothing to cancel.
            TokenEvent::Issued { grant, .. } => self.schedule(entry, of(grant), schedule),
            TokenEvent::Refreshed { grant, .. } => {
                self.begin(entry, of(grant), schedule);
                self.set(Kind::Notify, Some(entry.at + GATHER), entry);
            }
            // When it expires is seen when it would have: who looks then knows both clocks.
            TokenEvent::Renewed { expires_at, .. } => {
                let Ok(account) = account(&entry.aggregate_id) else { return };
                self.set(Kind::Renew, schedule.renewal(account, entry.at, *expires_at), entry);
            }
            TokenEvent::DeadlinesMoved { expires_at, data_access, .. } => {
                let Ok(account) = account(&entry.aggregate_id) else { return };
                self.set(Kind::Expire, runs_out_at(*expires_at, *data_access), entry);
                self.set(Kind::Renew, schedule.renewal_of_older(account, entry.at, *expires_at), entry);
                self.set(Kind::Remind, Some(entry.at), entry);
            }
            // The renewal stays as it is. Expiry and reminder are due now: their workers read both deadlines and schedule the
            // next time.
            TokenEvent::DataAccessMoved { .. } => {
                self.set(Kind::Expire, Some(entry.at), entry);
                self.set(Kind::Remind, Some(entry.at), entry);
            }
            TokenEvent::Restored { expires_at, data_access, .. } => {
                self.begin(entry, (entry.at, *expires_at, *data_access), schedule);
                let Ok(account) = account(&entry.aggregate_id) else { return };
                self.set(Kind::Renew, schedule.renewal_of_older(account, entry.at, *expires_at), entry);
                self.set(Kind::Notify, Some(entry.at + GATHER), entry);
            }
            TokenEvent::ReadingRefused { .. } => self.set(Kind::Notify, Some(entry.at + TELL_OF_READING), entry),
            TokenEvent::ReadingResumed { .. } | TokenEvent::RefreshDeclined { .. } => {}
            // Who reminds knows both clocks.
            TokenEvent::RenewalFailing { .. } => self.set(Kind::Remind, Some(entry.at), entry),
            TokenEvent::Expired { reason, evidence, .. } => {
                self.end();
                self.set(Kind::Notify, Some(entry.at + GATHER), entry);
                if Evidence::may_return(evidence.as_ref(), *reason)
                    && let Ok(account) = account(&entry.aggregate_id)
                {
                    self.set(Kind::Check, next_recheck(account, entry.at, None, entry.at), entry);
                }
            }
            TokenEvent::Revoked { .. } => self.end(),
        }
    }

    /// `begins`: since when the token works, and when its session and data access end.
    fn begin(&mut self, entry: &Entry, begins: Begins, schedule: &Schedule) {
        self.end();
        self.schedule(entry, begins, schedule);
    }

    fn schedule(&mut self, entry: &Entry, begins: Begins, schedule: &Schedule) {
        let (since, expires_at, data_access) = begins;
        let Ok(account) = account(&entry.aggregate_id) else { return };
        self.set(Kind::Expire, runs_out_at(expires_at, data_access), entry);
        self.set(Kind::Renew, schedule.renewal(account, since, expires_at), entry);
        self.set(Kind::Check, Some(schedule::next_check(account, since)), entry);
        let reminder = data_access.and_then(|end| schedule.next_reminder(end.ends_at, since));
        self.set(Kind::Remind, reminder, entry);
    }

    fn end(&mut self) {
        self.gone = true;
        self.set.clear();
    }

    fn set(&mut self, kind: Kind, due_at: Option<DateTime<Utc>>, entry: &Entry) {
        if let Some(due_at) = due_at {
            self.set.insert(kind, (due_at, entry.position));
        }
    }
}

/// Writes each job that changed, once.
pub(super) async fn save(tx: &mut Tx, target: Target, timers: &BTreeMap<String, Timers>) -> Result<(), StoreError> {
    let gone = timers.iter().filter(|(_, timers)| timers.gone).map(|(key, _)| key.as_str());
    jobs::cancel(tx, target, Kind::OF_TOKENS, gone).await?;
    let schedule = |key, kind: Kind, (due_at, cause)| Scheduled {
        queue: kind.queue(),
        kind: kind.name(),
        key,
        priority: Priority::Normal,
        due_at: Some(due_at),
        cause,
    };
    let set: Vec<_> = timers
        .iter()
        .flat_map(|(key, timers)| timers.set.iter().map(move |(kind, due)| schedule(key, *kind, *due)))
        .collect();
    Ok(jobs::set(tx, target, &set).await?)
}
