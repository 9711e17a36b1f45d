//! Read your writes: each answer says to which position of the journal it belongs (`Relight-Position`), and a read waits,
//! for a second at most, until the views have reached `?min_position=`.

use std::convert::Infallible;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};

use crate::{app::App, error::Error};

const HEADER: HeaderName = HeaderName::from_static("relight-position");

/// The position of what a request committed.
pub struct Position(pub Option<i64>);

impl IntoResponseParts for Position {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        if let Some(position) = self.0 {
            response.headers_mut().insert(HEADER, HeaderValue::from(position));
        }
        Ok(response)
    }
}

/// Waits for what the caller has written before, and says how far the answer goes: to what was committed, or to what the
/// views had reached before they were read.
pub async fn read_your_writes(State(app): State<App>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let wanted = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "min_position");
    if let (Some((_, wanted)), &Method::GET) = (wanted, request.method()) {
        match wanted.parse() {
            Ok(position @ 0..) => app.until_position(position).await,
            _ => return Error::Bad("min_position must be a position.".to_owned()).into_response(),
        }
    }
    let reached = *app.status_position.borrow();
    let mut response = next.run(request).await;
    response.headers_mut().entry(HEADER).or_insert_with(|| HeaderValue::from(reached));
    response
}
