//! Shapes that are seen both ways: accept both.

use chrono::{DateTime, Datelike, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::value::RawValue;
use url::Url;

/// An answer that is seen flat, as `{"data":{…}}` and as `{"data":[{…}]}`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Wrapped<T> {
    List { data: (T,) },
    Object { data: T },
    Flat(T),
}

impl<T> Wrapped<T> {
    pub(crate) fn into_inner(self) -> T {
        match self {
            Self::List { data: (inner,) } | Self::Object { data: inner } | Self::Flat(inner) => inner,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(serde_json::Number),
}

/// An id, seen as text and as a number; kept as text.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    };
    // Ids go into paths and rows.
    let plain = !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { Ok(id) } else { Err(D::Error::custom("not an id")) }
}

/// An id that may be absent.
pub(crate) fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "id")] String);
    Ok(Option::<Id>::deserialize(deserializer)?.map(|id| id.0))
}

/// A whole number in whatever form; anything else counts as absent.
pub(crate) fn optional_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// Whether it is true; anything else counts as not.
pub(crate) fn yes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(matches!(serde_json::Value::deserialize(deserializer)?, serde_json::Value::Bool(true)))
}

/// A text; anything else counts as absent.
pub(crate) fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

/// A text; anything else counts as an empty one.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(some_text(deserializer)?.unwrap_or_default())
}

/// Permissions, seen as a list and as a text with commas; `None`: they aren't told.
pub(crate) fn permissions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<String>),
        Text(String),
    }
    Ok(Option::<Form>::deserialize(deserializer)?.map(|form| match form {
        Form::List(list) => list,
        Form::Text(text) => {
            text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        }
    }))
}

/// An instant in the years 1 to 9999: RFC 3339 can write no other, and no database compares one.
pub(crate) fn possible(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9999).contains(&at.year()).then_some(at)
}

/// The longest address of a picture that is kept, in bytes. Signed ones have a few hundred.
const LINK_BYTES: usize = 4096;

/// An address that a browser may open from somebody's website: `http` or `https`. Anything else counts as absent.
pub(crate) fn web_link<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let link = some_text(deserializer)?.filter(|link| link.len() <= LINK_BYTES);
    let is_web = |link: &String| Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    Ok(link.filter(is_web))
}

/// What stands in a list, each read alone: one that is odd hides no other. Texts, since a reader of trees of values refuses
/// numbers and depths that a reader of what is needed skips.
pub(crate) type Each = Vec<Box<RawValue>>;

/// Those of a list that can be read.
pub(crate) fn readable<T: DeserializeOwned>(each: &Each) -> impl Iterator<Item = T> {
    each.iter().filter_map(|one| serde_json::from_str(one.get()).ok())
}

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Profile {
    /// The Instagram professional account's id: the same through both logins.
    #[serde(deserialize_with = "id")]
    pub instagram_id: String,
    /// The name, without `@`.
    pub username: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Answer {
        #[serde(deserialize_with = "id")]
        user_id: String,
        #[serde(default, deserialize_with = "permissions")]
        permissions: Option<Vec<String>>,
    }

    #[test]
    fn each_shape_that_is_seen_is_read() {
        for body in [
            r#"{"data":[{"user_id":17841400000000001,"permissions":"a,b"}]}"#,
            r#"{"data":{"user_id":"17841400000000001","permissions":["a","b"]}}"#,
            r#"{"user_id":"17841400000000001","permissions":"a, b,"}"#,
            r#"{"user_id":17841400000000001,"permissions":["a","b"]}"#,
        ] {
            let answer: Answer = serde_json::from_str::<Wrapped<Answer>>(body).expect(body).into_inner();
            assert_eq!(answer.user_id, "17841400000000001");
            assert_eq!(answer.permissions.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for body in [r#"{"user_id":""}"#, r#"{"user_id":"../me"}"#, r#"{"user_id":1.5}"#, r#"{"user_id":null}"#] {
            assert!(serde_json::from_str::<Answer>(body).is_err(), "{body}");
        }
    }
}
