//! The one way to Meta over HTTP: bounded in time and size, following no redirect, quiet about secrets.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use reqwest::{
    RequestBuilder, Response, StatusCode,
    header::{DATE, HeaderMap},
    redirect,
};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use serde::de::DeserializeOwned;

use crate::{
    Budget, ErrorAnswer, MetaError, Now,
    media::Sizes,
    presence::{LastCalls, Presence},
};

/// The longest answer that is read. A page of 100 posts with long captions has about 500 KiB.
const LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// TLS of all clients: by ring, which the database's client uses as well, and trusting whom the system trusts. The system's
/// certificates are read once.
static TLS: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    // Whoever installed one first did it here: an error says only that it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(ClientConfig::builder().with_platform_verifier()?.with_no_client_auth())
});

/// Where every client begins.
#[expect(clippy::disallowed_methods, reason = "this is the place that builds the clients")]
pub fn builder() -> reqwest::ClientBuilder {
    match &*TLS {
        Ok(tls) => reqwest::Client::builder().tls_backend_preconfigured(tls.clone()),
        // It says the same when the client is built.
        Err(_) => reqwest::Client::builder(),
    }
}

/// A client with our limits: connecting and the whole call are bounded in time, and no redirect is followed, since it
/// would carry the token to wherever it leads.
///
/// # Errors
/// When TLS can't be set up on this machine.
pub fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    builder()
        .user_agent(concat!("Relight/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .build()
}

/// An answer that took longer says too little about what time it is.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Who is told what time Meta says it is.
pub type Heard = Arc<dyn Fn(DateTime<Utc>) + Send + Sync>;

/// Sends calls and reads answers.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    budget: Budget,
    last_calls: LastCalls,
    heard: Option<Heard>,
    sizes: Sizes,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("budget", &self.budget)
            .field("last_calls", &self.last_calls)
            .finish_non_exhaustive()
    }
}

impl Http {
    /// Calls through this client, which [`client`] should have made.
    ///
    /// Each app at Meta has its own, for each has its own budget.
    pub fn new(client: reqwest::Client, now: Now) -> Self {
        Self {
            client,
            budget: Budget::new(now),
            last_calls: LastCalls::default(),
            heard: None,
            sizes: Sizes::default(),
        }
    }

    /// Tells what time each answer says it is (its `Date`, whole seconds).
    #[must_use]
    pub fn telling(self, heard: Heard) -> Self {
        Self { heard: Some(heard), ..self }
    }

    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    pub(crate) fn presence(&self) -> Presence {
        self.last_calls.presence()
    }

