//! What people were told about an account, and what came of it.

use chrono::{DateTime, Utc};
use commands::{
    Outcome,
    attempt::{Attempt, Phase},
    notices::Notice,
};
use projections::{accounts::Account, widgets};

use crate::{app::App, error::Error, sign_in::Users, words::Moment};

/// How many are shown.
const SHOWN: i64 = 20;

/// A notice as the page shows it.
pub(super) struct NoticeRow {
    pub(super) who: String,
    pub(super) what: &'static str,
    /// What came of it, step by step, as HTML.
    pub(super) steps: Vec<String>,
}

/// The latest notices: told, opened, reconnected, widgets fresh.
pub(super) async fn notices(app: &App, account: &Account, now: DateTime<Utc>) -> Result<Vec<NoticeRow>, Error> {
    let notices = app.commands.notices_of(account.id, SHOWN).await?;
    if notices.is_empty() {
        return Ok(Vec::new());
    }
    let attempts = app.commands.attempts_of_account(account.id, 100).await?;
    let fetched =
        widgets::of_account(app.database(), account.id).await?.into_iter().filter_map(|widget| widget.fetched_at);
    let (fresh, users) = (fetched.min(), Users::new(app.database().clone()));
    let mut rows = Vec::with_capacity(notices.len());
    for notice in notices {
        let email = match notice.user_id.parse() {
            Ok(id) => users.email(id).await?,
            Err(_) => None,
        };
        rows.push(NoticeRow {
            who: email.unwrap_or_else(|| "somebody who left".to_owned()),
            what: match notice.kind.as_str() {
                "expired" => "It needs a new login",
                "reminder" => "Access ends soon",
                "recovered" => "It works again",
                _ => "Somebody refreshed it",
            },
            steps: steps(&notice, &attempts, fresh, now),
        });
    }
    Ok(rows)
}

fn steps(notice: &Notice, attempts: &[Attempt], fresh: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Vec<String> {
    let at = |at| Moment { at, now };
    let mut steps = Vec::new();
    match (notice.sent_at, notice.outcome.as_deref()) {
        (Some(sent), _) => steps.push(format!("told {}", at(sent))),
        (None, Some("dropped")) if notice.unsure => {
            steps.push("perhaps told: the mail server's answer was lost, and it was no longer so".to_owned());
        }
        // It tells of something that is over.
        (None, Some("sent" | "dropped")) => steps.push("not sent: it was no longer so".to_owned()),
        (None, Some(_)) => steps.push(format!("not sent: {}", notice.problem.as_deref().unwrap_or("it was given up"))),
        (None, None) => match &notice.problem {
            Some(problem) => steps.push(format!("waits after {} tries: {problem}", notice.attempts)),
            None => steps.push("waits to be sent".to_owned()),
        },
    }
    steps.extend(notice.opened_at.map(|opened| format!("opened {}", at(opened))));
    let ended = |attempt: &&Attempt| {
        attempt.link.is_some_and(|link| link.to_string() == notice.id)
            && matches!(attempt.phase, Phase::Finished(Outcome::Refreshed { .. }))
    };
    if let Some(reconnected) = attempts.iter().find(ended).and_then(|attempt| attempt.finished_at) {
        steps.push(format!("reconnected {}", at(reconnected)));
        if fresh.is_some_and(|fresh| fresh >= reconnected) {
            steps.push("<strong>widgets fresh</strong>".to_owned());
        }
    }
    steps
}
