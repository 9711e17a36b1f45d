//! What Meta answered, and what it means: from an error's code to a verdict.
//!
//! The rows of [`judge`] follow Meta's "Handle errors" (Graph API) and "Error codes" (Instagram Platform); where they
//! are silent, public reports of what is really answered. Only the domain decides what an answer means; the client of
//! Meta's APIs just hands over the facts.

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
}

impl Evidence {
    /// Evidence that is no more than that a call met it.
    pub const fn of(call: Call, at: DateTime<Utc>) -> Self {
        Self { call, at, code: None, subcode: None, trace: None, permission: None }
    }
}

/// What an answer means for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The token can't be used, explicitly: expired at once.
    Expired(Reason),
    /// It may be the token or the app: held until it is known that the app works for others and a second check of
    /// this token fails too.
    Unclear(Reason),
    /// Not the token's matter and over soon: try again with backoff, change nothing.
    Passing,
    /// The whole app is throttled: all its calls pause.
    AppThrottled,
    /// This account's user is throttled: only this account waits.
    AccountThrottled,
    /// A limit of a business use case: wait as long as the header says.
    UseCaseThrottled,
    /// Meta blocks an action for longer: long backoff, and somebody should know.
    Blocked,
    /// The fault may be ours (a broken stored token, an error that nobody documented): somebody should know, nothing changes.
    Alarm,
    /// A bad request: somebody should know, and nothing changes until a check, the simplest of calls, meets it as well.
    BadRequest,
    /// About media or publishing: not a matter of the token.
    NotTheToken,
}

impl Verdict {
    /// Whether the answer says that the token is or may be dead.
    pub const fn against_the_token(self) -> Option<Reason> {
        match self {
            Self::Expired(reason) | Self::Unclear(reason) => Some(reason),
            _ => None,
        }
    }

    /// What it means when it was met by this call.
    #[must_use]
    pub const fn met_by(self, call: Call) -> Self {
        match (self, call) {
            (Self::BadRequest, Call::Check) => Self::Unclear(Reason::Unknown),
            _ => self,
        }
    }
}

/// Judges an error: the table of what each code means for a connection.
pub fn judge(answer: &Answer<'_>) -> Verdict {
    let Some(code) = answer.code else {
        // No answer, or one that isn't Meta's form: a proxy's page, a cut body. A 5xx or not, it is no word on a token.
        return Verdict::Passing;
    };
    if answer.transient || answer.status.is_some_and(|status| status >= 500) {
        // Whatever else it says: a token that is dead will be called so again.
        return Verdict::Passing;
    }
    if code == 190
        && let Some(verdict) = answer.subcode.and_then(of_subcode)
    {
        return verdict;
    }
    match (code, answer.subcode) {
        (190 | 102, _) => of_message(answer.message),
        (3 | 10 | 200..=299, _) => Verdict::Unclear(Reason::PermissionMissing),
        (1 | 2 | -1 | -2, _) => Verdict::Passing,
        (4, _) => Verdict::AppThrottled,
        (17 | 32, _) => Verdict::AccountThrottled,
        (613 | 80001 | 80002, _) => Verdict::UseCaseThrottled,
        (341 | 368, _) => Verdict::Blocked,
        (9004 | 9007 | 36000..=36999, _) | (24, Some(2_207_006)) => Verdict::NotTheToken,
        (100, _) => Verdict::BadRequest,
        // What nobody documented.
        _ => Verdict::Alarm,
    }
}

fn of_subcode(subcode: i64) -> Option<Verdict> {
    Some(Verdict::Expired(match subcode {
        458 => Reason::AppRemoved,
        459 => Reason::Checkpoint,
        460 => Reason::PasswordChanged,
        463 => Reason::Lifetime,
        464 => Reason::Unconfirmed,
        467 => Reason::Invalidated,
        492 => Reason::PageRoleLost,
        _ => return None,
    }))
}

