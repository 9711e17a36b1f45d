//! An account's posts, page by page.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{
    MetaError,
    shape::{Each, id, possible, readable, text, web_link},
};

const FIELDS: &str = "id,caption,media_type,media_url,thumbnail_url,permalink,timestamp";
/// What the call is called where its failure is told.
pub(crate) const MEDIA: &str = "media";
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
    #[serde(default, deserialize_with = "media_type")]
    pub media_type: MediaType,
    /// Where the picture or video is. Missing when it has been flagged for copyright. Runs out after some time.
    #[serde(default, deserialize_with = "web_link")]
    pub media_url: Option<String>,
    /// A video's still picture.
    #[serde(default, deserialize_with = "web_link")]
    pub thumbnail_url: Option<String>,
    /// Its page at Instagram.
    #[serde(default, deserialize_with = "web_link")]
    pub permalink: Option<String>,
    /// When it was published.
    #[serde(deserialize_with = "timestamp")]
    pub timestamp: DateTime<Utc>,
}

/// What a post is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MediaType {
    /// A picture.
    Image,
    /// A video or reel.
    Video,
    /// Several in one.
    CarouselAlbum,
    /// A kind that came after this program.
    #[default]
    #[serde(other)]
    Other,
}

/// Meta writes `2026-11-23T10:00:00+0000`, without the colon that RFC 3339 wants.
fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text)
        .or_else(|_| DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%z"))
        .map_err(D::Error::custom)
        .and_then(|at| possible(at.to_utc()).ok_or_else(|| D::Error::custom("an instant that can't be")))
}

/// What a post is; anything that isn't known counts as another kind.
fn media_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MediaType, D::Error> {
    let name = serde_json::Value::String(text(deserializer)?);
    Ok(serde_json::from_value(name).unwrap_or_default())
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    data: Each,
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

/// How many accounts' sizes are remembered.
const SIZES: usize = 10_000;
/// How long: then as many as usual are asked for again.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// How many posts Meta gives at once, of accounts of which it didn't give as many as usual. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sizes(Arc<Mutex<HashMap<String, Size>>>);

/// How many, and since when.
#[derive(Debug)]
struct Size(usize, DateTime<Utc>);

impl Sizes {
    fn of(&self, account: &str, now: DateTime<Utc>) -> usize {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = sizes.get(account).filter(|Size(_, since)| now - *since < REMEMBERED);
        lately.map_or(PAGE_LIMIT, |Size(size, _)| *size)
    }

    fn remember(&self, account: &str, size: usize, now: DateTime<Utc>) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() >= SIZES {
            sizes.clear();
        }
        sizes.insert(account.to_owned(), Size(size, now));
    }
}

/// Posts, gathered page by page until there are enough or no more.
pub(crate) struct Pages {
    account: String,
    sizes: Sizes,
    now: DateTime<Utc>,
    limit: usize,
    posts: Vec<Post>,
    /// How many could not be read.
    odd: usize,
    next: Next,
}

/// So many posts that can't be read, and none that can, are another form than the documented one.
const ANOTHER_FORM: usize = 2;
/// So many that can't be read end the search for more.
const ODD_LIMIT: usize = 100;

enum Next {
    First,
    After(String),
    Nothing,
}

impl Pages {
    /// None of an account's yet; at most `limit` in the end.
    pub(crate) fn new(limit: usize, sizes: &Sizes, account: &str, now: DateTime<Utc>) -> Self {
        let (account, sizes) = (account.to_owned(), sizes.clone());
        Self { account, sizes, now, limit, posts: Vec::new(), odd: 0, next: Next::First }
    }

    /// What to ask for next. The next page is asked for by its cursor, never by following the URL that Meta answers.
    pub(crate) fn query(&self) -> Option<Vec<(&'static str, String)>> {
        let missing = self.limit.saturating_sub(self.posts.len());
        let mut query = vec![("fields", FIELDS.to_owned()), ("limit", self.at_once(missing).to_string())];
        match &self.next {
            _ if missing == 0 || self.odd >= ODD_LIMIT || self.is_of_another_form() => return None,
            Next::First => {}
            Next::After(cursor) => query.push(("after", cursor.clone())),
            Next::Nothing => return None,
        }
        Some(query)
    }

    fn at_once(&self, missing: usize) -> usize {
        missing.min(self.sizes.of(&self.account, self.now))
    }

