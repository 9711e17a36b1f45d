//! What is kept of whom, and for how long; and one's own data.

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use engine::sql;
use serde::Serialize;
use tower_sessions::Session;

use super::{Me, render};
use crate::{
    app::App,
    error::Error,
    sign_in::{Guarded, flash, signed_in::SignedIn},
};

#[derive(Template)]
#[template(path = "data.html")]
struct DataPage {
    me: Me,
    csrf: String,
    said: Option<String>,
    /// What, and for how long.
    kept: Vec<(&'static str, String)>,
}

/// `GET /data`.
pub async fn page(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    session: Session,
) -> Result<Response, Error> {
    let kept = &app.config.retention;
    let days = |days: u32| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    render(&DataPage {
        me: Me::from(&user),
        csrf,
        said: flash::said(&session).await?,
        kept: vec![
            ("The access token, sealed", "until the account is disconnected or erased".to_owned()),
            ("The account's name and picture addresses, and its latest posts", "as long as the account".to_owned()),
            ("Posts of an account that was disconnected, or whose person removed the app", days(kept.posts_days)),
            ("Logins at Instagram and Facebook, and what came of them", days(kept.logins_days)),
            ("Who was told what by mail", days(kept.mails_days)),
            ("What web hooks sent, by ids alone", days(kept.deliveries_days)),
            ("Calls of Meta that failed", days(kept.tries_days)),
            ("Your sign-in: the address, and a hash of the password", "until it is removed".to_owned()),
            ("The event log: what happened, without names", "for good".to_owned()),
        ],
    })
}

/// What is kept of a person who signs in.
#[derive(Debug, Serialize)]
struct Own {
    email: String,
    role: &'static str,
    created_at: Option<DateTime<Utc>>,
    accounts: Vec<OwnAccount>,
    sessions: Vec<OwnSession>,
    mails: Vec<OwnMail>,
}

#[derive(Debug, Serialize)]
struct OwnAccount {
    account_id: String,
    username: Option<String>,
    right: String,
}

#[derive(Debug, Serialize)]
struct OwnSession {
    began_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct OwnMail {
    account_id: String,
    kind: String,
    sent_at: Option<DateTime<Utc>>,
}

/// `GET /data/mine.json`: what is kept of who asks.
pub async fn mine(State(app): State<App>, SignedIn(user): SignedIn) -> Result<Response, Error> {
    let (database, id) = (app.database(), user.id.to_string());
    let created_at: Option<DateTime<Utc>> =
        sql("SELECT created_at FROM users WHERE id = $1").bind(id.as_str()).scalar_optional(database).await?;
    let rights: Vec<(String, Option<String>, String)> =
        sql("SELECT r.account_id, p.username, r.access FROM account_rights_v1 r \
         LEFT JOIN profiles p ON p.account_id = r.account_id WHERE r.user_id = $1 ORDER BY r.account_id")
        .bind(id.as_str())
        .fetch_all(database)
        .await?;
    let sessions: Vec<(DateTime<Utc>, DateTime<Utc>)> =
        sql("SELECT began_at, expires_at FROM browser_sessions WHERE user_id = $1 ORDER BY began_at")
            .bind(id.as_str())
            .fetch_all(database)
            .await?;
    let mails: Vec<(String, String, Option<DateTime<Utc>>)> =
        sql("SELECT account_id, kind, sent_at FROM notices WHERE user_id = $1 ORDER BY created_at")
            .bind(id.as_str())
            .fetch_all(database)
            .await?;
    let own = Own {
        email: user.email,
        role: user.role.name(),
        created_at,
        accounts: rights
            .into_iter()
            .map(|(account_id, username, right)| OwnAccount { account_id, username, right })
            .collect(),
        sessions: sessions.into_iter().map(|(began_at, expires_at)| OwnSession { began_at, expires_at }).collect(),
        mails: mails.into_iter().map(|(account_id, kind, sent_at)| OwnMail { account_id, kind, sent_at }).collect(),
    };
    let named = [(header::CONTENT_DISPOSITION, "attachment; filename=\"relight-my-data.json\"")];
    Ok((named, Json(own)).into_response())
}
