//! Sessions: new at each sign-in, hashed in the database, over at their end, and streams with them.

use std::time::Duration;

use ::api::sign_in::{Role, sessions::Sessions};
use domain::Connection;
use engine::{on_both_engines, sql};
use futures::future::join_all;
use reqwest::{Response, StatusCode};
use sandbox::person::values_of;
use tests::{
    browser::Browser,
    relight::{PASSWORD, Relight},
};
use tower_sessions::{SessionStore, session::Id};

/// The value of the session's cookie that an answer sets.
fn session_of(answer: &Response) -> Option<String> {
    let mut cookies = answer.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let value = cookies.find_map(|cookie| cookie.strip_prefix("relight_session="))?;
    Some(value.split(';').next().unwrap_or_default().to_owned())
}

const FIELDS: [(&str, &str); 2] = [("email", "ann@example.com"), ("password", PASSWORD)];

on_both_engines! {
    async fn each_sign_in_has_a_new_session_and_a_new_token(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let first = token(&ann).await;
        // Signed in already, and once more: what somebody knew of the browser before is worth nothing.
        let again = ann.post("/login", &[&FIELDS[..], &[("csrf", &first)]].concat()).await;
        let id = session_of(&again).expect("a new session");
        assert_eq!(again.status(), StatusCode::SEE_OTHER);
        assert_ne!(token(&ann).await, first);
        let third = ann.post("/login", &[&FIELDS[..], &[("csrf", &token(&ann).await)]].concat()).await;
        assert_ne!(session_of(&third).expect("a new session"), id);
    }

    async fn the_database_holds_no_session_id_and_no_password_hash(engine: Engine) {
        let relight = Relight::start(engine).await;
        relight.signed_in("ann@example.com", Role::Owner).await;
        let id = session_of(&relight.browser().post("/login", &FIELDS).await).expect("a session");
        let rows: Vec<String> =
            sql("SELECT data FROM browser_sessions").scalars(relight.store().database()).await.expect("rows");
        assert!(!rows.is_empty());
        for row in rows {
            assert!(!row.contains(&id) && !row.contains("argon2") && !row.contains("$v=19"), "{row}");
        }
    }

    async fn a_session_ends_thirty_days_after_the_sign_in(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        assert_eq!(ann.ask("/accounts").await.status(), StatusCode::OK);
        let month = chrono::TimeDelta::days(30);
        let began = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()) - month;
        set_began(&relight, began + chrono::TimeDelta::hours(1)).await;
        assert_eq!(ann.ask("/accounts").await.status(), StatusCode::OK);
        set_began(&relight, began).await;
        assert_eq!(ann.ask("/accounts").await.status(), StatusCode::SEE_OTHER, "over, however busy it was");
        Sessions::new(relight.store().database().clone()).tidy().await.expect("tidied");
        let rows: i64 = sql("SELECT COUNT(*) FROM browser_sessions")
            .scalar(relight.store().database())
            .await
            .expect("a count");
        assert_eq!(rows, 0);
    }

    async fn a_read_extends_a_session_at_most_hourly(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        ann.open("/settings").await;
        assert_eq!(session_of(&ann.ask("/settings").await), None, "nothing is written a second time");
        sql("UPDATE browser_sessions SET data = REPLACE(data, '\"extended\":', '\"extended\":1,\"old\":')")
            .execute(relight.store().database())
            .await
            .expect("aged");
        assert!(session_of(&ann.ask("/settings").await).is_some(), "an hour later it is extended");
    }

    async fn a_request_under_way_does_not_bring_back_a_session_that_was_signed_out(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let store = Sessions::new(relight.store().database().clone());
        let id = session_of(&ann.post("/login", &[&FIELDS[..], &[("csrf", &token(&ann).await)]].concat()).await).expect("a session");
        let id: Id = id.parse().expect("an id");
        let record = store.load(&id).await.expect("loads").expect("is there");
        assert_eq!(ann.press("/logout", &[]).await.status(), StatusCode::SEE_OTHER);
        store.save(&record).await.expect("nothing happens");
        assert!(store.load(&id).await.expect("loads").is_none());
    }

    async fn a_stream_ends_with_its_session(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        let account = ann.connect(Connection::Consumer, relight.holder("luma.ceramics")).await;
        let mut streams = [ann.ask("/accounts/live").await, ann.ask(&format!("/accounts/{account}/live")).await];
        assert_eq!(ann.press("/logout", &[]).await.status(), StatusCode::SEE_OTHER);
        let ended = join_all(streams.iter_mut().map(async |stream| while stream.chunk().await.is_ok_and(|chunk| chunk.is_some()) {}));
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("streams end");
    }

    async fn a_person_has_twenty_sessions_and_the_oldest_end(engine: Engine) {
        let relight = Relight::start(engine).await;
        let ann = relight.signed_in("ann@example.com", Role::Owner).await;
        for _ in 0..20 {
            relight.browser().sign_in("ann@example.com", PASSWORD).await;
        }
        assert_eq!(ann.ask("/accounts").await.status(), StatusCode::SEE_OTHER, "the first of them is over");
        let rows: i64 =
            sql("SELECT COUNT(*) FROM browser_sessions").scalar(relight.store().database()).await.expect("a count");
        assert_eq!(rows, 20);
    }

    async fn six_at_once_make_one_admin(engine: Engine) {
        let relight = Relight::start(engine).await;
        let path = relight.setup_path();
        let tries = (0..6).map(async |n| {
            let email = format!("root{n}@example.com");
            relight.browser().post(&path, &[("email", &email), ("password", PASSWORD)]).await.status()
        });
        let made = join_all(tries).await.into_iter().filter(|status| *status == StatusCode::SEE_OTHER).count();
        let users: i64 = sql("SELECT COUNT(*) FROM users").scalar(relight.store().database()).await.expect("a count");
        assert_eq!((made, users), (1, 1));
    }

    async fn weak_passwords_are_refused(engine: Engine) {
        let relight = Relight::start(engine).await;
        let path = relight.setup_path();
        for (password, why) in [
            ("fourteen chars", "at least 15 characters"),
            ("passwordpassword", "easy to guess"),
            ("root@example.com", "must not be your e-mail address"),
        ] {
            let answer = relight.browser().post(&path, &[("email", "root@example.com"), ("password", password)]).await;
            assert!(answer.text().await.expect("a page").contains(why), "{password}");
        }
    }
}

/// The token of the browser's session.
async fn token(browser: &Browser) -> String {
    values_of(&browser.open("/settings").await.html, "csrf")[0].clone()
}

async fn set_began(relight: &Relight, at: chrono::DateTime<chrono::Utc>) {
    sql("UPDATE browser_sessions SET began_at = $1").bind(at).execute(relight.store().database()).await.expect("aged");
}
