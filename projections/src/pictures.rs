//! Pictures whose addresses have ended: Meta's carry their end (`oe=`, hex seconds). While an account is pulled they are always fresh;
//! once it isn't, posts go on without them.

use chrono::{DateTime, Utc};
use engine::{Database, StoreError, sql};
use serde_json::Value;

/// How many feeds are looked at once.
const AT_ONCE: i64 = 500;

/// Takes ended pictures out of the feeds of accounts that can't be pulled; of how many feeds.
///
/// # Errors
/// When the database fails.
pub async fn forget_ended(database: &Database, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let feeds: Vec<(String, String, String)> = sql(
        "SELECT f.account_id, f.plan, f.posts FROM feeds f JOIN account_status_v1 s ON s.account_id = f.account_id \
         WHERE (s.status <> 'active' OR s.reading_refused_at IS NOT NULL) AND f.posts LIKE '%oe=%' \
         ORDER BY f.fetched_at LIMIT $1",
    )
    .bind(AT_ONCE)
    .fetch_all(database)
    .await?;
    let mut changed = 0;
    for (account, plan, posts) in feeds {
        let Some(without) = without_ended(&posts, now) else { continue };
        changed += sql("UPDATE feeds SET posts = $1 WHERE account_id = $2 AND plan = $3 AND posts = $4")
            .bind(without)
            .bind(account)
            .bind(plan)
            .bind(posts)
            .execute(database)
            .await?;
    }
    Ok(changed)
}

/// The posts without ended pictures; `None`: none has ended.
fn without_ended(posts: &str, now: DateTime<Utc>) -> Option<String> {
    let mut posts: Vec<Value> = serde_json::from_str(posts).ok()?;
    let mut is_any = false;
    for post in &mut posts {
        for picture in ["media_url", "thumbnail_url"] {
            if post[picture].as_str().is_some_and(|url| has_ended(url, now)) {
                post[picture] = Value::Null;
                is_any = true;
            }
        }
    }
    is_any.then(|| Value::from(posts).to_string())
}

fn has_ended(url: &str, now: DateTime<Utc>) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let end = query.split('&').find_map(|pair| pair.strip_prefix("oe="));
    end.and_then(|end| i64::from_str_radix(end, 16).ok()).is_some_and(|end| end <= now.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_whose_address_has_ended_go() {
        let now = DateTime::from_timestamp(0x6920_0000, 0).expect("a time");
        let posts = r#"[{"id":"1","media_url":"https://cdn.example/a.jpg?x=1&oe=691FFFFF","thumbnail_url":null},
            {"id":"2","media_url":"https://cdn.example/b.jpg?oe=69200001"},{"id":"3","media_url":"https://cdn.example/oe=1"}]"#;
        let without: Vec<Value> =
            serde_json::from_str(&without_ended(posts, now).expect("one has ended")).expect("JSON");
        let kept: Vec<_> = without.iter().map(|post| post["media_url"].is_string()).collect();
        assert_eq!(kept, [false, true, true]);
        assert_eq!(without_ended(&Value::from(without).to_string(), now), None);
    }
}
