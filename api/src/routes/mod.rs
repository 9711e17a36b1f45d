//! Every route of the service in one table: method, path, who may call it, what trail it leaves, and its handler.
//!
//! [`table`] is the list; [`router`] makes the router of it, [`openapi`] the API's description, and the tests walk it role
//! by role. There is no other way to register a route: a test looks for one.

pub mod boundary;
pub mod gate;
pub mod headers;
pub mod openapi;
mod route;
mod table;

use axum::{Router, middleware};
use axum_login::AuthManagerLayerBuilder;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer};

pub use route::{Audit, Route, Surface, Who};
pub use table::table;

use crate::{
    app::App,
    error::Error,
    input,
    json::{idempotency, position},
    request::identify,
    sign_in::{Users, sessions},
};

/// The largest request body of all, in bytes.
const BODY_BYTES: usize = 1 << 20;

/// The router of the whole service.
///
/// # Errors
/// When an entry of the table contradicts its handler.
pub fn router(app: &App) -> Result<Router, String> {
    let sign_in = AuthManagerLayerBuilder::new(Users::of(app), sessions::layer(app)).build();
    let (mut pages, mut streams, mut api, mut machines, mut bare) =
        (Router::new(), Router::new(), Router::new(), Router::new(), Router::new());
    for route in table() {
        route.check()?;
        let gate = middleware::from_fn_with_state(gate::Gate { app: app.clone(), who: route.who }, gate::gate);
        let into = match route.surface {
            Surface::Page => &mut pages,
            Surface::Stream => &mut streams,
            Surface::Api => &mut api,
            Surface::Machine => &mut machines,
            Surface::Bare => &mut bare,
        };
        let handler = match route.surface {
            // From the outside in: the key, then what to wait for, then whether it was answered before.
            Surface::Api => route
                .handler
                .route_layer(middleware::from_fn_with_state(app.clone(), idempotency::once))
                .route_layer(middleware::from_fn_with_state(app.clone(), position::read_your_writes))
                .route_layer(gate),
            _ if route.who == Who::Anyone => route.handler,
            _ => route.handler.route_layer(gate),
        };
        *into = std::mem::take(into).route(route.path, handler);
    }
    let with_session = |router: Router<App>| {
        router
            .method_not_allowed_fallback(async || Error::Method)
            .layer(middleware::from_fn(input::refuse_unreadable))
            .layer(RequestBodyLimitLayer::new(BODY_BYTES))
            .layer(middleware::from_fn_with_state(app.clone(), boundary::pages))
            .layer(middleware::from_fn(sessions::extend))
            .layer(sign_in.clone())
    };
    Ok(with_session(pages)
        .merge(
            api.merge(machines)
                .layer(middleware::from_fn(input::refuse_unreadable))
                .layer(RequestBodyLimitLayer::new(BODY_BYTES)),
        )
        .layer(CompressionLayer::new())
        // A compressed stream would wait for more.
        .merge(with_session(streams))
        .method_not_allowed_fallback(async || Error::Method)
        .fallback_service(with_session(Router::new().fallback(async || Error::Missing)).with_state(app.clone()))
        .layer(CatchPanicLayer::custom(boundary::panicked))
        .layer(middleware::from_fn(boundary::everything))
        .layer(middleware::from_fn_with_state(app.clone(), headers::harden))
        .layer(middleware::from_fn(identify))
        // What is served most stands outside of all layers: it is ready as it lies in memory, its headers with it.
        .merge(bare)
        .with_state(app.clone()))
}
