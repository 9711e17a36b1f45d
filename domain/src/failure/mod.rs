//! What Meta answered, and what it means: from an error's code to a verdict.
//!
//! [`rows`] is the table; [`judge`] finds the row of an answer. Only the domain decides what an answer means; the client of
//! Meta's APIs just hands over the facts.

mod exchange;
mod rows;
mod verdict;

pub use exchange::{ExchangeFailure, exchange_failure};
pub use rows::{APP_TOKEN_REFUSED, ROWS, Row, Sign};
pub use verdict::{Certainty, Scope, Verdict};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Reason;

/// Which call met an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Fetching an account's posts.
    Pull,
    /// Asking whether the token works.
    Check,
    /// Extending the session.
    Renew,
    /// Meta called us: the person removed the app.
    Deauthorization,
}

/// An error as Meta answered it. The message is only read here; it never goes into an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The HTTP status; `None` when there was no answer at all (a timeout, a broken connection).
    pub status: Option<u16>,
    /// `error.code`; `None` when the body was no error of Meta's.
    pub code: Option<i64>,
    /// `error.error_subcode`, in answers of `debug_token` `error.subcode`.
    pub subcode: Option<i64>,
    /// `error.is_transient`.
    pub transient: bool,
    /// The call used the app's own token, so the error may be about that one and not about the person's.
    pub by_app: bool,
    /// `error.message`.
    pub message: &'a str,
}

/// What supports a verdict: kept in the event, so that anybody can see later why a token was marked expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which call met it.
    pub call: Call,
    /// When.
    pub at: DateTime<Utc>,
    /// `error.code`.
    pub code: Option<i64>,
    /// `error.error_subcode`.
    pub subcode: Option<i64>,
    /// Meta's trace id (`fbtrace_id`), by which their support finds the call.
    pub trace: Option<String>,
    /// The permission that is missing, if it is that and known which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The name of the table's row by which the answer was judged ([`ROWS`]); absent in events of before the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// A token that expired by it won't work again ([`Row::may_return`], as it was when this was judged).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_good: bool,
    /// Whether Meta's answer leaves the reason open: it may be another one.
    #[serde(default, skip_serializing_if = "Certainty::is_certain")]
    pub certainty: Certainty,
}

impl Evidence {
    /// Evidence that is no more than that a call met it.
    pub const fn of(call: Call, at: DateTime<Utc>) -> Self {
        Self {
            call,
            at,
            code: None,
            subcode: None,
            trace: None,
            permission: None,
            row: None,
            for_good: false,
            certainty: Certainty::Certain,
        }
    }
}

/// Judges an error: the table's row for it.
pub fn judge(answer: &Answer<'_>) -> &'static Row {
    let message = answer.message.to_lowercase();
    // The last row matches everything.
    ROWS.iter().find(|row| row.matches(answer, &message)).unwrap_or(&ROWS[ROWS.len() - 1])
}

impl Row {
    /// `message`: the answer's, in lower case.
    fn matches(&self, answer: &Answer<'_>, message: &str) -> bool {
        let has_code = |code| self.codes.iter().any(|(from, to)| (*from..=*to).contains(&code));
        let is_marked = match self.sign {
            Sign::Any => answer.code.is_some(),
            Sign::TooManyRequests => answer.status == Some(429),
            Sign::AppToken => answer.by_app,
            Sign::Transient => {
                answer.code.is_none() || answer.transient || answer.status.is_some_and(|status| status >= 500)
            }
        };
        is_marked
            && (self.codes.is_empty() || answer.code.is_some_and(has_code))
            && (self.subcodes.is_empty() || answer.subcode.is_some_and(|subcode| self.subcodes.contains(&subcode)))
            && (self.words.is_empty() || self.words.iter().any(|words| message.contains(words)))
    }
}

impl Evidence {
    /// Whether a token that expired for this reason may be found to work again. `None`: time ended it, which another clock
    /// may see otherwise.
    pub fn may_return(evidence: Option<&Self>, reason: Reason) -> bool {
        let Some(evidence) = evidence else { return true };
        // Events of before the table have no row, and neither has what is no answer.
        let is_judged = evidence.row.is_some();
        let passes = !matches!(reason, Reason::AppRemoved | Reason::PasswordChanged | Reason::Lifetime);
        !evidence.for_good && evidence.call != Call::Deauthorization && (is_judged || passes)
    }
}

#[cfg(test)]
mod tests;