    /// Asks what time it is: any answer of Meta's says so.
    pub(crate) async fn ask_the_time(&self, url: reqwest::Url) -> Result<(), MetaError> {
        self.answer(self.client.get(url)).await.map(drop)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, MetaError> {
        let begun = Instant::now();
        let response = request.send().await.map_err(|error| {
            self.last_calls.unanswered();
            unreachable(&error)
        })?;
        // What stands before Meta may have another clock.
        let is_of_meta = response.status() < StatusCode::INTERNAL_SERVER_ERROR;
        if is_of_meta {
            self.last_calls.answered();
        } else {
            self.last_calls.unanswered();
        }
        if let (Some(heard), Some(date), true) = (&self.heard, date(response.headers()), is_of_meta)
            && begun.elapsed() < AT_ONCE
        {
            heard(date);
        }
        Ok(response)
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn get(&self, url: reqwest::Url, query: &[(&str, &str)]) -> RequestBuilder {
        self.client.get(url).query(query)
    }

    pub(crate) fn post(&self, url: reqwest::Url, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(url).form(form)
    }

    /// Sends a call and reads its answer. `call`: what it is called where its failure is told.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        call: &'static str,
        request: RequestBuilder,
    ) -> Result<T, MetaError> {
        self.send_about(call, None, request).await
    }

    /// Sends a call about an account and reads its answer.
    pub(crate) async fn send_about<T: DeserializeOwned>(
        &self,
        call: &'static str,
        account: Option<&str>,
        request: RequestBuilder,
    ) -> Result<T, MetaError> {
        let mut response = self.answer(request).await?;
        let status = response.status();
        let shut_out = self.budget.read(response.headers(), account);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > LIMIT_BYTES {
                return Err(MetaError::unreadable(call, "it is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        let body = without_nul(body);
        // An error is an error whatever the status says.
        if let Some(mut answer) = ErrorAnswer::read(call, status.as_u16(), &body) {
            answer.shut_out = shut_out;
            return Err(MetaError::Answer(Box::new(answer)));
        }
        if !status.is_success() {
            return Err(MetaError::Status { call, status: status.as_u16() });
        }
        read(call, &body)
    }
}

/// Reads an answer as what is documented; where it isn't that, the error says at which place.
fn read<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, MetaError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|error| {
        // Names of Meta's fields; any other key may be whatever was sent.
        let is_field = |part: &str| {
            part.len() <= 40 && part.chars().all(|c| c.is_ascii_lowercase() || c == '_' || "[0123456789]".contains(c))
        };
        let path = error.path().to_string();
        let parts: Vec<_> = path.split('.').take(6).map(|part| if is_field(part) { part } else { "…" }).collect();
        let path = parts.join(".");
        MetaError::unreadable(call, format!("it is not the documented JSON at {path}"))
    })
}

/// What time an answer says it is.
pub fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?);
    Some(date.ok()?.to_utc())
}

/// An answer whose texts have no NUL character, which PostgreSQL's texts can't hold: each becomes the replacement
/// character. In JSON it has only one spelling (RFC 8259, section 7), and a backslash stands only before what it escapes.
/// The text is changed, not a tree of values: a reader of trees refuses numbers and depths that the reader of an answer
/// skips where they stand in fields that it doesn't know.
fn without_nul(mut body: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(escape) = body.get_mut(at..) {
        match escape {
            [b'\\', b'u', digits @ ..] if digits.starts_with(b"0000") => digits[..4].copy_from_slice(b"fffd"),
            _ => {}
        }
        at += if escape.first() == Some(&b'\\') { 2 } else { 1 };
    }
    body
}

/// What reqwest says would show the URL, and with it the token.
fn unreachable(error: &reqwest::Error) -> MetaError {
    MetaError::Unreachable(if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_body() || error.is_decode() {
        "the answer was cut off"
    } else {
        "the call failed"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_in_an_answers_text_is_replaced_and_a_backslash_is_not() {
        let clean = |body: &str| String::from_utf8(without_nul(body.as_bytes().to_vec())).expect("a text");
        assert_eq!(
            clean(r#"{"username":"a\u0000b","data":["\u0000"]}"#),
            r#"{"username":"a\ufffdb","data":["\ufffd"]}"#
        );
        assert_eq!(clean(r#"{"caption":"\\u0000"}"#), r#"{"caption":"\\u0000"}"#);
        assert_eq!(clean(r#"{"caption":"\\\u0000"}"#), r#"{"caption":"\\\ufffd"}"#);
        assert_eq!(clean(r#"{"caption":"\\"}"#), r#"{"caption":"\\"}"#);
        assert_eq!(clean(r"\u000"), r"\u000");
        assert_eq!(clean("\\"), "\\");
    }

    #[test]
    fn nul_is_replaced_beside_fields_that_no_tree_of_values_holds() {
        #[derive(serde::Deserialize)]
        struct Named {
            name: String,
        }
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        for odd in ["1e999", r#""\ud800""#, &deep] {
            let body = format!(r#"{{"odd":{odd},"name":"a\u0000"}}"#).into_bytes();
            let named: Named = serde_json::from_slice(&without_nul(body)).expect("read");
            assert_eq!(named.name, "a\u{fffd}", "{odd}");
        }
    }
}
