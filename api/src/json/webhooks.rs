//! Web hooks' endpoints and deliveries as JSON.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    List,
    body::Body,
    idempotency::NewId,
    names::{DeliveryOutcome, MessageType},
};
use crate::{app::App, error::Error, webhooks};

/// How many deliveries are listed.
const DELIVERIES: i64 = 200;

/// Where deliveries go.
#[derive(Debug, Serialize, ToSchema)]
pub struct Endpoint {
    /// Its id.
    #[schema(format = Uuid)]
    id: String,
    /// Where it is.
    url: String,
    /// Since when.
    created_at: DateTime<Utc>,
    /// It answered 410 then, and is told nothing any more.
    disabled_at: Option<DateTime<Utc>>,
    /// The key to check signatures with, `whsec_…`; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Endpoint {
    fn new(endpoint: webhooks::Endpoint, secret: Option<String>) -> Self {
        let webhooks::Endpoint { id, url, created_at, disabled_at } = endpoint;
        Self { id, url, created_at, disabled_at, secret }
    }
}

/// A new endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// An https address.
    #[schema(format = Uri, max_length = 2000)]
    url: String,
}

/// What an endpoint was told.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// `webhook-id`: the same at each try.
    message_id: String,
    /// What it is about.
    #[schema(value_type = MessageType)]
    r#type: String,
    /// About which account.
    #[schema(format = Uuid)]
    account_id: String,
    /// When it happened.
    created_at: DateTime<Utc>,
    /// How often it was tried.
    #[schema(minimum = 0)]
    attempts: i64,
    /// When it is tried again.
    due_at: Option<DateTime<Utc>>,
    /// How it ended; `null` while it is tried.
    #[schema(value_type = Option<DeliveryOutcome>)]
    outcome: Option<String>,
    /// What came back last: a status, or why nothing did.
    answer: Option<String>,
}

impl From<webhooks::Delivery> for Delivery {
    fn from(delivery: webhooks::Delivery) -> Self {
        Self {
            due_at: delivery.ended_at.is_none().then_some(delivery.due_at),
            message_id: delivery.message_id,
            r#type: delivery.kind,
            account_id: delivery.account_id,
            created_at: delivery.created_at,
            attempts: delivery.attempts,
            outcome: delivery.outcome,
            answer: delivery.answer,
        }
    }
}

/// All endpoints.
#[utoipa::path(get, operation_id = "list_webhooks", path = "/webhooks", tag = "webhooks",
    responses((status = 200, body = List<Endpoint>)))]
pub async fn list(State(app): State<App>) -> Result<Json<List<Endpoint>>, Error> {
    let endpoints = webhooks::list(&app).await?;
    let data = endpoints.into_iter().map(|endpoint| Endpoint::new(endpoint, None)).collect();
    Ok(Json(List { data, next: None }))
}

/// Adds an endpoint. Deliveries are signed as Standard Webhooks says, with the secret of this answer.
#[utoipa::path(post, operation_id = "add_webhook", path = "/webhooks", tag = "webhooks", request_body = NewEndpoint,
    responses((status = 201, body = Endpoint)))]
pub async fn add(
    State(app): State<App>,
    NewId(id): NewId,
    Body(new): Body<NewEndpoint>,
) -> Result<(StatusCode, Json<Endpoint>), Error> {
    let (endpoint, secret) = webhooks::add(&app, &id.to_string(), &new.url).await?;
    Ok((StatusCode::CREATED, Json(Endpoint::new(endpoint, Some(secret)))))
}

/// Removes an endpoint.
#[utoipa::path(delete, operation_id = "remove_webhook", path = "/webhooks/{id}", params(("id" = Uuid, Path, description = "The id.")), tag = "webhooks",
    responses((status = 204, description = "It is removed.")))]
pub async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Error> {
    if webhooks::remove(&app, &id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Error::Missing) }
}

/// The latest deliveries to an endpoint.
#[utoipa::path(get, operation_id = "list_webhook_deliveries", path = "/webhooks/{id}/deliveries", params(("id" = Uuid, Path, description = "The id.")), tag = "webhooks",
    responses((status = 200, body = List<Delivery>)))]
pub async fn deliveries(State(app): State<App>, Path(id): Path<String>) -> Result<Json<List<Delivery>>, Error> {
    if !webhooks::list(&app).await?.iter().any(|endpoint| endpoint.id == id) {
        return Err(Error::Missing);
    }
    let deliveries = webhooks::deliveries(&app, Some(&id), DELIVERIES).await?;
    Ok(Json(List { data: deliveries.into_iter().map(Delivery::from).collect(), next: None }))
}
