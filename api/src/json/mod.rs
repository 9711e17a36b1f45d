//! The JSON API under `/api/v1`, for the widget service and for staff's tools. Bearer keys only.

pub mod accounts;
pub mod body;
pub mod data;
pub mod events;
pub mod idempotency;
pub mod members;
pub mod names;
pub mod position;
pub mod webhooks;
pub mod widgets;

use serde::Serialize;
use utoipa::ToSchema;

/// The largest request body.
pub const BODY_BYTES: usize = 64 * 1024;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub data: Vec<T>,
    /// Pass it as `after` to go on; `null` at the end.
    pub next: Option<String>,
}
