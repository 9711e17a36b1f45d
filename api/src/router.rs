//! All routes in one table.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use axum_login::{AuthManagerLayerBuilder, AuthSession};
use store::read;
use tower_http::{compression::CompressionLayer, limit::RequestBodyLimitLayer};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite};

use crate::{
    app::App,
    error::{Error, explain},
    json, meta_calls,
    pages::{
        account, account_actions as act, accounts, assets, attempt, connect, link, live, login, oauth, operations,
        see_other, settings, staff, token, webhooks, widget,
    },
    request::identify,
    sign_in::{Users, sessions::Sessions},
};

/// The largest request body of all.
const BODY_BYTES: usize = 1 << 20;

/// The router of the whole service.
///
/// # Errors
/// When the table of sessions has a wrong name, which it hasn't.
pub fn router(app: &App) -> Result<Router, String> {
    let sessions = SessionManagerLayer::new(Sessions::new(app.database())?)
        .with_name("relight_session")
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(app.config.is_https())
        .with_expiry(Expiry::OnInactivity(time::Duration::days(14)));
    let sign_in = AuthManagerLayerBuilder::new(Users::of(app), sessions).build();

    let signed_in = Router::new()
        .route("/", get(async || see_other("/accounts")))
        .route("/accounts", get(accounts::list))
        .route("/accounts/live", get(live::accounts))
        .route("/accounts/{id}", get(account::page))
        .route("/accounts/{id}/live", get(live::account))
        .route("/accounts/{id}/refresh", post(act::refresh))
        .route("/accounts/{id}/switch", post(act::switch))
        .route("/accounts/{id}/check", post(act::check))
        .route("/accounts/{id}/disconnect", post(act::disconnect))
        .route("/accounts/{id}/widgets", post(act::add_widget))
        .route("/accounts/{id}/widgets/{widget}/plan", post(act::change_plan))
        .route("/accounts/{id}/widgets/{widget}/remove", post(act::remove_widget))
        .route("/accounts/{id}/access", post(act::grant))
        .route("/accounts/{id}/access/revoke", post(act::revoke))
        .route("/accounts/{id}/link", post(act::link))
        .route("/connect", get(connect::page))
        .route("/connect/{connection}", post(connect::start))
        .route("/attempts", get(staff::find))
        .route("/attempts/{reference}/choose", post(attempt::choose))
        .route("/events", get(staff::events))
        .route("/operations", get(operations::operations))
        .route("/operations/incidents/{id}/{how}", post(operations::close_incident))
        .route("/settings", get(settings::page).post(settings::save))
        .route("/webhooks", get(webhooks::page).post(webhooks::add))
        .route("/webhooks/{id}/remove", post(webhooks::remove))
        .route("/logout", post(login::sign_out))
        .layer(middleware::from_fn(require_sign_in));
    let public = Router::new()
        .route("/login", get(login::page).post(login::sign_in))
        .route("/setup/{key}", get(login::setup_page).post(login::set_up))
        .route("/token", get(token::page))
        .route("/token/{connection}", post(token::start))
        .route("/r/{link}", get(link::page).post(link::start))
        .route("/oauth/{connection}/callback", get(oauth::callback))
        .route("/attempts/{reference}", get(attempt::page))
        .route("/attempts/{reference}/live", get(live::attempt))
        .route("/attempts/{reference}/again", post(attempt::start_again));
    let pages = signed_in.merge(public).layer(sign_in).layer(middleware::from_fn(explain));
    let api = Router::new()
        .route("/accounts", get(json::accounts::list))
        .route("/accounts/{id}", get(json::accounts::one))
        .route("/accounts/{id}/history", get(json::events::history))
        .route("/accounts/{id}/check", post(json::accounts::check))
        .route("/accounts/{id}/reconnect-link", post(json::accounts::reconnect_link))
        .route("/accounts/{id}/widgets", get(json::widgets::list).post(json::widgets::add))
        .route("/widgets/{id}", patch(json::widgets::change).delete(json::widgets::remove))
        .route("/webhooks", get(json::webhooks::list).post(json::webhooks::add))
        .route("/webhooks/{id}", delete(json::webhooks::remove))
        .route("/webhooks/{id}/deliveries", get(json::webhooks::deliveries))
        .route("/work", get(json::events::work))
        .route("/events", get(json::events::events))
        .route("/openapi.json", get(json::openapi::document))
        .fallback(async || Error::Missing.answer(crate::error::Form::Json))
        .layer(middleware::from_fn_with_state(app.clone(), json::idempotency::once))
        .layer(middleware::from_fn_with_state(app.clone(), json::position::read_your_writes));
    Ok(Router::new()
        .merge(pages)
        .nest("/api/v1", api)
        .merge(json::openapi::explorer())
        .layer(CompressionLayer::new())
        .route("/w/{widget}", get(widget::page))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/widget.css", get(assets::widget_style))
        .route("/assets/live.js", get(assets::live))
        .route("/assets/icon.svg", get(assets::icon))
        .route("/meta/{connection}/deauthorize", post(meta_calls::deauthorize))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(async || Error::Missing)
        .layer(middleware::from_fn(harden))
        .layer(middleware::from_fn(identify))
        .layer(RequestBodyLimitLayer::new(BODY_BYTES))
        // What is served most stands outside of all layers: it is ready as it lies in memory, its headers with it.
        .route("/w/{widget}/feed.json", get(widget::feed))
        .with_state(app.clone()))
}

/// `GET /readyz`: whether the database answers and the views follow.
async fn ready(State(app): State<App>) -> Response {
    let asked = async {
        let _: i32 = read!(app.database(), pool => sqlx::query_scalar("SELECT 1").fetch_one(pool))?;
        projections::states(app.store()).await
    };
    match tokio::time::timeout(Duration::from_secs(3), asked).await {
        Ok(Ok(states)) if states.iter().all(|state| state.failure.is_none()) => "ready\n".into_response(),
        Ok(Ok(_)) => (StatusCode::SERVICE_UNAVAILABLE, "a projection has stopped\n").into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}

/// Sends whoever isn't signed in to sign in, and back afterwards.
async fn require_sign_in(session: AuthSession<Users>, request: Request, next: Next) -> Response {
    if session.user.is_some() {
        return next.run(request).await;
    }
    let page = request.method() == Method::GET && !request.uri().path().ends_with("/live");
    if !page {
        return Error::SignIn.into_response();
    }
    let path = request.uri().path_and_query().map_or("/accounts", |path| path.as_str());
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    see_other(&format!("/login?next={next}"))
}

/// What every answer says to browsers.
async fn harden(request: Request, next: Next) -> Response {
    let framed = request.uri().path().starts_with("/w/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Addresses hold codes and link tokens: none of them leaves with a click. (Stricter still, `no-referrer`, would make
    // browsers send our own forms with `Origin: null`.)
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if !framed {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}
