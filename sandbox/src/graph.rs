//! The Graph API of both logins, as far as an embed of posts needs it.

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    faults::graph,
    server::Meta,
    world::{Account, GraphError, Login, Page, Post, Token, World},
};

const MISSING: GraphError = GraphError::new(100, Some(33), "Unsupported get request. Object does not exist.");
const NOT_PERMITTED: GraphError = GraphError::new(10, None, "Application does not have permission for this action");

#[derive(Deserialize)]
pub(crate) struct GraphQuery {
    #[serde(default)]
    access_token: String,
    appsecret_proof: Option<String>,
    input_token: Option<String>,
    #[serde(default)]
    fields: String,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET https://graph.instagram.com/{version}/me`.
pub(crate) async fn instagram_me(State(meta): State<Meta>, Query(query): Query<GraphQuery>) -> Response {
    let world = meta.world();
    answer(|| {
        let token = world.usable(&query.access_token, Login::Instagram)?;
        let account = world.accounts.get(&token.holder).ok_or(MISSING)?;
        // Meta's reference names it as needed for any of this.
        if !world.permitted(token, "instagram_business_basic") {
            return Err(NOT_PERMITTED);
        }
        let me = json!({
            "id": account.app_scoped_id, "user_id": account.id, "username": account.username,
            "account_type": if account.personal { "PERSONAL" } else { "BUSINESS" },
        });
        // Seen both ways, so answered in turns.
        Ok(if world.calls.is_multiple_of(2) { json!({ "data": [me] }) } else { me })
    })
}

/// `GET https://graph.instagram.com/{version}/{ig-id}/media`.
pub(crate) async fn instagram_media(
    State(meta): State<Meta>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<GraphQuery>,
) -> Response {
    let world = meta.world();
    answer(|| {
        let token = world.usable(&query.access_token, Login::Instagram)?;
        let account = world.accounts.get(&id).filter(|account| account.id == token.holder).ok_or(MISSING)?;
        if account.personal || !world.permitted(token, "instagram_business_basic") {
            return Err(NOT_PERMITTED);
        }
        Ok(media(account, &query, &meta.base()))
    })
}

/// `GET https://graph.facebook.com/{version}/debug_token`.
pub(crate) async fn debug_token(State(meta): State<Meta>, Query(query): Query<GraphQuery>) -> Response {
    let world = meta.world();
    let app = &meta.config.facebook_app;
    answer(|| {
        if query.access_token != format!("{}|{}", app.0, app.1) {
            return Err(GraphError::new(190, None, "Invalid OAuth access token signature."));
        }
        if world.restricted.contains(&Login::Facebook) {
            return Err(GraphError::new(200, None, "API access blocked."));
        }
        let string = query.input_token.as_deref().unwrap_or_default();
        let Some(token) = world.tokens.get(string).filter(|token| token.login == Login::Facebook) else {
            let error = json!({"code": 190, "message": "Invalid OAuth access token."});
            return Ok(json!({"data": {"error": error, "is_valid": false, "scopes": []}}));
        };
        let scopes: Vec<_> = token.permissions.iter().filter(|name| world.permitted(token, name)).collect();
        let accounts: Vec<_> = linked(&world, token).map(|account| account.id.clone()).collect();
        let mut data = json!({
            "app_id": app.0, "type": "USER", "is_valid": true, "user_id": token.holder, "scopes": scopes,
            "issued_at": token.issued_at.timestamp(), "expires_at": token.expires_at.timestamp(),
            "data_access_expires_at": token.data_access_expires_at.timestamp(),
            "granular_scopes": [
                {"scope": "pages_show_list", "target_ids": token.pages},
                {"scope": "instagram_basic", "target_ids": accounts},
            ],
        });
        if let Some(dead) = world.why_dead(token) {
            data["is_valid"] = false.into();
            data["error"] = json!({"code": dead.code, "subcode": dead.subcode, "message": dead.message});
        }
        Ok(json!({ "data": data }))
    })
}

/// `GET https://graph.facebook.com/{version}/me/accounts`: two Pages at a time, so that clients must turn pages.
pub(crate) async fn me_accounts(State(meta): State<Meta>, Query(query): Query<GraphQuery>) -> Response {
    const AT_ONCE: usize = 2;
    let world = meta.world();
    answer(|| {
        let token = facebook(&meta, &world, &query)?;
        let person = world.people.get(&token.holder).ok_or(MISSING)?;
        let pages: Vec<_> = person.pages.iter().filter(|page| token.pages.contains(&page.id)).collect();
        let start = after(&query);
        let shown: Vec<_> =
            pages.iter().skip(start).take(AT_ONCE).map(|page| shown_page(&world, page, &query)).collect();
        let next = (start + AT_ONCE < pages.len()).then_some(start + AT_ONCE);
        Ok(paged(&shown, next, &query))
    })
}

/// An edge that nothing here has, unless a test or a person says what it answers.
pub(crate) async fn unknown_edge() -> Response {
    answer(|| Err(GraphError::new(2500, None, "Unknown path components")))
}

/// `GET https://graph.facebook.com/{version}/me/permissions`.
pub(crate) async fn me_permissions(State(meta): State<Meta>, Query(query): Query<GraphQuery>) -> Response {
    let world = meta.world();
    answer(|| {
        let token = facebook(&meta, &world, &query)?;
        let status = |name: &str| if world.permitted(token, name) { "granted" } else { "declined" };
        let known = Login::Facebook.permissions().iter();
        let list: Vec<_> = known.map(|name| json!({"permission": name, "status": status(name)})).collect();
        Ok(json!({ "data": list }))
    })
}

/// `GET https://graph.facebook.com/{version}/{page-id}?fields=instagram_business_account{id,username}`; an account's id has its
/// name.
pub(crate) async fn page(
    State(meta): State<Meta>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<GraphQuery>,
) -> Response {
    let world = meta.world();
    let app = &meta.config.facebook_app;
    answer(|| {
        if id == app.0 {
            let is_right = query.access_token == format!("{}|{}", app.0, app.1);
            let refused = GraphError::new(190, None, "Invalid OAuth access token signature.");
            return if is_right { Ok(json!({ "id": id })) } else { Err(refused) };
        }
        let token = facebook(&meta, &world, &query)?;
        let person = world.people.get(&token.holder).ok_or(MISSING)?;
        if let Some(account) = linked(&world, token).find(|account| account.id == id) {
            return Ok(json!({"id": account.id, "username": account.username}));
        }
        let page = person.pages.iter().find(|page| page.id == id && token.pages.contains(&id)).ok_or(MISSING)?;
        Ok(shown_page(&world, page, &query))
    })
}

/// `GET https://graph.facebook.com/{version}/{ig-id}/media`.
pub(crate) async fn facebook_media(
    State(meta): State<Meta>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<GraphQuery>,
) -> Response {
    let world = meta.world();
    answer(|| {
        let token = facebook(&meta, &world, &query)?;
        if !world.permitted(token, "instagram_basic") || !world.has_data_access(token) {
            return Err(NOT_PERMITTED);
        }
        let account = linked(&world, token).find(|account| account.id == id).ok_or(MISSING)?;
        Ok(media(account, &query, &meta.base()))
    })
}

/// A Page with the fields that were asked for.
fn shown_page(world: &World, page: &Page, query: &GraphQuery) -> Value {
    let mut body = json!({"id": page.id, "name": page.name});
    if query.fields.contains("instagram_business_account")
        && let Some(account) = page.account.as_ref().and_then(|id| world.accounts.get(id))
    {
        body["instagram_business_account"] = json!({"id": account.id, "username": account.username});
    }
    body
}

/// The token of a call, with the proof that the call comes from the app's server.
fn facebook<'a>(meta: &Meta, world: &'a World, query: &GraphQuery) -> Result<&'a Token, GraphError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(meta.config.facebook_app.1.as_bytes())
        .map_err(|_| GraphError::new(1, None, "An unknown error occurred"))?;
    mac.update(query.access_token.as_bytes());
    if query.appsecret_proof.as_deref() != Some(&format!("{:x}", mac.finalize().into_bytes())) {
        return Err(GraphError::new(100, None, "Invalid appsecret_proof provided in the API argument"));
    }
    world.usable(&query.access_token, Login::Facebook)
}

