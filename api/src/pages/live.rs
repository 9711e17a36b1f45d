//! Live pages: a server-sent event whenever what a page shows may have changed; the page then fetches itself again.

use std::{convert::Infallible, fmt::Write, time::Duration};

use axum::{
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use projections::feeds;
use store::{StoreError, read};

use super::{account::seen, attempt::own, browser::Browser};
use crate::{app::App, error::Error, sign_in::user::SignedIn};

/// How often other nodes' pulls are looked for; what happens on this node is told at once.
const LOOK: Duration = Duration::from_secs(1);
/// A browser that stays longer connects again by itself.
const LIVES: Duration = Duration::from_mins(30);

/// `GET /accounts/{id}/live`.
pub async fn account(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let id = seen(&app, &user, &id).await?.id.to_string();
    Ok(stream(app, vec![id]))
}

/// `GET /accounts/live`.
pub async fn accounts(
    State(app): State<App>,
    SignedIn(_user): SignedIn,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    stream(app, Vec::new())
}

/// `GET /attempts/{reference}/live`.
pub async fn attempt(
    State(app): State<App>,
    browser: Browser,
    Path(reference): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    use commands::{Outcome, attempt::Phase};
    let accounts = match own(&app, &reference, &browser).await?.phase {
        Phase::Finished(Outcome::Connected { accounts } | Outcome::Refreshed { accounts }) => accounts,
        Phase::Finished(Outcome::Switched { account }) => vec![account],
        _ => Vec::new(),
    };
    Ok(stream(app, accounts.iter().map(ToString::to_string).collect()))
}

fn stream(app: App, accounts: Vec<String>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut status = app.status_position.clone();
    let mut changed = app.changed.subscribe();
    let events = async_stream::stream! {
        let ends = tokio::time::Instant::now() + LIVES;
        let mut shown = None;
        while tokio::time::Instant::now() < ends {
            let now = state(&app, &accounts).await.ok();
            if now.is_some() && now != shown {
                if shown.is_some() {
                    yield Ok(Event::default().event("changed").data(""));
                }
                shown = now;
            }
            tokio::select! {
                _ = status.changed() => {}
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    };
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A text that changes when what the page shows does. The list of all accounts follows the view as a whole.
async fn state(app: &App, accounts: &[String]) -> Result<String, StoreError> {
    if accounts.is_empty() {
        let position: Option<i64> = read!(app.database(), pool =>
            sqlx::query_scalar("SELECT max(position) FROM account_status_v1").fetch_one(pool))?;
        return Ok(format!("{position:?}"));
    }
    let mut state = String::new();
    for account in accounts {
        let sql = "SELECT s.position, c.checked_at FROM account_status_v1 s \
                   LEFT JOIN checks c ON c.account_id = s.account_id WHERE s.account_id = $1";
        let row: Option<(i64, Option<chrono::DateTime<chrono::Utc>>)> =
            read!(app.database(), pool => sqlx::query_as(sql).bind(account).fetch_optional(pool))?;
        let fetched = match account.parse() {
            Ok(account) => feeds::fetched_at(app.database(), account).await?,
            Err(_) => Vec::new(),
        };
        let _ = write!(state, "{row:?} {fetched:?};");
    }
    Ok(state)
}
