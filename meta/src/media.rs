//! An account's posts, page by page.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{
    MetaError,
    shape::{id, text},
};

const FIELDS: &str = "id,caption,media_type,media_url,thumbnail_url,permalink,timestamp";
/// What Meta gives at most in one page.
const PAGE_LIMIT: usize = 100;

/// One post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Its text.
    #[serde(default, deserialize_with = "text")]
    pub caption: String,
    /// What it is.
    pub media_type: MediaType,
    /// Where the picture or video is. Missing when it has been flagged for copyright. Runs out after some time.
    #[serde(default)]
    pub media_url: Option<String>,
    /// A video's still picture.
    #[serde(default)]
    pub thumbnail_url: Option<String>,
    /// Its page at Instagram.
    #[serde(default)]
    pub permalink: Option<String>,
    /// When it was published.
    #[serde(deserialize_with = "timestamp")]
    pub timestamp: DateTime<Utc>,
}

/// What a post is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MediaType {
    /// A picture.
    Image,
    /// A video or reel.
    Video,
    /// Several in one.
    CarouselAlbum,
    /// A kind that came after this program.
    #[serde(other)]
    Other,
}

/// Meta writes `2026-11-23T10:00:00+0000`, without the colon that RFC 3339 wants.
fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text)
        .or_else(|_| DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%z"))
        .map(|at| at.to_utc())
        .map_err(D::Error::custom)
}

/// Which page to ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    limit: usize,
    after: Option<&'a str>,
}

impl Page<'_> {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("fields", FIELDS.to_owned()), ("limit", self.limit.to_string())];
        query.extend(self.after.map(|after| ("after", after.to_owned())));
        query
    }
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    data: Vec<Post>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    /// Carries the token: only whether it is there matters.
    #[serde(default)]
    next: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default)]
    after: Option<String>,
}

/// Asks for page after page until there are `limit` posts or no more. The next page is asked for by its cursor, never by
/// following the URL that Meta answers.
pub(crate) async fn collect(
    limit: usize,
    ask: impl AsyncFn(Page<'_>) -> Result<Answer, MetaError>,
) -> Result<Vec<Post>, MetaError> {
    let mut posts: Vec<Post> = Vec::new();
    let mut after: Option<String> = None;
    while posts.len() < limit {
        let page = Page { limit: PAGE_LIMIT.min(limit - posts.len()), after: after.as_deref() };
        let answer = ask(page).await?;
        let nothing_new = answer.data.is_empty();
        posts.extend(answer.data);
        after = answer.paging.filter(|paging| paging.next.is_some()).and_then(|paging| paging.cursors?.after);
        if after.is_none() || nothing_new {
            break;
        }
    }
    posts.truncate(limit);
    Ok(posts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_read_with_what_may_be_missing() {
        let post: Post = serde_json::from_str(
            r#"{"id":"1","media_type":"REEL_OF_THE_FUTURE","timestamp":"2026-11-23T10:00:00+0000","username":"x"}"#,
        )
        .expect("read");
        assert_eq!((post.media_type, post.media_url, post.caption.as_str()), (MediaType::Other, None, ""));
        assert_eq!(post.timestamp.to_rfc3339(), "2026-11-23T10:00:00+00:00");
    }
}
