//! The API's description (OpenAPI 3.1), made from the table of routes, and a page to explore it.
//!
//! What holds for every route of a kind is added here, so that no handler can forget it: who may call it, the answers of
//! the gate and of the layers, `min_position`, `Idempotency-Key`, and the headers of each answer.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::Path,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Components,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

use super::{
    Who,
    route::{API, Route},
    table,
};
use crate::{
    error::{Error, problem::Details},
    pages::see_other,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Relight",
        description = "Keeps Instagram connections working. Times are RFC 3339 in UTC. Errors are problem details \
            (RFC 9457). `x-roles` names the roles of the keys that may call an operation."
    ),
    servers((url = "/api/v1")),
    tags(
        (name = "accounts", description = "Connected Instagram accounts."),
        (name = "widgets", description = "Embeds that show an account's posts."),
        (name = "members", description = "People who sign in."),
        (name = "events", description = "The journal, an account's history, and the job queue."),
        (name = "webhooks", description = "Endpoints that are notified, and what was delivered.")
    )
)]
struct Base;

/// The description, made once.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| describe(table()).to_string().into());

/// `GET /api/v1/openapi.json`.
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

/// What the table's routes take and answer.
fn describe(routes: Vec<Route>) -> Value {
    let mut base = Base::openapi();
    let components = base.components.get_or_insert_with(Components::new);
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key.")).build();
    components.add_security_scheme("key", SecurityScheme::Http(key));
    components.schemas.insert("Problem".to_owned(), Details::schema());
    let mut nested = Vec::new();
    Details::schemas(&mut nested);
    components.schemas.extend(nested);
    let mut common = Vec::new();
    for mut route in routes {
        if let Some(description) = route.description.take() {
            components.schemas.extend(description.schemas);
            base.paths.merge(description.paths);
            common.push((route.method, route.path, route.who));
        }
    }
    let mut document = serde_json::to_value(&base).unwrap_or_default();
    for (method, path, who) in common {
        let path = path.strip_prefix(API).unwrap_or(path);
        let operation = &mut document["paths"][path][method.as_str().to_lowercase()];
        complete(operation, &method, path, who);
    }
    document
}

/// Adds to an operation what holds for all of its kind.
fn complete(operation: &mut Value, method: &Method, path: &str, who: Who) {
    let writes = *method != Method::GET;
    let body = operation["requestBody"].is_object();
    let roles: Vec<_> =
        if let Who::Keys(roles) = who { roles.iter().map(|role| role.name()).collect() } else { vec![] };
    let every_key = roles.len() == 4;
    operation["security"] = json!([{"key": []}]);
    operation["x-roles"] = json!(roles);
    for (applies, status, text) in [
        (true, 400, "The request can't be read."),
        (true, 401, "No API key, or an unknown one."),
        (!every_key, 403, "The role of the key does not allow it."),
        (path.contains('{'), 404, "It does not exist."),
        (writes, 408, "The body did not arrive in time."),
        (writes, 409, "It was changed at the same time."),
        (writes, 413, "The request is too large."),
        (body, 415, "The body is not JSON."),
        (writes, 422, "A rule was broken, or the Idempotency-Key was used for another request."),
        (true, 429, "Too often. `Retry-After` says when to try again, in seconds."),
        (true, 500, "A fault of the service; `reference` finds it in the log."),
        (true, 503, "The database can't be reached, or too much is asked for at once. See `Retry-After`."),
    ] {
        if applies {
            operation["responses"][status.to_string()] = problem(text, status);
        }
    }
    let responses = operation["responses"].as_object_mut();
    for (_, answer) in responses.into_iter().flatten().filter(|(status, _)| status.starts_with('2')) {
        answer["headers"]["Relight-Position"] = json!({
            "description": "How far into the journal the answer goes.",
            "schema": {"type": "integer", "format": "int64", "minimum": 0},
        });
        answer["headers"]["X-Request-Id"] = json!({
            "description": "The request's id, as it stands in the log and in the metadata of events.",
            "schema": {"type": "string", "format": "uuid"},
        });
    }
    if *method == Method::POST {
        let success = operation["responses"].as_object_mut().into_iter().flatten();
        for (_, answer) in success.filter(|(status, _)| status.starts_with('2') || status.starts_with('4')) {
            answer["headers"]["Idempotency-Replayed"] = json!({
                "description": "The request was answered before, and this is that answer.",
                "schema": {"type": "string", "const": "true"},
            });
        }
    }
    let given = match *method {
        Method::GET => json!({
            "name": "min_position", "in": "query", "required": false,
            "description": "Waits, for a second at most, until the views have reached this position of the journal.",
            "schema": {"type": "integer", "format": "int64", "minimum": 0},
        }),
        Method::POST => json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A request that is repeated with its key within two days gets the first answer, and is not \
                            carried out again.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }),
        _ => return,
    };
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(given),
        None => operation["parameters"] = json!([given]),
    }
}

fn problem(text: &str, status: u16) -> Value {
    let mut answer = json!({
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    if matches!(status, 429 | 503) {
        let schema = json!({"type": "integer", "minimum": 1});
        answer["headers"]["Retry-After"] = json!({"description": "Seconds.", "schema": schema});
    }
    if status == 401 {
        answer["headers"]["WWW-Authenticate"] = json!({"schema": {"type": "string"}});
    }
    answer
}

/// `GET /docs`.
pub async fn explorer_home() -> Response {
    see_other("/docs/")
}

/// `GET /docs/`.
pub async fn explorer_index() -> Result<Response, Error> {
    explorer_file("")
}

/// `GET /docs/{file}`.
pub async fn explorer(Path(file): Path<String>) -> Result<Response, Error> {
    explorer_file(&file)
}

fn explorer_file(name: &str) -> Result<Response, Error> {
    let config = Arc::new(Config::from("/api/v1/openapi.json"));
    let file = utoipa_swagger_ui::serve(name, config).map_err(|error| Error::Internal(anyhow::anyhow!("{error}")))?;
    let file = file.ok_or(Error::Missing)?;
    // Compiled in: a client that doesn't read must cost no copy.
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, file.content_type)], bytes).into_response();
    if file.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
