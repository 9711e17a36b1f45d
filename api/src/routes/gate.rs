//! The gate before each route: who calls, and whether the table lets them.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_login::AuthSession;

use super::Who;
use crate::{
    app::App,
    error::Error,
    pages::see_other,
    sign_in::{Users, api_key::Caller},
};

/// What the gate of a route knows.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What handlers share.
    pub app: App,
    /// Who may call the route.
    pub who: Who,
}

/// Lets a request through to its handler, or refuses it: 401 without a key or a session (a page leads to the sign-in and
/// back), 403 for a key of another role, and 404 for a signed-in person of another role, who does not learn that there is
/// such a page.
pub async fn gate(State(Gate { app, who }): State<Gate>, request: Request, next: Next) -> Response {
    match who {
        Who::Anyone => next.run(request).await,
        Who::People(roles) => {
            let session = request.extensions().get::<AuthSession<Users>>();
            match session.and_then(|session| session.user.as_ref()) {
                Some(user) if roles.contains(&user.role) => next.run(request).await,
                Some(_) => Error::Missing.into_response(),
                None => sign_in_first(&request),
            }
        }
        Who::Keys(roles) => {
            let (mut parts, body) = request.into_parts();
            match Caller::from_request_parts(&mut parts, &app).await {
                Ok(caller) if roles.contains(&caller.role) => {
                    parts.extensions.insert(caller);
                    next.run(Request::from_parts(parts, body)).await
                }
                Ok(_) => Error::Forbidden("The role of this key does not allow it.").into_response(),
                Err(error) => error.into_response(),
            }
        }
    }
}

fn sign_in_first(request: &Request) -> Response {
    let path = request.uri().path_and_query().map_or("/accounts", |path| path.as_str());
    if request.method() != Method::GET || request.uri().path().ends_with("/live") {
        return Error::SignIn.into_response();
    }
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    see_other(&format!("/login?next={next}"))
}
