//! The state of a token, and what it decides.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

use super::{Current, Grant, TokenCommand, TokenError, TokenEvent};
use crate::{AttemptId, Evidence, Reason, TokenId};

/// How far apart declined refreshes are noted in the journal, at least: people who aren't signed in cause them.
pub const DECLINES_EVERY: TimeDelta = TimeDelta::hours(24);

/// The token of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    generation: u32,
    phase: Phase,
    /// The attempts whose grants were taken, so that none is taken twice. One entry each few weeks.
    attempts: BTreeSet<AttemptId>,
    /// When a refresh was last declined, as far as that was noted.
    #[serde(default)]
    declined_at: Option<DateTime<Utc>>,
    /// The expired token may be found to work again.
    #[serde(default)]
    may_return: bool,
    /// When it last turned out that the token works after all.
    #[serde(default)]
    restored_at: Option<DateTime<Utc>>,
}

/// Whether there is a token, and whether it can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Never granted, or destroyed.
    #[default]
    Absent,
    Active(Current),
    Expired(Current, Reason),
}

impl Token {
    /// The token that can be used, if there is one.
    pub fn active(&self) -> Option<&Current> {
        match &self.phase {
            Phase::Active(current) => Some(current),
            _ => None,
        }
    }

    /// The current token, active or expired.
    pub fn current(&self) -> Option<&Current> {
        match &self.phase {
            Phase::Active(current) | Phase::Expired(current, _) => Some(current),
            Phase::Absent => None,
        }
    }

    /// When it last turned out that an expired token works after all, since a person last went through the login.
    pub fn restored_at(&self) -> Option<DateTime<Utc>> {
        self.restored_at
    }

    /// The expired token, if it may be found to work again.
    pub fn may_return(&self) -> Option<&Current> {
        match &self.phase {
            Phase::Expired(current, _) if self.may_return => Some(current),
            _ => None,
        }
    }

    /// Why the current token can't be used, if it can't.
    pub fn expired(&self) -> Option<Reason> {
        match self.phase {
            Phase::Expired(_, reason) => Some(reason),
            _ => None,
        }
    }

    /// How many grants there have been.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Decides on a command. No event and no error means: it is already so, or no longer matters.
    pub fn decide(&self, command: TokenCommand) -> Result<Vec<TokenEvent>, TokenError> {
        Ok(match command {
            TokenCommand::Accept { grant, instead_of } => self.accept(grant, instead_of)?,
            TokenCommand::DeclineRefresh { token, attempt, way, evidence } => {
                if self.active().is_none_or(|current| current.id != token) {
                    return Err(TokenError::Changed);
                }
                let noted = self.declined_at.is_some_and(|before| evidence.at - before < DECLINES_EVERY);
                if noted { vec![] } else { vec![TokenEvent::RefreshDeclined { token, attempt, way, evidence }] }
            }
            TokenCommand::RecordRenewal { previous, token, expires_at, at } => match self.active() {
                Some(current) if current.id == previous => {
                    if expires_at.is_some_and(|end| end <= at) {
                        return Err(TokenError::RenewalRanOut);
                    }
                    vec![TokenEvent::Renewed { previous, token, expires_at }]
                }
                _ => vec![],
            },
            TokenCommand::ReportFailure { token, reason, evidence } => match self.active() {
                Some(current) if current.id == token => {
                    vec![TokenEvent::Expired { token, reason, evidence: Some(evidence) }]
                }
                // It might have come back, and won't now.
                None if self.may_return().is_some_and(|current| current.id == token)
                    && !Evidence::may_return(Some(&evidence), reason) =>
                {
                    vec![TokenEvent::Expired { token, reason, evidence: Some(evidence) }]
                }
                _ => vec![],
            },
            TokenCommand::RecordDeadlines { token, session_ends, data_access, evidence } => match self.active() {
                Some(current) if current.id == token => {
                    current.told(session_ends, data_access, evidence).into_iter().collect()
                }
                _ => vec![],
            },
            TokenCommand::Restore { previous, token, expires_at, data_access, evidence } => match self.may_return() {
                Some(current) if current.id == previous => {
                    let works = Current { expires_at, data_access, ..*current }.ran_out(evidence.at).is_none();
                    let restored = TokenEvent::Restored { previous, token, expires_at, data_access, evidence };
                    works.then_some(restored).into_iter().collect()
                }
                _ => vec![],
            },
            TokenCommand::RecordReadingRefused { token, evidence } => self
                .active()
                .filter(|current| current.id == token && current.reading_refused_at.is_none())
                .map(|_| TokenEvent::ReadingRefused { token, evidence })
                .into_iter()
                .collect(),
            TokenCommand::RecordReading { token, evidence } => self
                .active()
                .filter(|current| current.id == token && current.reading_refused_at.is_some())
                .map(|_| TokenEvent::ReadingResumed { token, evidence })
                .into_iter()
                .collect(),
            TokenCommand::RecordRenewalFailing { token, since, evidence } => self
                .active()
                .filter(|current| current.id == token && current.renewal_failing_since.is_none())
                .map(|_| TokenEvent::RenewalFailing { token, since, evidence })
                .into_iter()
                .collect(),
            TokenCommand::Expire { at } => self
                .active()
                .and_then(|current| Some((current.id, current.ran_out(at)?)))
                .map(|(token, reason)| TokenEvent::Expired { token, reason, evidence: None })
                .into_iter()
                .collect(),
            TokenCommand::Revoke(cause) => {
                self.current().map(|current| TokenEvent::Revoked { token: current.id, cause }).into_iter().collect()
            }
        })
    }

