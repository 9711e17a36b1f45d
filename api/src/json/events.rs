//! Histories, the event log and the job queue as JSON.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::AccountId;
use engine::jobs::Waiting;
use engine::{Filter, Recorded};
use projections::jobs;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{
    List,
    accounts::{find, limit},
    names::{AggregateName, JobName},
};
use crate::{
    app::App,
    error::Error,
    input::{Instant, is_event_type},
    query::Query,
    sign_in::api_key::Caller,
};

/// An event as the journal has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its place in the one order of all events.
    #[schema(minimum = 1)]
    position: i64,
    /// What it belongs to.
    #[schema(value_type = AggregateName)]
    aggregate: String,
    /// The account's id; an account and its token share it.
    #[schema(format = Uuid)]
    account_id: String,
    /// Its place in its stream.
    #[schema(minimum = 1)]
    sequence: i64,
    /// Its type, such as `Refreshed`.
    r#type: String,
    /// The version of its shape.
    version: String,
    /// When it happened, on the program's clock.
    at: DateTime<Utc>,
    /// When it was written, on the database's clock.
    recorded_at: DateTime<Utc>,
    /// Who caused it: a kind, and the id after a colon.
    actor: String,
    /// The event as it is stored: an object with one key, its type; a text where it has no facts.
    #[schema(value_type = Payload)]
    payload: Box<RawValue>,
    /// What is known besides: `at`, `actor`, `correlation`, `program`, and where there are some `causation`, `request`.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    metadata: Box<RawValue>,
}

/// An event as it is stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Payload {
    /// Its type, without facts.
    Name(String),
    /// Its type and its facts.
    Facts(serde_json::Map<String, serde_json::Value>),
}

impl From<Recorded> for Event {
    fn from(event: Recorded) -> Self {
        let Recorded { position, aggregate, sequence, version, at, recorded_at, actor, .. } = event;
        let (account_id, r#type) = (event.aggregate_id, event.event_type);
        let (payload, metadata) = (event.payload, event.metadata);
        Self { position, aggregate, account_id, sequence, r#type, version, at, recorded_at, actor, payload, metadata }
    }
}

/// How far a history goes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only events up to this instant: what was known then.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<Instant>,
    /// How many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// The `next` of the page before: a position.
    #[param(minimum = 0)]
    after: Option<i64>,
}

/// The events of an account and its token, in order.
#[utoipa::path(get, operation_id = "get_account_history", path = "/accounts/{id}/history", params(("id" = Uuid, Path, description = "The account's id."), HistoryQuery), tag = "events",
    responses((status = 200, body = List<Event>)))]
pub async fn history(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<List<Event>>, Error> {
    let account = find(&app, &caller, &id).await?;
    let filter = Filter {
        after: after(query.after)?,
        aggregate_id: Some(account.id.to_string()),
        to: query.at.map(|Instant(at)| at + TimeDelta::microseconds(1)),
        ..Filter::default()
    };
    page(&app, &filter, limit(query.limit)?).await
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The `next` of the page before: a position.
    #[param(minimum = 0)]
    after: Option<i64>,
    /// How many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// Only those of this account.
    #[param(format = Uuid)]
    account: Option<String>,
    /// Only those of this type.
    #[serde(rename = "type")]
    #[param(pattern = "^[A-Za-z0-9]{1,64}$")]
    event_type: Option<String>,
    /// Only those at this instant or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Instant>,
    /// Only those before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Instant>,
}

/// The event log, in order.
#[utoipa::path(get, operation_id = "list_events", path = "/events", params(EventsQuery), tag = "events",
    responses((status = 200, body = List<Event>)))]
pub async fn events(State(app): State<App>, Query(query): Query<EventsQuery>) -> Result<Json<List<Event>>, Error> {
    let bad = |text: &str| Error::Bad(text.to_owned());
    let account = query.account.map(|id| id.parse::<AccountId>()).transpose();
    let account = account.map_err(|_| bad("account must be an account's id."))?;
    if query.event_type.as_ref().is_some_and(|name| !is_event_type(name)) {
        return Err(bad("type must be an event's type."));
    }
    let instant = |instant: Option<Instant>| instant.map(|Instant(at)| at);
    let (from, to) = (instant(query.from), instant(query.to));
    let filter = Filter {
        after: after(query.after)?,
        aggregate_id: account.map(|id| id.to_string()),
        event_type: query.event_type,
        from,
        to,
    };
    page(&app, &filter, limit(query.limit)?).await
}

/// The position after which a page begins, checked.
fn after(given: Option<i64>) -> Result<i64, Error> {
    match given.unwrap_or(0) {
        position @ 0.. => Ok(position),
        _ => Err(Error::Bad("after must be a position.".to_owned())),
    }
}

async fn page(app: &App, filter: &Filter, limit: i64) -> Result<Json<List<Event>>, Error> {
    let data = app.store().events(filter, limit).await?;
    let full = i64::try_from(data.len()).unwrap_or(i64::MAX) == limit;
    let next = data.last().filter(|_| full).map(|last| last.position.to_string());
    Ok(Json(List { data: data.into_iter().map(Event::from).collect(), next }))
}

/// A job that waits or is under way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Job {
    /// In which queue it stands: `meta`, `clock` or `notifications`.
    queue: String,
    /// What it does.
    #[schema(value_type = JobName)]
    kind: String,
    /// About which account.
    #[schema(format = Uuid)]
    account_id: String,
    /// 0: somebody waits for it; 1: by its due time.
    #[schema(minimum = 0, maximum = 1)]
    priority: i64,
    /// When it is due; `null`: it rests.
    due_at: Option<DateTime<Utc>>,
    /// The position of the event that made it due.
    #[schema(minimum = 0)]
    cause: i64,
    /// How often it failed since.
    #[schema(minimum = 0)]
    attempts: i64,
    /// Why, the last time.
    last_error: Option<String>,
    /// Until when a worker has it.
    leased_until: Option<DateTime<Utc>>,
}

impl From<Waiting> for Job {
    fn from(waiting: Waiting) -> Self {
        let Waiting { queue, kind, key, priority, due_at, cause, attempts, last_error, leased_until } = waiting;
        Self { queue, kind, account_id: key, priority, due_at, cause, attempts, last_error, leased_until }
    }
}

/// How much of the queue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WorkQuery {
    /// How many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// The jobs that are due next, in the order in which they go.
#[utoipa::path(get, operation_id = "list_jobs", path = "/work", params(WorkQuery), tag = "events",
    responses((status = 200, body = List<Job>)))]
pub async fn work(State(app): State<App>, Query(query): Query<WorkQuery>) -> Result<Json<List<Job>>, Error> {
    let data = jobs::waiting(app.database(), limit(query.limit)?).await?;
    Ok(Json(List { data: data.into_iter().map(Job::from).collect(), next: None }))
}
