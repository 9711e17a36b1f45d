//! Codes become tokens, short tokens long ones, and long ones are renewed.

use axum::{
    Json,
    extract::{Form, Query, State},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    faults::graph,
    server::Meta,
    world::{GraphError, Login, Token, World},
};

const SHORT: TimeDelta = TimeDelta::hours(1);
const LONG: TimeDelta = TimeDelta::days(60);

#[derive(Deserialize)]
pub(crate) struct CodeForm {
    client_id: String,
    client_secret: String,
    grant_type: Option<String>,
    redirect_uri: Option<String>,
    code: Option<String>,
    fb_exchange_token: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct TokenQuery {
    grant_type: String,
    client_secret: Option<String>,
    access_token: String,
}

/// `POST https://api.instagram.com/oauth/access_token`.
pub(crate) async fn instagram_code(State(meta): State<Meta>, Form(form): Form<CodeForm>) -> Response {
    let refused = |code: u16, message: &str| {
        let status = axum::http::StatusCode::BAD_REQUEST;
        (status, Json(json!({"error_type": "OAuthException", "code": code, "error_message": message}))).into_response()
    };
    if form.client_id != meta.config.instagram_app.0 || form.client_secret != meta.config.instagram_app.1 {
        return refused(400, "Invalid platform app");
    }
    if form.grant_type.as_deref() != Some("authorization_code") {
        return refused(400, "Invalid grant_type");
    }
    let mut world = meta.world();
    let Some(token) = redeem(&mut world, &form, Login::Instagram) else {
        return refused(400, "Matching code was not found or was already used");
    };
    let (user_id, permissions) = (token.holder.clone(), token.permissions.clone());
    let string = world.issue(token);
    // Meta is seen to answer in several shapes; so does the sandbox, in turns.
    let list: Vec<_> = permissions.into_iter().collect();
    let number: u64 = user_id.parse().unwrap_or_default();
    Json(match world.used_codes % 3 {
        0 => json!({"data": [{"access_token": string, "user_id": user_id, "permissions": list.join(",")}]}),
        1 => json!({"access_token": string, "user_id": number, "permissions": list}),
        _ => json!({"access_token": string, "user_id": user_id, "permissions": list.join(",")}),
    })
    .into_response()
}

/// `GET https://graph.instagram.com/access_token`: a short token becomes a long one.
pub(crate) async fn instagram_exchange(State(meta): State<Meta>, Query(query): Query<TokenQuery>) -> Response {
    if query.grant_type != "ig_exchange_token" || query.client_secret.as_deref() != Some(&meta.config.instagram_app.1) {
        return graph(&GraphError::new(101, None, "Error validating client secret."));
    }
    let mut world = meta.world();
    let token = match world.usable(&query.access_token, Login::Instagram) {
        Ok(token) if token.short => token.clone(),
        Ok(_) => return graph(&GraphError::new(452, None, "Session key invalid. This is not a short-lived token.")),
        Err(error) => return graph(&error),
    };
    extended(&mut world, token)
}

/// `GET https://graph.instagram.com/refresh_access_token`: at least 24 hours old, not run out, with the permission.
pub(crate) async fn instagram_renew(State(meta): State<Meta>, Query(query): Query<TokenQuery>) -> Response {
    if query.grant_type != "ig_refresh_token" {
        return graph(&GraphError::new(100, None, "Invalid grant_type"));
    }
    let mut world = meta.world();
    let token = match world.usable(&query.access_token, Login::Instagram) {
        Ok(token) => token.clone(),
        Err(error) => return graph(&error),
    };
    if token.short || world.clock.now() - token.issued_at < TimeDelta::hours(24) {
        return graph(&GraphError::new(100, None, "The access token must be at least 24 hours old."));
    }
    if !world.permitted(&token, "instagram_business_basic") {
        return graph(&GraphError::new(10, None, "Application does not have permission for this action"));
    }
    extended(&mut world, token)
}

/// `GET https://graph.facebook.com/{version}/oauth/access_token`: a code, or a token that still works.
pub(crate) async fn facebook_token(State(meta): State<Meta>, Query(form): Query<CodeForm>) -> Response {
    if form.client_id != meta.config.facebook_app.0 || form.client_secret != meta.config.facebook_app.1 {
        return graph(&GraphError::new(101, None, "Error validating application."));
    }
    let mut world = meta.world();
    if form.grant_type.as_deref() == Some("fb_exchange_token") {
        let string = form.fb_exchange_token.as_deref().unwrap_or_default();
        return match world.usable(string, Login::Facebook).cloned() {
            Ok(token) => extended(&mut world, token),
            Err(error) => graph(&error),
        };
    }
    match redeem(&mut world, &form, Login::Facebook) {
        Some(token) => {
            let string = world.issue(token);
            Json(json!({"access_token": string, "token_type": "bearer", "expires_in": SHORT.num_seconds()}))
                .into_response()
        }
        None => graph(&GraphError::new(100, Some(36009), "This authorization code has been used.")),
    }
}

/// Takes a code, which works once, for an hour, and with the very redirect URI that it was made for.
fn redeem(world: &mut World, form: &CodeForm, login: Login) -> Option<Token> {
    let code = world.codes.remove(form.code.as_deref()?)?;
    world.used_codes += 1;
    let now = world.clock.now();
    let good = code.token.login == login
        && form.redirect_uri.as_deref() == Some(code.redirect_uri.as_str())
        && now - code.token.granted_at < SHORT;
    good.then(|| Token { issued_at: now, expires_at: now + SHORT, ..code.token })
}

fn extended(world: &mut World, token: Token) -> Response {
    let now = world.clock.now();
    let string = world.issue(Token { issued_at: now, expires_at: now + LONG, short: false, ..token });
    let body: Value = json!({"access_token": string, "token_type": "bearer", "expires_in": LONG.num_seconds()});
    Json(body).into_response()
}