/// 190 without a known subcode, and 102: only the message tells.
fn of_message(message: &str) -> Verdict {
    let message = message.to_ascii_lowercase();
    let says = |part: &str| message.contains(part);
    if says("cannot parse access token") || says("malformed") {
        Verdict::Alarm
    } else if says("changed their password or") {
        // "…or Facebook has changed the session for security reasons": either may be the cause.
        Verdict::Expired(Reason::Invalidated)
    } else if says("changed their password") || says("changed the password") {
        Verdict::Expired(Reason::PasswordChanged)
    } else if says("session has expired on") {
        Verdict::Expired(Reason::Lifetime)
    } else if says("not authorized application") {
        Verdict::Expired(Reason::AppRemoved)
    } else {
        Verdict::Unclear(Reason::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: i64, subcode: Option<i64>) -> Answer<'static> {
        Answer { status: Some(400), code: Some(code), subcode, transient: false, message: "" }
    }

    fn message(code: i64, message: &str) -> Verdict {
        judge(&Answer { message, ..answer(code, None) })
    }

    #[test]
    fn each_subcode_of_190_expires_with_its_reason() {
        for (subcode, reason) in [
            (460, Reason::PasswordChanged),
            (463, Reason::Lifetime),
            (458, Reason::AppRemoved),
            (459, Reason::Checkpoint),
            (464, Reason::Unconfirmed),
            (467, Reason::Invalidated),
            (492, Reason::PageRoleLost),
        ] {
            assert_eq!(judge(&answer(190, Some(subcode))), Verdict::Expired(reason), "190/{subcode}");
        }
    }

    #[test]
    fn a_190_or_102_without_a_known_subcode_is_read_from_its_message() {
        for code in [190, 102] {
            assert_eq!(
                message(code, "The user has changed their password."),
                Verdict::Expired(Reason::PasswordChanged)
            );
            assert_eq!(
                message(code, "Session has expired on Friday, 14-Nov-26 08:00:00 PST."),
                Verdict::Expired(Reason::Lifetime)
            );
            assert_eq!(
                message(code, "The user has not authorized application 1234."),
                Verdict::Expired(Reason::AppRemoved)
            );
            assert_eq!(message(code, "Invalid OAuth access token."), Verdict::Unclear(Reason::Unknown));
        }
        assert_eq!(judge(&answer(190, Some(999))), Verdict::Unclear(Reason::Unknown));
    }

    #[test]
    fn a_message_that_leaves_the_cause_open_is_told_as_open() {
        let text = "Error validating access token: The session has been invalidated because the user changed their \
                    password or Facebook has changed the session for security reasons.";
        assert_eq!(message(190, text), Verdict::Expired(Reason::Invalidated));
    }

    #[test]
    fn a_token_that_meta_cannot_parse_is_our_alarm_and_changes_nothing() {
        assert_eq!(message(190, "Cannot parse access token"), Verdict::Alarm);
        assert_eq!(message(190, "Malformed access token AQ"), Verdict::Alarm);
    }

    #[test]
    fn a_missing_permission_is_unclear_until_the_app_is_seen_to_work() {
        for code in [3, 10, 200, 250, 299] {
            assert_eq!(judge(&answer(code, None)), Verdict::Unclear(Reason::PermissionMissing), "{code}");
        }
    }

    #[test]
    fn passing_errors_never_touch_the_token() {
        for code in [1, 2, -1, -2] {
            assert_eq!(judge(&answer(code, None)), Verdict::Passing, "{code}");
        }
        assert_eq!(judge(&Answer { transient: true, ..answer(190, None) }), Verdict::Passing);
        assert_eq!(judge(&Answer { status: Some(503), ..answer(10, None) }), Verdict::Passing);
        assert_eq!(judge(&Answer { transient: true, ..answer(190, Some(460)) }), Verdict::Passing);
        assert_eq!(judge(&Answer { status: Some(500), ..answer(190, Some(463)) }), Verdict::Passing);
        let nothing = Answer { status: None, code: None, subcode: None, transient: false, message: "timed out" };
        assert_eq!(judge(&nothing), Verdict::Passing);
        assert_eq!(judge(&Answer { status: Some(502), ..nothing }), Verdict::Passing);
    }

    #[test]
    fn throttling_is_told_apart_by_whom_it_hits() {
        assert_eq!(judge(&answer(4, None)), Verdict::AppThrottled);
        for code in [17, 32] {
            assert_eq!(judge(&answer(code, None)), Verdict::AccountThrottled, "{code}");
        }
        for code in [613, 80001, 80002] {
            assert_eq!(judge(&answer(code, None)), Verdict::UseCaseThrottled, "{code}");
        }
        for code in [341, 368] {
            assert_eq!(judge(&answer(code, None)), Verdict::Blocked, "{code}");
        }
    }

    #[test]
    fn a_bad_request_changes_nothing_until_a_check_meets_it() {
        let verdict = judge(&answer(100, Some(33)));
        for call in [Call::Pull, Call::Renew] {
            assert_eq!(verdict.met_by(call).against_the_token(), None, "{call:?}");
        }
        assert_eq!(verdict.met_by(Call::Check), Verdict::Unclear(Reason::Unknown));
    }

    #[test]
    fn what_nobody_documented_alarms_and_changes_nothing() {
        assert_eq!(judge(&answer(424_242, None)), Verdict::Alarm);
        assert_eq!(judge(&answer(24, None)), Verdict::Alarm);
    }

    #[test]
    fn media_and_publishing_errors_are_not_the_tokens_matter() {
        for code in [9004, 9007, 36000, 36003] {
            assert_eq!(judge(&answer(code, None)), Verdict::NotTheToken, "{code}");
        }
        assert_eq!(judge(&answer(24, Some(2_207_006))), Verdict::NotTheToken);
    }
}
