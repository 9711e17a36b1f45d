//! A token's two clocks in words, and what Relight is trying meanwhile.

use askama::filters::{Html, escape};
use chrono::{DateTime, Utc};
use domain::token::Clock;
use engine::jobs::Waiting;
use projections::{
    accounts::{Account, Status},
    jobs::{self, Try},
};

use crate::{app::App, error::Error, words::Moment};

/// An instant as HTML.
pub fn moment(at: Option<DateTime<Utc>>, now: DateTime<Utc>, otherwise: &str) -> String {
    at.map_or_else(|| otherwise.to_owned(), |at| Moment { at, now }.to_string())
}

/// When the session ends.
pub fn expires(account: &Account, now: DateTime<Utc>) -> String {
    match account.status {
        Status::Disconnected => "no token".to_owned(),
        _ => moment(account.expires_at, now, "no end"),
    }
}

/// When data access ends.
pub fn data_access(account: &Account, now: DateTime<Utc>) -> String {
    let end = moment(account.data_access_expires_at, now, "no end known");
    if account.data_access_estimated { format!("{end} (our estimate: Meta tells no date)") } else { end }
}

/// Which clock decides, and who can restart it.
pub fn ends_first(account: &Account, now: DateTime<Utc>) -> &'static str {
    if account.may_return {
        return "It has ended. A login helps, unless Meta lets it work again by itself.";
    }
    if account.status != Status::Active {
        return "A person is needed: only a login helps now.";
    }
    match Clock::first(account.expires_at, account.data_access_expires_at) {
        None => "Nothing ends by itself.",
        Some(Clock::Session) if account.renewal_failing_since.is_some() => {
            "The session, which Meta does not let us extend: somebody with the login must refresh the token before it ends."
        }
        Some(Clock::Session) => "The session, which we extend in time: nobody need do anything.",
        Some(Clock::DataAccess) if account.data_access_expires_at.is_some_and(|end| end <= now) => {
            "Data access, which has ended by our estimate: somebody with the login should refresh the token now."
        }
        Some(Clock::DataAccess) if account.data_access_estimated => {
            "Data access, by our estimate: then somebody with the login should refresh the token."
        }
        Some(Clock::DataAccess) => "Data access: before then, somebody with the login must refresh the token.",
    }
}

/// What is done in the background, in words; `None`: nothing that can fail.
fn doing(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "pull" => "Fetching the posts",
        "check" => "Asking Meta about the token",
        "renew" => "Extending the session",
        _ => return None,
    })
}

/// Why a try failed, as HTML. What comes after the colon are Meta's words, which are for staff.
fn told(problem: &str, is_staff: bool) -> String {
    let shown = if is_staff { problem } else { problem.split(':').next().unwrap_or_default() };
    escape(shown, Html).map_or_else(|_| String::new(), |shown| shown.to_string())
}

/// The tries that failed lately, a line each, newest first.
///
/// # Errors
/// When the database fails.
pub async fn failed_tries(
    app: &App,
    (account, is_staff): (&Account, bool),
    now: DateTime<Utc>,
) -> Result<Vec<String>, Error> {
    let line = |failed: Try| {
        let (what, at) = (doing(&failed.kind)?, Moment { at: failed.at, now });
        Some(format!("{what}, {at}: {}", told(&failed.problem, is_staff)))
    };
    Ok(jobs::tries(app.database(), account.id).await?.into_iter().filter_map(line).collect())
}

/// What failed and is tried again, a line each.
///
/// # Errors
/// When the database fails.
pub async fn tries(app: &App, (account, is_staff): (&Account, bool), now: DateTime<Utc>) -> Result<Vec<String>, Error> {
    let line = |waiting: Waiting| {
        let (what, due) = (doing(&waiting.kind)?, waiting.due_at?);
        let times = match waiting.attempts {
            0 => return None,
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let why = told(&waiting.last_error.unwrap_or_default(), is_staff);
        Some(format!("{what} failed {times}: {why}. It is tried again {}.", Moment { at: due, now }))
    };
    let waiting = jobs::waiting_for(app.database(), account.id, 20).await?;
    Ok(waiting.into_iter().filter_map(line).collect())
}