/// The accounts that a Facebook token reaches: those linked to the ticked Pages.
fn linked<'a>(world: &'a World, token: &'a Token) -> impl Iterator<Item = &'a Account> {
    let pages = world.people.get(&token.holder).map_or(&[][..], |person| &person.pages);
    let ticked = pages.iter().filter(|page| token.pages.contains(&page.id));
    ticked.filter_map(|page| world.accounts.get(page.account.as_ref()?))
}

fn media(account: &Account, query: &GraphQuery, base: &str) -> Value {
    let limit = query.limit.unwrap_or(25).clamp(1, 100);
    let start = after(query);
    let posts: Vec<_> =
        account.posts.iter().skip(start).take(limit).map(|post| shown(post, &account.username, base)).collect();
    let next = (start + limit < account.posts.len()).then_some(start + limit);
    paged(&posts, next, query)
}

fn shown(post: &Post, username: &str, base: &str) -> Value {
    let mut body = json!({
        "id": post.id, "caption": post.caption, "media_type": post.media_type, "username": username,
        "media_url": format!("{base}/pictures/{}.svg", post.id),
        "permalink": format!("{base}/p/{}/", post.id),
        "timestamp": meta_time(post.at),
    });
    if post.media_type == "VIDEO" {
        body["thumbnail_url"] = body["media_url"].take();
        body["media_url"] = format!("{base}/pictures/{}.svg?video", post.id).into();
    }
    body
}

/// Meta writes times without a colon in the offset.
fn meta_time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

fn after(query: &GraphQuery) -> usize {
    query.after.as_deref().and_then(|cursor| cursor.strip_prefix("QVF")?.parse().ok()).unwrap_or(0)
}

fn paged(data: &[Value], next: Option<usize>, query: &GraphQuery) -> Value {
    let Some(next) = next else { return json!({ "data": data }) };
    // The `next` URL carries the token, as Meta's does; who follows or logs it has a leak.
    let url = format!("https://graph.example/next?access_token={}&after=QVF{next}", query.access_token);
    json!({"data": data, "paging": {"cursors": {"after": format!("QVF{next}")}, "next": url}})
}

fn answer(decide: impl FnOnce() -> Result<Value, GraphError>) -> Response {
    match decide() {
        Ok(body) => Json(body).into_response(),
        Err(error) => graph(&error),
    }
}
