//! What can go wrong at Meta: for the next calls, every call is spoiled in the same way.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::world::GraphError;

/// How a call is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 503 with an error that passes.
    Unavailable,
    /// 502 with a proxy's page.
    BadGateway,
    /// No answer for two minutes.
    Timeout,
    /// The usual answer, two seconds late.
    Slow,
    /// 200 with HTML where JSON belongs.
    Html,
    /// 200 with JSON of wrong types.
    WrongTypes,
    /// 200 with half an answer.
    Truncated,
    /// 200 with 100 MB.
    Huge,
    /// 200 with a byte now and then, for two minutes.
    Drip,
    /// An error marked as transient.
    Transient,
    /// The app is throttled (4), with the header that says so.
    AppThrottled,
    /// The user is throttled (17).
    UserThrottled,
    /// The usual answer, with the header that says that the account's business is shut out for half an hour.
    BusinessUsedUp,
    /// A bad request (100/33).
    BadRequest,
    /// A token without its end.
    NoEnd,
    /// A token's facts that call it invalid without a reason.
    Invalid,
}

/// What becomes of a call that a fault is waiting for.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Spoils {
    /// It is spoiled like this.
    Kind(FaultKind),
    /// It is answered so.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The JSON.
        body: serde_json::Value,
    },
}

impl Spoils {
    /// The spoiled answer; `None`: the usual one.
    pub(crate) async fn answer(&self) -> Option<Response> {
        match self {
            Self::Kind(kind) => kind.answer().await,
            Self::Answer { status, body } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
                Some((status, axum::Json(body.clone())).into_response())
            }
        }
    }

    /// What becomes of a usual answer.
    pub(crate) async fn spoil(&self, response: Response) -> Response {
        match self {
            Self::Kind(kind) => kind.spoil(response).await,
            Self::Answer { .. } => response,
        }
    }
}

/// A fault that is under way.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub(crate) spoils: Spoils,
    pub(crate) calls: u32,
    /// Only calls that read this account; `None`: all calls.
    pub(crate) account: Option<String>,
    /// Only calls whose path contains this; `None`: all calls.
    pub(crate) path: Option<String>,
}

impl FaultKind {
    /// The spoiled answer; `None`: the usual one.
    pub(crate) async fn answer(self) -> Option<Response> {
        Some(match self {
            Self::Slow => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                return None;
            }
            Self::BusinessUsedUp | Self::NoEnd => return None,
            Self::BadRequest => graph(&GraphError::new(100, Some(33), "Unsupported get request.")),
            Self::Invalid => {
                json_text(r#"{"data":{"is_valid":false,"scopes":[],"expires_at":0,"data_access_expires_at":0}}"#)
            }
            Self::Unavailable => {
                let error = GraphError { status: 503, ..GraphError::new(2, None, "Service temporarily unavailable") };
                graph(&error)
            }
            Self::BadGateway => (StatusCode::BAD_GATEWAY, "<html><body>502 Bad Gateway</body></html>").into_response(),
            Self::Timeout => {
                tokio::time::sleep(Duration::from_mins(2)).await;
                StatusCode::GATEWAY_TIMEOUT.into_response()
            }
            Self::Html => {
                ([(header::CONTENT_TYPE, "text/html")], "<!doctype html><title>Sorry</title>").into_response()
            }
            Self::WrongTypes => json_text(r#"{"data":{"user_id":{},"username":7,"paging":[]}}"#),
            Self::Truncated => json_text(r#"{"data":[{"id":"1790000"#),
            Self::Huge => {
                let chunk = vec![b' '; 1 << 20];
                let stream = futures::stream::iter((0..100).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
                Body::from_stream(stream).into_response()
            }
            Self::Drip => {
                let bytes = futures::stream::unfold(0, async |sent: u32| {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    (sent < 600).then(|| (Ok::<_, std::io::Error>(vec![b' ']), sent + 1))
                });
                Body::from_stream(bytes).into_response()
            }
            Self::Transient => {
                let mut body = GraphError::new(2, None, "An unexpected error has occurred. Please retry.").body();
                body["error"]["is_transient"] = true.into();
                (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
            }
            Self::AppThrottled => {
                let mut response = graph(&GraphError::new(4, None, "Application request limit reached"));
                let usage = HeaderValue::from_static(r#"{"call_count":100,"total_time":25,"total_cputime":25}"#);
                response.headers_mut().insert("x-app-usage", usage);
                response
            }
            Self::UserThrottled => graph(&GraphError::new(17, None, "User request limit reached")),
        })
    }

    /// What becomes of a usual answer.
    pub(crate) async fn spoil(self, mut response: Response) -> Response {
        match self {
            Self::BusinessUsedUp => {
                let usage = r#"{"178414":[{"type":"instagram","call_count":100,"total_cputime":20,"total_time":20,"estimated_time_to_regain_access":30}]}"#;
                response.headers_mut().insert("x-business-use-case-usage", HeaderValue::from_static(usage));
                response
            }
            Self::NoEnd => {
                let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap_or_default();
                let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                if let Some(fields) = answer.as_object_mut() {
                    fields.remove("expires_in");
                }
                axum::Json(answer).into_response()
            }
            _ => response,
        }
    }
}

fn json_text(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// An error as an answer.
pub(crate) fn graph(error: &GraphError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, axum::Json(error.body())).into_response()
}
