//! Histories, the event log and the queue as JSON.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use projections::queue::{self, Waiting};
use serde::Deserialize;
use store::{Filter, Recorded};
use utoipa::IntoParams;

use super::{
    List,
    accounts::{find, limit},
};
use crate::{
    app::App,
    error::{Error, JsonError},
    query::JsonQuery,
    sign_in::api_key::Caller,
};

/// How far a history goes.
#[derive(Debug, Deserialize, IntoParams)]
pub struct HistoryQuery {
    /// Only events up to this instant: what was known then.
    at: Option<DateTime<Utc>>,
    /// How many, 1 to 200.
    limit: Option<i64>,
    /// The position after which to go on.
    after: Option<i64>,
}

/// The events of an account and its token, in order.
#[utoipa::path(get, path = "/accounts/{id}/history", params(HistoryQuery), security(("key" = [])), tag = "events",
    responses((status = 200), (status = 403), (status = 404)))]
pub async fn history(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonQuery(query): JsonQuery<HistoryQuery>,
) -> Result<Json<List<Recorded>>, JsonError> {
    caller.inspects()?;
    let account = find(&app, &caller, &id).await?;
    let filter = Filter {
        after: query.after.unwrap_or(0),
        account: Some(account.id),
        to: query.at.map(|at| at + chrono::TimeDelta::microseconds(1)),
        ..Filter::default()
    };
    page(&app, &filter, limit(query.limit)?).await
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
pub struct EventsQuery {
    /// The position after which to go on.
    after: Option<i64>,
    /// How many, 1 to 200.
    limit: Option<i64>,
    /// Only those of this account.
    account: Option<String>,
    /// Only those of this type.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Only those at this instant or later.
    from: Option<DateTime<Utc>>,
    /// Only those before this instant.
    to: Option<DateTime<Utc>>,
}

/// The event log, in order.
#[utoipa::path(get, path = "/events", params(EventsQuery), security(("key" = [])), tag = "events",
    responses((status = 200), (status = 403)))]
pub async fn events(
    State(app): State<App>,
    caller: Caller,
    JsonQuery(query): JsonQuery<EventsQuery>,
) -> Result<Json<List<Recorded>>, JsonError> {
    caller.inspects()?;
    let bad = |text: &str| Error::Bad(text.to_owned());
    let account =
        query.account.map(|id| id.parse()).transpose().map_err(|_| bad("account must be an account's id."))?;
    if query.event_type.as_ref().is_some_and(|name| !name.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return Err(bad("type must be an event's type.").into());
    }
    let (after, event_type) = (query.after.unwrap_or(0), query.event_type);
    let filter = Filter { after, account, event_type, from: query.from, to: query.to };
    page(&app, &filter, limit(query.limit)?).await
}

async fn page(app: &App, filter: &Filter, limit: i64) -> Result<Json<List<Recorded>>, JsonError> {
    let data = app.store().events(filter, limit).await?;
    let full = i64::try_from(data.len()).unwrap_or(i64::MAX) == limit;
    let next = data.last().filter(|_| full).map(|last| last.position.to_string());
    Ok(Json(List { data, next }))
}

/// How much of the queue.
#[derive(Debug, Deserialize, IntoParams)]
pub struct WorkQuery {
    /// How many, 1 to 200.
    limit: Option<i64>,
}

/// What is due next, in the order in which it goes.
#[utoipa::path(get, path = "/work", params(WorkQuery), security(("key" = [])), tag = "events",
    responses((status = 200), (status = 403)))]
pub async fn work(
    State(app): State<App>,
    caller: Caller,
    JsonQuery(query): JsonQuery<WorkQuery>,
) -> Result<Json<List<Waiting>>, JsonError> {
    caller.inspects()?;
    let data = queue::waiting(app.database(), None, limit(query.limit)?).await?;
    Ok(Json(List { data, next: None }))
}
