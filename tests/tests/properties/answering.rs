//! A server that answers what it is given, to clients of Meta's APIs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Response},
};
use chrono::DateTime;
use meta::{Business, BusinessConfig, Consumer, ConsumerConfig, Http};
use tokio::{net::TcpListener, task::AbortHandle};
use url::Url;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            // What no header may hold is never sent.
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                response = response.header(name, value);
            }
        }
        response.body(Body::from(self.body)).expect("an answer")
    }
}

/// The secret of both apps.
pub(crate) const APP_SECRET: &str = "the secret of the test's app";

/// Clients of both logins, whose requests get the answers that stand in a list, and empty lists after them.
pub(crate) struct Clients {
    pub(crate) consumer: Consumer,
    pub(crate) business: Business,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    server: AbortHandle,
}

impl Clients {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let root = Url::parse(&format!("http://{}", listener.local_addr().expect("an address"))).expect("a URL");
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let next = answers.clone();
        let answer = move || {
            let next: Option<Answer> = next.lock().expect("unbroken").pop_front();
            let nothing = Answer { status: 200, headers: Vec::new(), body: br#"{"data":[]}"#.to_vec() };
            std::future::ready(next.unwrap_or(nothing).into_response())
        };
        let server = tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
        let client = meta::client(PATIENCE).expect("a client");
        let http = || Http::new(client.clone(), Arc::new(|| DateTime::UNIX_EPOCH));
        let (app_id, version) = ("1".to_owned(), "v25.0".to_owned());
        let consumer = ConsumerConfig {
            app_id: app_id.clone(),
            app_secret: APP_SECRET.into(),
            authorize_url: root.clone(),
            token_url: root.clone(),
            graph_url: root.clone(),
            version: version.clone(),
        };
        let business = BusinessConfig {
            app_id,
            app_secret: APP_SECRET.into(),
            dialog_url: root.clone(),
            graph_url: root,
            version,
            config_id: None,
            extra_permissions: Vec::new(),
        };
        Self {
            consumer: Consumer::new(consumer, http()),
            business: Business::new(business, http()),
            answers,
            server: server.abort_handle(),
        }
    }

    /// What the next requests are answered.
    pub(crate) fn will_hear(&self, answers: Vec<Answer>) {
        *self.answers.lock().expect("unbroken") = answers.into();
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.server.abort();
    }
}
