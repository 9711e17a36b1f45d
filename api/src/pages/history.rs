//! An account's token history as its page shows it, and what its verdict rests on.

use std::{collections::BTreeMap, fmt::Write};

use axum_login::AuthnBackend;
use chrono::{DateTime, Utc};
use domain::{Evidence, TokenEvent, UserId, failure::Call};
use engine::Filter;
use projections::{
    accounts::{Account, Status},
    story::{self, About},
};
use store::Event;

use super::short;
use crate::{
    app::App,
    error::Error,
    sign_in::{User, Users},
    words::Moment,
};

/// How many events of the history the page shows.
const HISTORY: usize = 100;
/// A story is told from its first event; this many are read at most.
const STORY: i64 = 10_000;

/// One event as the page shows it.
pub(super) struct ChapterRow {
    pub(super) words: String,
    pub(super) who: String,
    pub(super) when: Moment,
    pub(super) state: String,
    pub(super) clocks: Option<String>,
    pub(super) position: i64,
    /// What it rests on, if a token expired with it.
    pub(super) evidence: Option<String>,
}

/// The history, newest first, and whether older events were left out. Events name nobody; here people are called by name,
/// as long as they can sign in.
pub(super) async fn chapters(
    app: &App,
    account: &Account,
    me: &User,
    now: DateTime<Utc>,
) -> Result<(Vec<ChapterRow>, bool), Error> {
    let filter = Filter { aggregate_id: Some(account.id.to_string()), ..Filter::default() };
    let events = app.store().events(&filter, STORY).await?;
    let cut = events.len() > HISTORY;
    let mut names = Names { users: Users::new(app.database().clone()), me: me.id, known: BTreeMap::new() };
    let mut rows = Vec::new();
    for chapter in story::tell(events).into_iter().rev().take(HISTORY) {
        let who = match chapter.recorded.actor.strip_prefix("user:") {
            Some(id) => names.of(id).await?,
            None => who(&chapter.recorded.actor).to_owned(),
        };
        let words = match chapter.about {
            About::User(id) => chapter.words.replace(&format!("User {id}"), &names.of(&id.to_string()).await?),
            About::Widget(id) => chapter.words.replace(&id.to_string(), &short(&id.to_string())),
            About::Account => chapter.words,
        };
        rows.push(ChapterRow {
            words: capital(&words),
            who,
            when: Moment { at: chapter.recorded.at, now },
            state: chapter.state,
            clocks: chapter.clocks,
            evidence: match chapter.event {
                Some(Event::Token(TokenEvent::Expired { evidence, .. })) => Some(rests_on(evidence)),
                _ => None,
            },
            position: chapter.recorded.position,
        });
    }
    Ok((rows, cut))
}

/// What people are called, each looked up once.
struct Names {
    users: Users,
    me: UserId,
    known: BTreeMap<String, String>,
}

impl Names {
    async fn of(&mut self, id: &str) -> Result<String, Error> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let name = match self.users.get_user(&id.to_owned()).await? {
            Some(user) if user.id == self.me => "you".to_owned(),
            // Customers see that it was one of us, not who.
            Some(user) if user.role.is_staff() => "our staff".to_owned(),
            Some(user) => user.email,
            None => "somebody who left".to_owned(),
        };
        self.known.insert(id.to_owned(), name.clone());
        Ok(name)
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An actor as people call it.
pub fn who(actor: &str) -> &'static str {
    match actor.split(':').next().unwrap_or_default() {
        "user" => "somebody signed in",
        "api_key" => "the widget service",
        "visitor" => "somebody with the login",
        "meta" => "Meta",
        "operator" => "an operator",
        _ => "Relight",
    }
}

/// Since when the token can't be used, and by what that is known.
pub(super) fn evidence(chapters: &[ChapterRow], status: Status) -> Option<String> {
    let expired = chapters.iter().find(|chapter| chapter.evidence.is_some())?;
    let rests_on = expired.evidence.as_deref().unwrap_or_default();
    matches!(status, Status::Expired(_)).then(|| format!("Noticed {}: {rests_on}.", expired.when.plain()))
}

/// What Meta answered, by which its support finds the call.
fn rests_on(evidence: Option<Evidence>) -> String {
    let Some(evidence) = evidence else { return "its time ran out".to_owned() };
    let mut said = match evidence.call {
        Call::Pull => "fetching posts",
        Call::Check => "asking about the token",
        Call::Renew => "extending the session",
        Call::Deauthorization => return "Meta told us".to_owned(),
    }
    .to_owned();
    if let Some(permission) = evidence.permission {
        let _ = write!(said, ", without the permission {permission}");
    }
    if let Some(code) = evidence.code {
        let _ = write!(said, ", Meta answered error {code}");
    }
    if let Some(subcode) = evidence.subcode {
        let _ = write!(said, ", subcode {subcode}");
    }
    if let Some(trace) = evidence.trace {
        let _ = write!(said, ", trace {trace}");
    }
    said
}
