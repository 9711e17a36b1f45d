//! Refusals as problem details, for machines.

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Problem;

/// A refusal as problem details. Source: RFC 9457.
pub fn details(problem: &Problem, status: StatusCode) -> Response {
    let mut response = Json(problem.details(status)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A response with its refusal, if it stands for one, as problem details.
pub fn with_details(mut response: Response) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => {
            let body = details(&problem, response.status());
            with_body(response, body)
        }
        None => response,
    }
}

/// The status and the headers of one response with the body of another.
pub fn with_body(response: Response, body: Response) -> Response {
    let (mut head, _) = response.into_parts();
    let (body_head, body) = body.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::CONTENT_ENCODING);
    head.headers.extend(body_head.headers);
    Response::from_parts(head, Body::new(body))
}
