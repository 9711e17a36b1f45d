//! `Idempotency-Key`: a `POST` that is repeated gives the first answer, and is not carried out again.
//!
//! Source: the IETF draft "The Idempotency-Key HTTP Header Field". The answer is kept after the work is done; should the
//! program die in between, the work is done again under the same ids, which changes nothing (commands are idempotent).

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use commands::vault::{Sealed, tables::ANSWERS};
use engine::{Database, sql};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    app::App,
    error::{Error, details},
    input,
    sign_in::api_key::Caller,
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes.
const KEY_BYTES: usize = 255;
/// The largest answer that is kept; all of ours are far smaller.
const ANSWER_BYTES: usize = 64 * 1024;

/// An id for what a request creates: derived from its key, so that a repeated request creates nothing new.
#[derive(Debug, Clone, Copy)]
pub struct NewId(pub Uuid);

impl<S: Sync> FromRequestParts<S> for NewId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or_else(|| Self(commands::new_id())))
    }
}

struct Kept {
    status: StatusCode,
    body: Vec<u8>,
}

impl IntoResponse for Kept {
    fn into_response(self) -> Response {
        let kind = if self.status.is_success() { "application/json" } else { "application/problem+json" };
        let is_empty = self.body.is_empty();
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        // An answer without a body has no type.
        if is_empty {
            headers.remove(header::CONTENT_TYPE);
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        response
    }
}

/// Answers a repeated request as the first time, and keeps the answers of others.
pub async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(&KEY).filter(|_| request.method() == Method::POST) else {
        return next.run(request).await;
    };
    let is_key = |key: &&str| (1..=KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().filter(is_key).map(str::to_owned);
    match key {
        Some(key) => answer(&app, &key, request, next).await.unwrap_or_else(IntoResponse::into_response),
        None => {
            let text = format!("Idempotency-Key must have 1 to {KEY_BYTES} visible characters.");
            Error::Bad(text).into_response()
        }
    }
}

async fn answer(app: &App, key: &str, request: Request, next: Next) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, app).await?.id.to_string();
    let body = input::body(body, super::BODY_BYTES).await?;
    let hash = hash(&parts, &body);
    let bound_to = ANSWERS.bound_to(&[&caller, key]);
    if let Some(kept) = kept(app, &caller, key, &hash, &bound_to).await? {
        return Ok(kept.into_response());
    }
    parts.extensions.insert(NewId(derived(&caller, key)));
    // A refusal gets its body here: what is kept is the whole answer.
    let response = details::with_details(next.run(Request::from_parts(parts, Body::from(body))).await);
    let (head, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES).await.map_err(|error| Error::Internal(error.into()))?;
    // What passes may be tried again under the same key.
    let passes = head.status.is_server_error()
        || matches!(head.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT | StatusCode::UNAUTHORIZED);
    if !passes {
        let sealed = app.commands.vault.seal(&body, &bound_to).map_err(Error::from)?;
        keep(app, &caller, key, &hash, head.status, sealed).await?;
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// The same key of the same caller gives the same id: a UUID of version 8 (RFC 9562, section 5.8), from SHA-256.
fn derived(caller: &str, key: &str) -> Uuid {
    let digest = Sha256::digest(format!("relight idempotency {caller} {key}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn hash(parts: &Parts, body: &Bytes) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

async fn kept(app: &App, caller: &str, key: &str, hash: &[u8], bound_to: &str) -> Result<Option<Kept>, Error> {
    let row: Option<(Vec<u8>, i64, String, Vec<u8>)> =
        sql("SELECT request_hash, status, key_id, sealed FROM answers WHERE caller_id = $1 AND key = $2")
            .bind(caller)
            .bind(key)
            .fetch_optional(app.database())
            .await?;
    let Some((known, status, key_id, bytes)) = row else { return Ok(None) };
    if known != hash {
        return Err(Error::Rule("This Idempotency-Key was used for another request.".to_owned()));
    }
    let body = app.commands.vault.open(&Sealed { key_id, bytes }, bound_to)?;
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    Ok(Some(Kept { status: status.unwrap_or(StatusCode::OK), body }))
}

async fn keep(
    app: &App,
    caller: &str,
    key: &str,
    hash: &[u8],
    status: StatusCode,
    sealed: Sealed,
) -> Result<(), Error> {
    let mut tx = app.database().begin().await?;
    sql("INSERT INTO answers (caller_id, key, request_hash, status, key_id, sealed, answered_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (caller_id, key) DO NOTHING")
    .bind(caller)
    .bind(key)
    .bind(hash)
    .bind(i64::from(status.as_u16()))
    .bind(&sealed.key_id)
    .bind(&sealed.bytes)
    .bind(app.commands.clock.now())
    .execute(&mut tx)
    .await?;
    Ok(tx.commit().await?)
}

/// Forgets answers from before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(database: &Database, at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    sql("DELETE FROM answers WHERE answered_at < $1").bind(at).execute(&mut tx).await?;
    tx.commit().await
}
