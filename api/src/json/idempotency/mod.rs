//! `Idempotency-Key`: a `POST` that is repeated gives the first answer, and is not carried out again.
//!
//! Source: the IETF draft "The Idempotency-Key HTTP Header Field". The key is reserved for its request before that is carried
//! out, and the answer is kept after it. Should the program die in between, the request is carried out again under the same
//! ids, which changes nothing (commands are idempotent).

mod keys;

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use commands::vault::tables::ANSWERS;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub use keys::forget_before;
use keys::{Keyed, Standing};

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
/// How long a repeated request waits for the first one's answer…
const WAIT: Duration = Duration::from_secs(10);
/// …looking as often as this.
const LOOK: Duration = Duration::from_millis(50);
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
    let keyed = Keyed { hash: hash(&parts, &body), key: key.to_owned(), caller };
    let bound_to = ANSWERS.bound_to(&[&keyed.caller, key]);
    // Carried out also when the caller disconnects: a repeated request waits for this answer.
    let app = app.clone();
    app.clone().to_the_end(async move { reserved(&app, keyed, &bound_to, parts, body, next).await }).await
}

/// Reserves the key and carries the request out, or waits for the answer to the request that has reserved it.
async fn reserved(
    app: &App,
    keyed: Keyed,
    bound_to: &str,
    mut parts: Parts,
    body: Bytes,
    next: Next,
) -> Result<Response, Error> {
    let until = Instant::now() + WAIT;
    let lease = loop {
        match keyed.reserve(app).await? {
            Standing::Reserved(lease) => break lease,
            Standing::Answered(status, sealed) => {
                let body = app.commands.vault.open(&sealed, bound_to)?;
                return Ok(Kept { status, body }.into_response());
            }
            Standing::OfAnother => {
                return Err(Error::Rule("This Idempotency-Key was used for another request.".to_owned()));
            }
            Standing::UnderWay if Instant::now() < until => sleep(LOOK).await,
            Standing::UnderWay => return Err(Error::UnderWay),
        }
    };
    parts.extensions.insert(NewId(keyed.derived()));
    let request = Request::from_parts(parts, Body::from(body));
    carry_out(app, &keyed, &lease, bound_to, next.run(request)).await
}

async fn carry_out(
    app: &App,
    keyed: &Keyed,
    lease: &str,
    bound_to: &str,
    answered: impl Future<Output = Response>,
) -> Result<Response, Error> {
    // A refusal gets its body here: what is kept is the whole answer.
    let (head, body) = details::with_details(answered.await).into_parts();
    let body = to_bytes(body, ANSWER_BYTES).await.map_err(|error| Error::Internal(error.into()))?;
    if is_final(head.status) {
        let sealed = app.commands.vault.seal(&body, bound_to).map_err(Error::from)?;
        keyed.keep(app, lease, head.status, sealed).await?;
    } else {
        keyed.release(app, lease).await?;
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// Whether the same request would be answered so at any time: it was carried out, or can't be read. Anything else, such as
/// a 404 or a limit, can change, and is tried again under the same key.
fn is_final(status: StatusCode) -> bool {
    status.is_success() || matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

impl Keyed {
    /// The same request of the same caller under the same key gives the same id: a UUID of version 8 (RFC 9562, section
    /// 5.8), from SHA-256.
    fn derived(&self) -> Uuid {
        let mut digest = Sha256::new();
        for part in [b"relight idempotency".as_slice(), self.caller.as_bytes(), self.key.as_bytes(), &self.hash] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.finalize()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

fn hash(parts: &Parts, body: &Bytes) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}
