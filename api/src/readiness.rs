//! Whether the service lives and serves, for orchestrators.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use store::read;

use crate::app::App;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: whether the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: whether the database answers and the views follow.
pub async fn ready(State(app): State<App>) -> Response {
    let asked = async {
        let _: i32 = read!(app.database(), pool => sqlx::query_scalar("SELECT 1").fetch_one(pool))?;
        projections::states(app.store()).await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(states)) if states.iter().all(|state| state.failure.is_none()) => "ready\n".into_response(),
        Ok(Ok(_)) => (StatusCode::SERVICE_UNAVAILABLE, "a projection has stopped\n").into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}
