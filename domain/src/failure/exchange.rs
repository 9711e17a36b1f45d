//! What Meta answers when a login's code is exchanged, and whom the person must be sent to.

use super::{Answer, Verdict, judge};

/// Why a code was not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeFailure {
    /// It is used, too old, or not Meta's: the login must begin anew.
    Code,
    /// The person has turned *activity off Meta technologies* off: no login works before that is changed.
    ActivityOff,
    /// The app may not be used by this person yet: it has no testers like this one, or has not passed App Review.
    NoAccess,
    /// The app's id, secret or redirect address is wrong: the operator's matter.
    App,
    /// Meta could not answer.
    Meta,
}

/// The rows: words of the message, in lower case, and what they mean. The first that matches counts. Source: answers in public
/// reports and in SDKs.
const ROWS: &[(&[&str], ExchangeFailure)] = &[
    (&["activity off meta technologies", "off-facebook activity"], ExchangeFailure::ActivityOff),
    (
        &[
            "developer role",
            "not a tester",
            "in development mode",
            "feature unavailable",
            "app not active",
            "unsupported request",
        ],
        ExchangeFailure::NoAccess,
    ),
    (
        &[
            "invalid application id",
            "invalid client",
            "client secret",
            "client_secret",
            "client_id",
            "invalid platform app",
            "validating application",
            "redirect uri",
            "redirect_uri",
            "access token signature",
        ],
        ExchangeFailure::App,
    ),
    (
        &["code was not found", "code has been used", "code has expired", "authorization code", "verification code"],
        ExchangeFailure::Code,
    ),
];

/// Why a code was not exchanged.
pub fn exchange_failure(answer: &Answer<'_>) -> ExchangeFailure {
    let message = answer.message.to_lowercase();
    let verdict = judge(answer).verdict;
    let says = |(words, _): &&(&[&str], ExchangeFailure)| words.iter().any(|words| message.contains(words));
    match ROWS.iter().find(says) {
        Some((_, failure)) => *failure,
        None if verdict.is_temporary() => ExchangeFailure::Meta,
        None if matches!(verdict, Verdict::AppRefused) => ExchangeFailure::App,
        None if matches!(verdict, Verdict::AppOrAccount(_)) => ExchangeFailure::NoAccess,
        None => ExchangeFailure::Code,
    }
}
