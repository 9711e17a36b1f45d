//! Accounts as JSON.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use domain::{LinkId, token::Clock};
use projections::{
    accounts::{self, Cursor, Filter, Status},
    queue,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{List, idempotency::NewId};
use crate::{
    app::App,
    error::{Error, JsonError},
    pages::accounts::with_cursor,
    query::JsonQuery,
    sign_in::api_key::Caller,
};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// Its id.
    id: String,
    /// Meta's id of it.
    instagram_id: String,
    /// Its name.
    username: String,
    /// `consumer` or `business`.
    connection: &'static str,
    /// `active`, `expired` or `disconnected`.
    status: &'static str,
    /// Why it expired.
    reason: Option<&'static str>,
    /// Since when the status is so.
    since: DateTime<Utc>,
    /// When the session ends; a machine can extend it.
    expires_at: Option<DateTime<Utc>>,
    /// When data access ends; only a person can restart it.
    data_access_expires_at: Option<DateTime<Utc>>,
    /// Whether that is an estimate.
    data_access_estimated: bool,
    /// Which of the two ends first and so decides, `session` or `data_access`; `null` if neither ends.
    ends_first: Option<&'static str>,
    /// When Meta was last heard about the token.
    checked_at: Option<DateTime<Utc>>,
    /// Whether only a person can bring it back.
    needs_person: bool,
    /// How many grants there have been.
    generation: i64,
    /// How many widgets of each plan it has.
    widgets: Widgets,
    /// The last event that is in this view.
    position: i64,
}

/// How many widgets of each plan.
#[derive(Debug, Serialize, ToSchema)]
struct Widgets {
    free: i64,
    upgraded: i64,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Self {
            id: account.id.to_string(),
            instagram_id: account.instagram_id,
            username: account.username,
            connection: account.connection.name(),
            status: account.status.name(),
            reason: account.status.reason().map(domain::Reason::name),
            since: account.since,
            expires_at: account.expires_at,
            data_access_expires_at: account.data_access_expires_at,
            data_access_estimated: account.data_access_estimated,
            ends_first: Clock::first(account.expires_at, account.data_access_expires_at).map(Clock::name),
            checked_at: account.checked_at,
            needs_person: account.status != Status::Active,
            generation: account.generation,
            widgets: Widgets { free: account.free_widgets, upgraded: account.upgraded_widgets },
            position: account.position,
        }
    }
}

/// What a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ListQuery {
    /// Only those with this status: `active`, `expired` or `disconnected`; the latest that came to it first.
    #[serde(default)]
    status: Option<String>,
    /// Only those whose name contains this; begins with it, if it has fewer than three characters.
    #[serde(default)]
    q: Option<String>,
    /// How many, 1 to 200; 50 unless told.
    #[serde(default)]
    limit: Option<i64>,
    /// Where to go on.
    #[serde(default)]
    after: Option<String>,
}

/// How many items a list has at most, checked.
///
/// # Errors
/// [`Error::Bad`] outside of 1 to 200.
pub fn limit(given: Option<i64>) -> Result<i64, Error> {
    match given.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Error::Bad("limit must be 1 to 200.".to_owned())),
    }
}

/// The accounts, by name; those of one status by when they came to it.
#[utoipa::path(get, path = "/accounts", params(ListQuery), security(("key" = [])), tag = "accounts",
    responses((status = 200, body = List<Account>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    JsonQuery(query): JsonQuery<ListQuery>,
) -> Result<Json<List<Account>>, JsonError> {
    let limit = limit(query.limit)?;
    if query.status.as_deref().is_some_and(|status| !["active", "expired", "disconnected"].contains(&status)) {
        return Err(Error::Bad("status must be active, expired or disconnected.".to_owned()).into());
    }
    if query.q.as_ref().is_some_and(|q| q.chars().count() > 100 || q.contains('\0')) {
        return Err(Error::Bad("q must have at most 100 characters.".to_owned()).into());
    }
    let filter = Filter { status: query.status, search: query.q.filter(|q| !q.is_empty()), after: None };
    let filter = with_cursor(filter, query.after.as_deref().unwrap_or_default())?;
    let mut found = accounts::list(app.database(), caller.viewer(), &filter, limit + 1).await?;
    let fits = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > fits;
    found.truncate(fits);
    let next = found.last().filter(|_| more).map(|last| Cursor::of(&filter, last).to_string());
    Ok(Json(List { data: found.into_iter().map(Account::from).collect(), next }))
}

/// An account that the caller sees.
///
/// # Errors
/// [`Error::Missing`].
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<accounts::Account, Error> {
    let id = id.parse().map_err(|_| Error::Missing)?;
    accounts::account_for(app.database(), id, caller.viewer()).await?.ok_or(Error::Missing)
}

/// One account.
#[utoipa::path(get, path = "/accounts/{id}", security(("key" = [])), tag = "accounts",
    responses((status = 200, body = Account), (status = 404)))]
pub async fn one(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<Account>, JsonError> {
    Ok(Json(find(&app, &caller, &id).await?.into()))
}

/// Asks Meta about the account's token, soon. Look at `checked_at` for the answer.
#[utoipa::path(post, path = "/accounts/{id}/check", security(("key" = [])), tag = "accounts",
    responses((status = 202), (status = 404), (status = 429)))]
pub async fn check(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, JsonError> {
    let account = find(&app, &caller, &id).await?;
    app.limits.check(account.id)?;
    queue::ask_check(app.database(), account.id, app.commands.clock.now()).await?;
    app.changed.send_modify(|count| *count += 1);
    Ok(StatusCode::ACCEPTED)
}

/// A reconnect link.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    /// Give it to whoever holds the login. It works for 30 days and until the next refresh.
    url: String,
}

/// Makes a reconnect link.
#[utoipa::path(post, path = "/accounts/{id}/reconnect-link", security(("key" = [])), tag = "accounts",
    responses((status = 201, body = Link), (status = 404)))]
pub async fn reconnect_link(
    State(app): State<App>,
    caller: Caller,
    NewId(link): NewId,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Link>), JsonError> {
    let account = find(&app, &caller, &id).await?;
    if caller.role == crate::sign_in::Role::Auditor {
        return Err(Error::Forbidden("This key may only look.").into());
    }
    let url = app.commands.make_link(account.id, LinkId::new(link)).await?;
    Ok((StatusCode::CREATED, Json(Link { url })))
}