    /// Takes a page. Posts that can't be read are left out. Where Meta wants to be asked for less, half as many are asked for
    /// for a day.
    ///
    /// # Errors
    /// What the call met otherwise.
    pub(crate) fn add(&mut self, answer: Result<Answer, MetaError>) -> Result<(), MetaError> {
        let asked = self.at_once(self.limit.saturating_sub(self.posts.len()));
        let answer = match answer {
            Err(error) if error.wants_less() && asked > 1 => {
                self.sizes.remember(&self.account, asked / 2, self.now);
                return Ok(());
            }
            answer => answer?,
        };
        let after = answer.paging.filter(|paging| paging.next.is_some()).and_then(|paging| paging.cursors?.after);
        self.next = match after {
            Some(cursor) if !answer.data.is_empty() => Next::After(cursor),
            _ => Next::Nothing,
        };
        let before = self.posts.len();
        self.posts.extend(readable::<Post>(&answer.data));
        self.odd += answer.data.len() - (self.posts.len() - before);
        Ok(())
    }

    fn is_of_another_form(&self) -> bool {
        self.posts.is_empty() && self.odd >= ANOTHER_FORM
    }

    /// What was gathered.
    ///
    /// # Errors
    /// When there were several posts, and none could be read.
    pub(crate) fn into_posts(mut self) -> Result<Vec<Post>, MetaError> {
        if self.is_of_another_form() {
            return Err(MetaError::unreadable(MEDIA, "none of its posts is as documented"));
        }
        self.posts.truncate(self.limit);
        Ok(self.posts)
    }
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

    #[test]
    fn an_odd_post_hides_no_other() {
        let odd = [
            r#"{"id":"2","media_type":"IMAGE"}"#,
            r#"{"media_type":"IMAGE","timestamp":"2026-11-23T10:00:00+0000"}"#,
            r#"{"id":"3","timestamp":"yesterday"}"#,
            "null",
            "[]",
            "1e999",
        ];
        let good =
            r#"{"id":"1","media_type":null,"caption":7,"media_url":{"x":1},"timestamp":"2026-11-23T10:00:00+0000"}"#;
        let page = |posts: &[&str]| {
            serde_json::from_str::<Answer>(&format!(r#"{{"data":[{}]}}"#, posts.join(","))).expect("a page")
        };
        let pages = || Pages::new(10, &Sizes::default(), "1", DateTime::UNIX_EPOCH);
        for odd in odd {
            let mut read = pages();
            read.add(Ok(page(&[odd, good, odd]))).expect("one is left");
            let posts = read.into_posts().expect("one is left");
            assert_eq!(posts.len(), 1, "{odd}");
            assert_eq!((posts[0].media_type, posts[0].caption.as_str()), (MediaType::Other, ""));
        }
        // The newest alone, as a check asks for it, shows that posts are read.
        let mut newest = pages();
        newest.add(Ok(page(&odd[..1]))).expect("read");
        assert_eq!(newest.into_posts(), Ok(vec![]));
        let mut all = pages();
        all.add(Ok(page(&odd))).expect("read");
        assert!(matches!(all.into_posts(), Err(MetaError::Unreadable { .. })));
        // However many pages of them Meta gives.
        let more = r#"{"data":[{"id":"2"}],"paging":{"cursors":{"after":"x"},"next":"y"}}"#;
        let (mut endless, mut turned) = (pages(), 0);
        while endless.query().is_some() {
            endless.add(Ok(serde_json::from_str(more).expect("a page"))).expect("read");
            turned += 1;
        }
        assert_eq!(turned, ANOTHER_FORM);
    }

    #[test]
    fn after_a_day_as_many_posts_as_usual_are_asked_for_again() {
        let sizes = Sizes::default();
        let asked = |day: i64| {
            let pages = Pages::new(100, &sizes, "1", DateTime::UNIX_EPOCH + TimeDelta::days(day));
            pages.query().expect("more").into_iter().find(|(name, _)| *name == "limit").expect("a limit").1
        };
        sizes.remember("1", 25, DateTime::UNIX_EPOCH);
        assert_eq!((asked(0), asked(1)), ("25".to_owned(), "100".to_owned()));
    }

    #[test]
    fn only_web_links_are_kept() {
        for (given, kept) in [
            ("https://cdn.example/a.jpg?oe=1", true),
            ("http://cdn.example/a.jpg", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("//cdn.example/a.jpg", false),
            (" JaVaScRiPt:alert(1)", false),
        ] {
            let post = serde_json::json!({"id": "1", "media_type": "IMAGE", "timestamp": "2026-11-23T10:00:00+0000",
                "media_url": given, "thumbnail_url": given, "permalink": given});
            let post: Post = serde_json::from_value(post).expect("read");
            let expected = kept.then(|| given.to_owned());
            assert_eq!(
                [post.media_url, post.thumbnail_url, post.permalink],
                [expected.clone(), expected.clone(), expected],
                "{given}"
            );
        }
    }

    #[test]
    fn an_instant_that_no_database_can_keep_is_no_timestamp() {
        let post = r#"{"id":"1","media_type":"IMAGE","timestamp":"+262142-12-31T23:59:59+0000"}"#;
        assert!(serde_json::from_str::<Post>(post).is_err());
    }
}
