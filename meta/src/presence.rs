//! Whether Meta answers an app's calls at all, as the last of them know it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the last call says something about the next one.
const FRESH: Duration = Duration::from_mins(1);
/// So many calls in a row without an answer are more than bad luck.
const AWAY: u32 = 3;

/// Whether Meta answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// No call was made lately.
    Unknown,
    /// It answered lately.
    Answers,
    /// The last calls had no answer.
    Away,
}

/// What came of the last calls. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastCalls(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    answered: Option<Instant>,
    unanswered: Option<Instant>,
    /// How many in a row.
    in_vain: u32,
}

impl LastCalls {
    pub(crate) fn answered(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Last { answered: Some(Instant::now()), ..Last::default() };
    }

    pub(crate) fn unanswered(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.unanswered = Some(Instant::now());
        last.in_vain = last.in_vain.saturating_add(1);
    }

    pub(crate) fn presence(&self) -> Presence {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < FRESH);
        match (is_fresh(last.unanswered), is_fresh(last.answered)) {
            (true, _) if last.in_vain >= AWAY => Presence::Away,
            (_, true) => Presence::Answers,
            _ => Presence::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_calls_in_vain_say_that_meta_is_away_and_one_answer_that_it_is_not() {
        let last = LastCalls::default();
        assert_eq!(last.presence(), Presence::Unknown);
        last.answered();
        last.unanswered();
        assert_eq!(last.presence(), Presence::Answers);
        last.unanswered();
        last.unanswered();
        assert_eq!(last.presence(), Presence::Away);
        last.answered();
        assert_eq!(last.presence(), Presence::Answers);
    }
}
