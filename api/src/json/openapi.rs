//! The API's description, and a page to explore it.

use axum::{Json, Router};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_swagger_ui::SwaggerUi;

use super::{accounts, events, webhooks, widgets};
use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(title = "Relight", description = "Keeps Instagram connections lit. Times are RFC 3339 in UTC. Each answer has a `Relight-Position`: \
        how far into the journal it goes; a read with `?min_position=` waits for that, a second at most. A `POST` with an \
        `Idempotency-Key` can be repeated for two days: it gives the first answer."),
    servers((url = "/api/v1")),
    modifiers(&Key),
    paths(
        accounts::list, accounts::one, accounts::check, accounts::reconnect_link, widgets::list, widgets::add,
        widgets::change, widgets::remove, events::history, events::events, events::work,
        webhooks::list, webhooks::add, webhooks::remove, webhooks::deliveries
    )
)]
struct Document;

struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// `GET /api/v1/openapi.json`.
pub async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

/// `GET /docs`.
pub fn explorer() -> Router<App> {
    SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json")).into()
}
