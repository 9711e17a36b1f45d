//! Live pages: a server-sent event whenever what a page shows may have changed; the page then fetches itself again.
//!
//! A page carries the state that it was rendered from, so that nothing is missed between rendering and listening.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use axum::{
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use axum_login::AuthSession;
use commands::attempt::Phase;
use domain::AccountId;
use engine::{StoreError, sql};
use futures::Stream;
use projections::{
    accounts::{Viewer, account_for},
    feeds,
};
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

use super::{
    account::{look, seen},
    attempt::own,
    browser::Browser,
};
use crate::{
    app::App,
    error::Error,
    query::Query,
    server::StreamPermit,
    sign_in::{User, Users, sessions::Lasting, signed_in::SignedIn},
};

/// How often other nodes' pulls are looked for; what happens on this node is told at once.
const LOOK: Duration = Duration::from_secs(1);
/// How often a list is told at most that something has changed: with many accounts there is always something new.
const LIST: Duration = Duration::from_secs(1);
/// How often an open page looks at its account again, and for how long.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LOOKS_ON: Duration = Duration::from_mins(5);
/// A browser that stays longer connects again by itself.
const LIVES: Duration = Duration::from_mins(30);

/// `GET /accounts/{id}/live`.
pub async fn account(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    session: AuthSession<Users>,
    permit: StreamPermit,
    Path(id): Path<String>,
    Query(shown): Query<ShownState>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let account = seen(&app, &user, &id).await?.id;
    // An auditor who looks has nobody asked.
    let looking = user.role.helps().then(|| AbortOnDropHandle::new(tokio::spawn(look_on(app.clone(), account))));
    let right = Right { user: user.clone(), account };
    Ok(stream(
        app,
        permit,
        vec![account],
        shown,
        Beside { session: Lasting::of(&session), right: Some(right), looking },
    ))
}

/// Whoever leaves the page open is looking still, for some minutes: a forgotten tab asks Meta no more.
async fn look_on(app: App, id: AccountId) {
    let ends = tokio::time::Instant::now() + LOOKS_ON;
    while tokio::time::Instant::now() < ends {
        tokio::time::sleep(LOOK_AGAIN).await;
        if let Ok(Some(account)) = account_for(app.database(), id, Viewer::Staff).await {
            // What fails here is tried again in a moment; the page itself tells of a database that doesn't answer.
            let _ = look(&app, &account).await;
        }
    }
}

/// `GET /accounts/live`.
pub async fn accounts(
    State(app): State<App>,
    session: AuthSession<Users>,
    permit: StreamPermit,
    Query(shown): Query<ShownState>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    stream(app, permit, Vec::new(), shown, Beside { session: Lasting::of(&session), right: None, looking: None })
}

/// `GET /attempts/{reference}/live`.
pub async fn attempt(
    State(app): State<App>,
    browser: Browser,
    permit: StreamPermit,
    Path(reference): Path<String>,
    Query(shown): Query<ShownState>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let accounts = match own(&app, &reference, &browser).await?.phase {
        Phase::Finished(outcome) => outcome.accounts().to_vec(),
        _ => Vec::new(),
    };
    // Nobody need be signed in: the page is its browser's.
    Ok(stream(app, permit, accounts, shown, Beside::default()))
}

/// The state that a page was rendered from.
#[derive(Debug, Deserialize)]
pub struct ShownState {
    #[serde(default)]
    shown: String,
}

/// What a stream depends on, and what runs while the browser listens.
#[derive(Debug, Default)]
struct Beside {
    /// The session without which it ends.
    session: Option<Lasting>,
    /// The right without which it ends.
    right: Option<Right>,
    #[expect(dead_code, reason = "runs as long as it is held")]
    looking: Option<AbortOnDropHandle<()>>,
}

/// Somebody's sight of an account.
#[derive(Debug)]
struct Right {
    user: User,
    account: AccountId,
}

impl Beside {
    /// Whether the stream may go on: the session is signed in, and its person still sees the account.
    async fn holds(&self, app: &App) -> Result<bool, Error> {
        if let Some(session) = &self.session
            && !session.holds(app.database()).await?
        {
            return Ok(false);
        }
        let Some(Right { user, account }) = &self.right else { return Ok(true) };
        Ok(account_for(app.database(), *account, user.role.viewer(user.id)).await?.is_some())
    }
}

/// The permit lives as long as the browser listens.
fn stream(
    app: App,
    permit: StreamPermit,
    accounts: Vec<AccountId>,
    page: ShownState,
    beside: Beside,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut status = app.status_position.clone();
    let mut changed = app.changed.subscribe();
    let events = async_stream::stream! {
        let _permit = permit;
        let ends = tokio::time::Instant::now() + LIVES;
        let mut shown = page.shown;
        while tokio::time::Instant::now() < ends && !matches!(beside.holds(&app).await, Ok(false)) {
            if let Ok(now) = state(&app, &accounts).await
                && now != shown
            {
                yield Ok(Event::default().event("changed").data(&now));
                shown = now;
                if accounts.is_empty() {
                    tokio::time::sleep(LIST).await;
                }
            }
            tokio::select! {
                _ = status.changed() => {}
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                // The browser connects again, to this node's next start or to another one.
                () = app.commands.stop.cancelled() => break,
            }
        }
    };
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A text that changes when what a page shows does. To be asked for before the page is filled. The list of all accounts
/// follows the view as a whole.
///
/// # Errors
/// When the database fails.
pub async fn state(app: &App, accounts: &[AccountId]) -> Result<String, StoreError> {
    if accounts.is_empty() {
        let position: Option<i64> = sql("SELECT position FROM checkpoints WHERE name = 'account_status'")
            .scalar_optional(app.database())
            .await?;
        return Ok(position.unwrap_or(0).to_string());
    }
    let mut state = DefaultHasher::new();
    for account in accounts {
        let row: Option<(i64, Option<chrono::DateTime<chrono::Utc>>)> =
            sql("SELECT s.position, c.checked_at FROM account_status_v1 s \
                 LEFT JOIN checks c ON c.account_id = s.account_id WHERE s.account_id = $1")
            .bind(account.to_string())
            .fetch_optional(app.database())
            .await?;
        row.hash(&mut state);
        feeds::fetched_at(app.database(), *account).await?.hash(&mut state);
    }
    Ok(format!("{:016x}", state.finish()))
}