    fn accept(&self, grant: Grant, instead_of: Option<TokenId>) -> Result<Vec<TokenEvent>, TokenError> {
        if self.attempts.contains(&grant.attempt) {
            return Ok(vec![]);
        }
        if self.current().map(|current| current.id) != instead_of {
            return Err(TokenError::Changed);
        }
        if Current::of(&grant).ran_out(grant.granted_at).is_some() {
            return Err(TokenError::GrantRanOut);
        }
        let generation = self.generation + 1;
        Ok(vec![match self.phase {
            Phase::Absent => TokenEvent::Issued { generation, grant },
            Phase::Active(_) | Phase::Expired(..) => TokenEvent::Refreshed { generation, grant },
        }])
    }
}

impl Aggregate for Token {
    const TYPE: &'static str = "token";
    type Command = TokenCommand;
    type Event = TokenEvent;
    type Error = TokenError;
    type Services = ();

    async fn handle(&mut self, command: TokenCommand, (): &(), sink: &EventSink<Self>) -> Result<(), TokenError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: TokenEvent) {
        match event {
            TokenEvent::Issued { generation, grant } | TokenEvent::Refreshed { generation, grant } => {
                self.generation = generation;
                self.attempts.insert(grant.attempt);
                self.restored_at = None;
                self.phase = Phase::Active(Current::of(&grant));
            }
            TokenEvent::Renewed { token, expires_at, .. } => {
                if let Phase::Active(current) = &mut self.phase {
                    current.id = token;
                    current.expires_at = expires_at;
                    current.renewal_failing_since = None;
                }
            }
            TokenEvent::DeadlinesMoved { expires_at, data_access, .. } => {
                if let Phase::Active(current) = &mut self.phase {
                    (current.expires_at, current.data_access) = (expires_at, data_access);
                }
            }
            TokenEvent::DataAccessMoved { data_access, .. } => {
                if let Phase::Active(current) = &mut self.phase {
                    current.data_access = data_access;
                }
            }
            TokenEvent::RefreshDeclined { evidence, .. } => self.declined_at = Some(evidence.at),
            TokenEvent::Restored { token, expires_at, data_access, evidence, .. } => {
                self.restored_at = Some(evidence.at);
                if let Phase::Expired(current, _) = self.phase {
                    let (reading_refused_at, renewal_failing_since) = (None, None);
                    self.phase = Phase::Active(Current {
                        id: token,
                        expires_at,
                        data_access,
                        reading_refused_at,
                        renewal_failing_since,
                        ..current
                    });
                }
            }
            TokenEvent::ReadingRefused { evidence, .. } => {
                if let Phase::Active(current) = &mut self.phase {
                    current.reading_refused_at = Some(evidence.at);
                }
            }
            TokenEvent::ReadingResumed { .. } => {
                if let Phase::Active(current) = &mut self.phase {
                    current.reading_refused_at = None;
                }
            }
            TokenEvent::RenewalFailing { since, .. } => {
                if let Phase::Active(current) = &mut self.phase {
                    current.renewal_failing_since = Some(since);
                }
            }
            TokenEvent::Expired { reason, evidence, .. } => {
                if let Phase::Active(current) | Phase::Expired(current, _) = self.phase {
                    self.phase = Phase::Expired(current, reason);
                    self.may_return = Evidence::may_return(evidence.as_ref(), reason);
                }
            }
            TokenEvent::Revoked { .. } => self.phase = Phase::Absent,
        }
    }
}
