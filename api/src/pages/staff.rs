//! Pages for staff: the event log, operations, and finding an attempt by its reference.

use std::time::Duration;

use askama::Template;
use axum::{extract::State, response::Response};
use commands::attempt::Phase;
use domain::Connection;
use projections::{accounts, queue, story};
use serde::Deserialize;
use store::{Filter, Recorded};

use super::{Me, account::attempt_words, history::who, render, short};
use crate::{
    app::App,
    error::Error,
    query::Query,
    reach::{self, Reached},
    sign_in::{Guarded, User, user::SignedIn},
    words::{self, Moment},
};

const LIMIT: i64 = 100;
/// How long the page waits for Meta.
const META_TIMEOUT: Duration = Duration::from_secs(2);

fn staff(user: User) -> Result<User, Error> {
    if user.role.is_staff() { Ok(user) } else { Err(Error::Missing) }
}

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
    let user = staff(user)?;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let bad = |text: &str| Error::Bad(text.to_owned());
    let filter = Filter {
        after: given(&query.after).map_or(Ok(0), |text| text.parse()).map_err(|_| bad("A position is a number."))?,
        account: given(&query.account)
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| bad("That is no account's id."))?,
        event_type: given(&query.event_type).filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        ..Filter::default()
    };
    let events = app.store().events(&filter, LIMIT).await?;
    let more = events.len() == usize::try_from(LIMIT).unwrap_or(usize::MAX);
    let next = events.last().filter(|_| more).map(|last| {
        let mut next = url::form_urlencoded::Serializer::new(String::from("/events?"));
        next.append_pair("account", &query.account).append_pair("type", &query.event_type);
        next.append_pair("after", &last.position.to_string()).finish()
    });
    let now = app.commands.clock.now();
    let row = |event: Recorded| -> Result<EventRow, Error> {
        Ok(EventRow {
            position: event.position,
            when: Moment { at: event.at, now },
            words: story::words(&event.event()?),
            payload: event.payload.get().to_owned(),
            metadata: event.metadata.get().to_owned(),
            who: who(&event.actor),
            short: short(&event.account_id),
            account: event.account_id,
            event_type: event.event_type,
        })
    };
    render(&EventsPage {
        me: Me::from(&user),
        csrf,
        events: events.into_iter().map(row).collect::<Result<_, _>>()?,
        next,
        account: query.account,
        event_type: query.event_type,
        after: query.after,
    })
}

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    me: Me,
    csrf: String,
    warning: Option<&'static str>,
    addresses: Vec<(&'static str, &'static str, String)>,
    engine: &'static str,
    meta: Vec<Reached>,
    followers: Vec<FollowerRow>,
    work: Vec<WorkRow>,
}

struct FollowerRow {
    name: String,
    version: i64,
    position: i64,
    behind: i64,
    failure: Option<(i64, String)>,
}

struct WorkRow {
    kind: String,
    account: String,
    short: String,
    due: String,
    attempts: i64,
    last_error: String,
}

/// `GET /operations`.
pub async fn operations(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
) -> Result<Response, Error> {
    let user = staff(user)?;
    let now = app.commands.clock.now();
    let head = app.store().head().await?;
    let followers = projections::states(app.store()).await?.into_iter().map(|state| FollowerRow {
        behind: head - state.position,
        name: state.name,
        version: state.version,
        position: state.position,
        failure: state.failure,
    });
    let work = queue::waiting(app.database(), None, 20).await?.into_iter().map(|waiting| WorkRow {
        kind: waiting.kind,
        short: short(&waiting.account_id),
        account: waiting.account_id,
        due: waiting.due_at.map_or_else(String::new, |at| Moment { at, now }.to_string()),
        attempts: waiting.attempts,
        last_error: waiting.last_error.unwrap_or_default(),
    });
    let offered = Connection::ALL.into_iter().filter(|connection| app.commands.offers(*connection));
    let addresses = offered.flat_map(|connection| {
        app.config.callbacks(connection).map(|(field, address)| (words::button(connection), field, address))
    });
    let warning = (!app.config.is_https()).then_some(
        "http.public_url is not https: outside of a test on your own machine, Meta accepts no such address, and cookies \
         travel unprotected.",
    );
    render(&OperationsPage {
        me: Me::from(&user),
        csrf,
        warning,
        addresses: addresses.collect(),
        engine: app.database().engine(),
        meta: reach::meta(&app.config, META_TIMEOUT).await,
        followers: followers.collect(),
        work: work.collect(),
    })
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
    let user = staff(user)?;
    let reference = query.reference.trim().to_uppercase();
    let attempt = match reference.len() {
        1..=20 if reference.is_ascii() && !reference.contains('\0') => {
            app.commands.attempt_of_reference(&reference).await?
        }
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
            Phase::Finished(outcome) => Some(words::outcome(outcome)),
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
