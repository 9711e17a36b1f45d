//! Where refusals become bodies: pages for people, problem details for machines.

use std::any::Any;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_login::AuthSession;
use tower_sessions::Session;

use crate::{
    app::App,
    error::{
        Error, Problem,
        details::{details, with_body},
    },
    pages::{Me, message, see_other},
    sign_in::{Users, flash, flash::Typed, form},
};

/// Around pages, inside the session: an error page keeps the reader's navigation, and a form with a wrong field is shown
/// again with what was typed.
pub async fn pages(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if is_machines(request.uri().path()) {
        return next.run(request).await;
    }
    let typed = Typed::default();
    request.extensions_mut().insert(typed.clone());
    let session = request.extensions().get::<Session>().cloned();
    let user = request.extensions().get::<AuthSession<Users>>().and_then(|session| session.user.clone());
    let mut response = next.run(request).await;
    let Some(problem) = taken(&mut response) else { return response };
    if let (Some(field), Some(session), Some(_)) = (&problem.field, &session, &user) {
        return match flash::keep(session, field, typed).await {
            Ok(()) => see_other(&field.page),
            Err(error) => Error::from(error).into_response(),
        };
    }
    let signed_in = match (user, session) {
        (Some(user), Some(session)) => form::token(&session).await.ok().map(|csrf| (Me::from(&user), csrf)),
        _ => None,
    };
    let support = app.config.support.url.as_ref().map(url::Url::as_str);
    with_body(response, message::page(&problem, signed_in, support))
}

/// Around everything: what has no body yet gets one, in the form that the path's readers expect.
pub async fn everything(request: Request, next: Next) -> Response {
    let machine = is_machines(request.uri().path());
    let mut response = next.run(request).await;
    let Some(problem) = taken(&mut response) else { return response };
    let body = if machine { details(&problem, response.status()) } else { message::page(&problem, None, None) };
    with_body(response, body)
}

/// Whether a path is for machines.
fn is_machines(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/meta/")
}

/// The answer to a request whose handler panicked. The panic itself is logged by the runtime's hook.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::Internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
}

/// The refusal that a response stands for, if it has no body of its own.
fn taken(response: &mut Response) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    // The layer that bounds bodies answers in a plain text.
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let silent = kind.is_none_or(|kind| status == StatusCode::PAYLOAD_TOO_LARGE && kind.starts_with(b"text/plain"));
    if !failed || !silent {
        return None;
    }
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        // The sessions' layer answers so while the database is away.
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Some(Problem::of_status(status))
}
