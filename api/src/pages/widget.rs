//! Widgets as websites embed them: a page for frames, and the feed as JSON.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{WidgetId, account::Plan};
use meta::{MediaType, Post};
use moka::future::Cache;
use projections::{
    accounts::{self, Status, Viewer},
    feeds,
    widgets::{self, Widget},
};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    error::{Error, details},
    input,
    routes::headers,
};

/// How long a browser keeps a feed that is empty or can't be renewed: it may come to life any moment.
const SHORTLY: i64 = 60;
/// How long a node serves a feed from memory before it looks again.
const CACHED: TimeDelta = TimeDelta::seconds(1);
/// How long it goes on serving one from memory while the database can't be reached: widgets outlive our troubles.
const KEPT: Duration = Duration::from_hours(6);

/// Feeds as they were served last.
#[derive(Debug, Clone)]
pub struct FeedCache(Cache<WidgetId, Arc<Served>>);

impl Default for FeedCache {
    fn default() -> Self {
        // Bounded by what it holds: 64 MiB of feeds.
        let weigh = |_: &WidgetId, served: &Arc<Served>| u32::try_from(served.body.len() + 256).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(64 << 20).weigher(weigh).time_to_live(KEPT).build())
    }
}

/// A feed as it is served.
#[derive(Debug)]
struct Served {
    body: Bytes,
    etag: HeaderValue,
    /// Until when browsers may keep it.
    fresh_until: DateTime<Utc>,
    posts: Bytes,
    username: String,
    removed: bool,
    loaded_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Shown<'a> {
    account: ShownAccount<'a>,
    posts: &'a RawValue,
    fetched_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct ShownAccount<'a> {
    username: &'a str,
    status: &'static str,
}

async fn served(app: &App, id: &str) -> Result<Arc<Served>, Error> {
    let id: WidgetId = id.parse().map_err(|_| Error::Missing)?;
    let known = app.feeds.0.get(&id).await;
    if let Some(known) = &known
        && (app.commands.clock.now() - known.loaded_at).abs() < CACHED
    {
        return Ok(known.clone());
    }
    match (load(app, id).await, known) {
        (Ok(served), _) => {
            let served = Arc::new(served);
            app.feeds.0.insert(id, served.clone()).await;
            Ok(served)
        }
        (Err(Error::Unavailable(_)), Some(known)) => Ok(known),
        (Err(error), _) => Err(error),
    }
}

async fn load(app: &App, id: WidgetId) -> Result<Served, Error> {
    let widget = &widgets::widget(app.database(), id).await?.ok_or(Error::Missing)?;
    let account = accounts::account_for(app.database(), widget.account, Viewer::Staff).await?.ok_or(Error::Missing)?;
    let feed = feeds::feed(app.database(), widget.account, widget.plan).await?.filter(|_| !widget.removed);
    let now = app.commands.clock.now();
    // Read and written anew: what an earlier program stored may hold links that are none of the web's.
    let posts = feed.as_ref().map_or("[]", |feed| feed.posts.as_str());
    let posts: Vec<Post> = serde_json::from_str(posts).map_err(|error| Error::Internal(error.into()))?;
    let posts = serde_json::value::to_raw_value(&posts).map_err(|error| Error::Internal(error.into()))?;
    let shown = Shown {
        account: ShownAccount { username: &account.username, status: account.status.name() },
        posts: &posts,
        fetched_at: feed.as_ref().map(|feed| feed.fetched_at),
    };
    let body = serde_json::to_vec(&shown).map_err(|error| Error::Internal(error.into()))?;
    let hash = format!("{:x}", Sha256::digest(&body));
    Ok(Served {
        etag: HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).map_err(|error| Error::Internal(error.into()))?,
        fresh_until: now + kept(app, widget, account.status, feed.is_some(), now),
        posts: Bytes::from(posts.get().to_owned()),
        username: account.username,
        removed: widget.removed,
        loaded_at: now,
        body: body.into(),
    })
}

/// How long browsers may keep a feed: as long as the plan says, and never past the next pull.
fn kept(app: &App, widget: &Widget, status: Status, filled: bool, now: DateTime<Utc>) -> TimeDelta {
    let shortly = TimeDelta::seconds(SHORTLY);
    if !filled || status != Status::Active {
        return shortly;
    }
    let intervals = app.config.schedule().pull;
    let longest = intervals.of(widget.plan);
    let next = match widget.plan {
        Plan::Upgraded => widget.due_at,
        // A free widget beside upgraded ones advances only when its own time has come.
        Plan::Free => widget.due_at.max(widget.fetched_at.map(|at| at + longest)),
    };
    next.map_or(longest, |next| (next - now).min(longest)).max(TimeDelta::zero())
}

/// `GET /w/{widget}/feed.json`.
pub async fn feed(State(app): State<App>, id: Result<Path<String>, PathRejection>, given: HeaderMap) -> Response {
    let Ok(Path(id)) = id else { return refused(&app, input::path_is_no_text()) };
    match served(&app, &id).await {
        Ok(served) => feed_answer(&app, &served, &given),
        Err(error) => refused(&app, error),
    }
}

/// The feed stands outside of the layers that other answers go through.
fn refused(app: &App, error: Error) -> Response {
    let mut response = details::with_details(error.into_response());
    headers::of_feed(app, response.headers_mut());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn feed_answer(app: &App, served: &Served, given: &HeaderMap) -> Response {
    let seconds = (served.fresh_until - app.commands.clock.now()).num_seconds().max(0);
    let mut answered = HeaderMap::with_capacity(8);
    answered.insert(header::ETAG, served.etag.clone());
    headers::of_feed(app, &mut answered);
    if let Ok(control) = HeaderValue::from_maybe_shared(Bytes::from(format!("public, max-age={seconds}"))) {
        answered.insert(header::CACHE_CONTROL, control);
    }
    if matches(given, &served.etag) {
        return (StatusCode::NOT_MODIFIED, answered).into_response();
    }
    answered.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(served.body.clone().into());
    *response.headers_mut() = answered;
    response
}

/// Source: RFC 9110, section 13.1.2. Weak and strong tags compare alike.
fn matches(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = given.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[derive(Template)]
#[template(path = "widget.html")]
struct WidgetPage {
    title: String,
    empty: &'static str,
    posts: Vec<Tile>,
}

struct Tile {
    href: String,
    picture: Option<String>,
    caption: String,
}

/// Pictures come from Instagram's own servers, whose names change; anybody may frame the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src http: https:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors *";

/// `GET /w/{widget}`.
pub async fn page(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Error> {
    let served = served(&app, &id).await?;
    let posts: Vec<Post> = serde_json::from_slice(&served.posts).map_err(|error| Error::Internal(error.into()))?;
    let page = WidgetPage {
        title: format!("Posts of @{}", served.username),
        empty: if served.removed { "This widget was removed." } else { "The first posts appear here in a moment." },
        posts: posts.into_iter().map(tile).collect(),
    };
    let html = page.render().map_err(|error| Error::Internal(error.into()))?;
    let seconds = (served.fresh_until - app.commands.clock.now()).num_seconds().clamp(0, SHORTLY);
    let control = HeaderValue::from_str(&format!("public, max-age={seconds}"));
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(control) = control {
        headers.insert(header::CACHE_CONTROL, control);
    }
    Ok(response)
}

fn tile(post: Post) -> Tile {
    let picture = match post.media_type {
        MediaType::Video => post.thumbnail_url,
        _ => post.media_url,
    };
    Tile {
        href: post.permalink.unwrap_or_else(|| "https://www.instagram.com/".to_owned()),
        picture,
        caption: post.caption,
    }
}
