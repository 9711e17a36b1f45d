//! What is kept of the person behind an account, as JSON.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use commands::attempt::Attempt;
use domain::account::Plan;
use meta::MediaType;
use projections::feeds;
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::find;
use crate::{app::App, error::Error, pages::account::attempt_words, sign_in::api_key::Caller};

/// What is kept of the person behind an account. The access token is not shown to anybody.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonalData {
    /// Meta's id of the account.
    instagram_id: String,
    /// Its name.
    username: String,
    /// When a person last went through the login.
    granted_at: Option<DateTime<Utc>>,
    /// The posts that its widgets show.
    posts: Vec<Post>,
    /// The latest logins, newest first.
    logins: Vec<Login>,
}

/// A post.
#[derive(Debug, Serialize, ToSchema)]
struct Post {
    /// Meta's id of it.
    id: String,
    /// Its text.
    caption: String,
    /// `IMAGE`, `VIDEO`, `CAROUSEL_ALBUM`, or `OTHER` for a kind that this version does not know.
    #[schema(value_type = String)]
    media_type: MediaType,
    /// Where the picture or video is, for some time.
    media_url: Option<String>,
    /// Where a video's still picture is.
    thumbnail_url: Option<String>,
    /// Its page at Instagram.
    permalink: Option<String>,
    /// When it was published.
    timestamp: DateTime<Utc>,
}

impl From<meta::Post> for Post {
    fn from(post: meta::Post) -> Self {
        let meta::Post { id, caption, media_type, media_url, thumbnail_url, permalink, timestamp } = post;
        Self { id, caption, media_type, media_url, thumbnail_url, permalink, timestamp }
    }
}

/// A trip to Meta's login.
#[derive(Debug, Serialize, ToSchema)]
struct Login {
    /// What pages show of it.
    reference: String,
    /// When it began.
    started_at: DateTime<Utc>,
    /// What came of it.
    outcome: String,
}

/// What is kept of the person behind an account.
#[utoipa::path(get, operation_id = "get_account_data", path = "/accounts/{id}/data", params(("id" = Uuid, Path, description = "The id.")), tag = "accounts",
    responses((status = 200, body = PersonalData)))]
pub async fn data(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<PersonalData>, Error> {
    let account = find(&app, &caller, &id).await?;
    let feed = feeds::feed(app.database(), account.id, Plan::Upgraded).await?;
    let posts = feed.as_ref().map_or("[]", |feed| feed.posts.as_str());
    let posts: Vec<meta::Post> = serde_json::from_str(posts).map_err(|error| Error::Internal(error.into()))?;
    let posts = posts.into_iter().map(Post::from).collect();
    let login = |attempt: Attempt| Login {
        outcome: attempt_words(&attempt),
        started_at: attempt.started_at,
        reference: attempt.reference,
    };
    let logins = app.commands.attempts_of_account(account.id, 100).await?.into_iter().map(login).collect();
    let (instagram_id, username, granted_at) = (account.instagram_id, account.username, account.granted_at);
    Ok(Json(PersonalData { instagram_id, username, granted_at, posts, logins }))
}
