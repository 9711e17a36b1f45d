//! Each request has an id: in the log, in the events that it leads to, and in the answer (`X-Request-Id`), so that one
//! leads to the others.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::{Extensions, HeaderName, HeaderValue, request::Parts},
    middleware::Next,
    response::Response,
};
use commands::Context;
use domain::Actor;
use tracing::Instrument;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id that [`identify`] gave.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(Self::new)
    }

    fn new() -> Self {
        Self(commands::new_id().to_string())
    }

    /// In whose name a use case runs that this request asks for.
    pub fn context(self, actor: Actor) -> Context {
        Context { actor, correlation: self.0.clone(), causation: None, request: Some(self.0) }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Gives a request its id. The log names the route, never the address: that may hold a link's secret or a code.
pub async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId::new();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = id.0, method = %request.method(), route);
    let header = HeaderValue::from_str(&id.0);
    request.extensions_mut().insert(id);
    let mut response = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span)
    .await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}
