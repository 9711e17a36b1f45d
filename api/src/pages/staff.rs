//! Pages for staff: the event log, and finding an attempt by its reference.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use commands::attempt::{self, Phase};
use domain::AccountId;
use engine::{Filter, Recorded};
use projections::{accounts, story};
use serde::Deserialize;

use super::{Me, account::attempt_words, history::who, render, short};
use crate::{
    app::App,
    error::Error,
    input::is_event_type,
    query::Query,
    sign_in::{Guarded, signed_in::SignedIn},
    words::{self, Moment},
};

const LIMIT: i64 = 100;

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    me: Me,
    csrf: String,
    account: String,
    event_type: String,
    after: String,
    events: Vec<EventRow>,
    next: Option<String>,
    wrong: Option<Wrong>,
}

/// A field of the filter that can't be read.
struct Wrong {
    field: &'static str,
    text: &'static str,
}

impl EventsPage {
    fn is_wrong(&self, field: &str) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| wrong.field == field)
    }
}

struct EventRow {
    position: i64,
    when: Moment,
    event_type: String,
    words: String,
    payload: String,
    metadata: String,
    who: &'static str,
    account: String,
    short: String,
}

/// What the event log is asked for.
#[derive(Debug, Deserialize)]
pub struct EventsQuery {
    #[serde(default)]
    account: String,
    #[serde(default, rename = "type")]
    event_type: String,
    #[serde(default)]
    after: String,
}

/// `GET /events`.
pub async fn events(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Error> {
    let (events, wrong) = match query.filter() {
        Ok(filter) => (app.store().events(&filter, LIMIT).await?, None),
        Err(wrong) => (Vec::new(), Some(wrong)),
    };
    let more = events.len() == usize::try_from(LIMIT).unwrap_or(usize::MAX);
    let next = events.last().filter(|_| more).map(|last| {
        let mut next = url::form_urlencoded::Serializer::new(String::from("/events?"));
        next.append_pair("account", &query.account).append_pair("type", &query.event_type);
        next.append_pair("after", &last.position.to_string()).finish()
    });
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let now = app.commands.clock.now();
    let row = |event: Recorded| EventRow {
        position: event.position,
        when: Moment { at: event.at, now },
        words: story::read(&event).0,
        payload: event.payload.get().to_owned(),
        metadata: event.metadata.get().to_owned(),
        who: who(&event.actor),
        short: short(&event.aggregate_id),
        account: event.aggregate_id,
        event_type: event.event_type,
    };
    let page = render(&EventsPage {
        me: Me::from(&user),
        csrf,
        wrong,
        events: events.into_iter().map(row).collect(),
        next,
        account: query.account,
        event_type: query.event_type,
        after: query.after,
    })?;
    Ok((status, page).into_response())
}

impl EventsQuery {
    /// The filter that was typed, or the first field that can't be read.
    fn filter(&self) -> Result<Filter, Wrong> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let wrong = |field, text| Wrong { field, text };
        let account = given(&self.account).map(|text| text.parse::<AccountId>()).transpose();
        let event_type = given(&self.event_type);
        if event_type.as_ref().is_some_and(|text| !is_event_type(text)) {
            return Err(wrong("type", "An event's type has letters and digits only, 64 at most."));
        }
        let after = given(&self.after).map_or(Ok(0), |text| text.parse());
        Ok(Filter {
            aggregate_id: account
                .map_err(|_| wrong("account", "That is not the id of an account."))?
                .map(|account| account.to_string()),
            event_type,
            after: after
                .ok()
                .filter(|after| *after >= 0)
                .ok_or(wrong("after", "A position is a whole number from 0 on."))?,
            ..Filter::default()
        })
    }
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    me: Me,
    csrf: String,
    reference: String,
    found: Option<Found>,
}

struct Found {
    title: String,
    texts: Vec<String>,
    began: Moment,
    purpose: &'static str,
    login: &'static str,
    accounts: Vec<(String, String)>,
    code: Option<u16>,
}

/// Which attempt to find.
#[derive(Debug, Deserialize)]
pub struct FindQuery {
    #[serde(default)]
    reference: String,
}

/// `GET /attempts`.
pub async fn find(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    Query(query): Query<FindQuery>,
) -> Result<Response, Error> {
    let reference = attempt::spelled(&query.reference);
    let attempt = match reference.len() {
        1..=20 => app.commands.attempt_of_reference(&reference).await?,
        _ => None,
    };
    let mut accounts = Vec::new();
    if let Some(attempt) = &attempt {
        for id in app.commands.accounts_of_attempt(attempt.id).await? {
            let known = accounts::account_for(app.database(), id, user.role.viewer(user.id)).await?;
            let name =
                known.map_or_else(|| "an account that is gone".to_owned(), |account| format!("@{}", account.username));
            accounts.push((id.to_string(), name));
        }
    }
    let now = app.commands.clock.now();
    let found = attempt.map(|attempt| {
        let telling = match &attempt.phase {
            Phase::Finished(outcome) | Phase::Waiting(outcome) => Some(words::outcome(outcome)),
            _ => None,
        };
        Found {
            title: attempt_words(&attempt),
            code: telling.as_ref().and_then(|telling| telling.code),
            texts: telling.map(|telling| telling.text).unwrap_or_default(),
            began: Moment { at: attempt.started_at, now },
            purpose: words::purpose(attempt.purpose),
            login: attempt.connection.login(),
            accounts,
        }
    });
    render(&FindPage { me: Me::from(&user), csrf, reference, found })
}
