//! Operations: whether everything answers, what Meta allows, what is due, and incidents.

use std::time::Duration;

use askama::{
    Template,
    filters::{Html, escape},
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use commands::{
    clock::Standing,
    incident::{Close, Incident},
};
use domain::Connection;
use meta::{Budget, RESERVED_FROM, SLOWER_FROM};
use projections::jobs;

use super::{Me, render, see_other, short};
use crate::{
    app::App,
    error::Error,
    reach::{self, Reached},
    sign_in::{Guarded, Nothing, Posted, Role, signed_in::SignedIn},
    words::{self, Moment},
};

/// How long the page waits for Meta.
const META_TIMEOUT: Duration = Duration::from_secs(2);
/// How many businesses' own budgets are shown.
const BUSINESSES: usize = 10;
/// How many accounts that a projection has set aside are shown.
const LISTED: i64 = 20;
/// How many incidents are shown.
const INCIDENTS: i64 = 10;

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    me: Me,
    csrf: String,
    warnings: Vec<String>,
    addresses: Vec<(&'static str, &'static str, String)>,
    engine: &'static str,
    /// What is wrong with the vault's keys, if something is.
    vault: Option<String>,
    keys: String,
    clock: Standing,
    meta: Vec<Reached>,
    followers: Vec<FollowerRow>,
    aside: Vec<AsideRow>,
    work: Vec<WorkRow>,
    budgets: Vec<BudgetRow>,
    incidents: Vec<IncidentRow>,
    held: i64,
    is_admin: bool,
}

struct IncidentRow {
    id: String,
    login: &'static str,
    words: String,
    is_open: bool,
}

struct FollowerRow {
    name: String,
    kind: &'static str,
    version: i64,
    position: i64,
    behind: i64,
    quarantined: i64,
    failure: Option<(i64, String)>,
}

struct AsideRow {
    projection: String,
    account: String,
    position: i64,
    failure: String,
    since: String,
}

struct WorkRow {
    kind: String,
    account: String,
    short: String,
    due: String,
    attempts: i64,
    last_error: String,
}

struct BudgetRow {
    login: &'static str,
    state: &'static str,
    /// As HTML.
    words: String,
    more: String,
}

/// `GET /operations`.
pub async fn operations(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
) -> Result<Response, Error> {
    let now = app.commands.clock.now();
    let head = app.store().head().await?;
    let followers = app.registry.states(app.store()).await?.into_iter().map(|state| FollowerRow {
        behind: head - state.position,
        kind: state.kind.name(),
        name: state.name,
        version: state.version,
        position: state.position,
        quarantined: state.quarantined,
        failure: state.failure,
    });
    let aside = engine::quarantined(app.store(), None, LISTED).await?.into_iter().map(|aside| AsideRow {
        projection: aside.projection,
        account: aside.aggregate_id,
        position: aside.position,
        failure: aside.failure,
        // On the database's clock.
        since: aside.since.format("%F %T UTC").to_string(),
    });
    let work = jobs::waiting(app.database(), 20).await?.into_iter().map(|waiting| WorkRow {
        kind: waiting.kind,
        short: short(&waiting.key),
        account: waiting.key,
        due: waiting.due_at.map_or_else(String::new, |at| Moment { at, now }.to_string()),
        attempts: waiting.attempts,
        last_error: waiting.last_error.unwrap_or_default(),
    });
    let offered = Connection::ALL.into_iter().filter(|connection| app.commands.offers(*connection));
    let addresses = offered.flat_map(|connection| {
        app.config.callbacks(connection).map(|(field, address)| (words::button(connection), field, address))
    });
    let incidents = app.commands.incidents(INCIDENTS).await?.into_iter().map(|incident| incident_row(incident, now));
    render(&OperationsPage {
        incidents: incidents.collect(),
        held: app.commands.held().await?,
        is_admin: user.role == Role::Admin,
        me: Me::from(&user),
        csrf,
        warnings: warnings(&app),
        addresses: addresses.collect(),
        engine: app.database().dialect().name(),
        vault: app.proof.ask(&app).await?,
        keys: app.commands.vault.key_ids().collect::<Vec<_>>().join(", "),
        clock: app.commands.clock.standing(),
        meta: reach::meta(&app.config, META_TIMEOUT).await,
        followers: followers.collect(),
        aside: aside.collect(),
        work: work.collect(),
        budgets: Connection::ALL.into_iter().flat_map(|connection| budgets(&app, connection, now)).collect(),
    })
}

/// What an operator should change.
fn warnings(app: &App) -> Vec<String> {
    let mut warnings = Vec::new();
    if !app.config.is_https() {
        warnings.push(
            "http.public_url is not https: outside of a test on your own machine, Meta accepts no such address, and \
             cookies travel unprotected."
                .to_owned(),
        );
    }
    if app.config.is_https() && app.config.http.trusted_proxies.is_empty() {
        warnings.push(
            "http.public_url is https, so a proxy is in front, but http.trusted_proxies lists none: all people behind it \
             count as one, and share one limit of sign-ins and logins. List it."
                .to_owned(),
        );
    }
    let proxies: Vec<_> = app.proxies.seen().iter().map(ToString::to_string).collect();
    if !proxies.is_empty() {
        warnings.push(format!(
            "{} forwards requests for others, but http.trusted_proxies does not list it: all people behind it count as \
             one, and share one limit of sign-ins and logins. List it if it is your proxy.",
            proxies.join(", ")
        ));
    }
    warnings
}

/// How much of what Meta allows an app is used up, in words; then the same of the businesses that are short.
fn budgets(app: &App, connection: Connection, now: DateTime<Utc>) -> Vec<BudgetRow> {
    let Some(usage) = app.commands.budget(connection).map(Budget::usage) else { return Vec::new() };
    let at = |at| Moment { at, now }.to_string();
    let (state, words) = match (usage.paused_until, usage.app) {
        (Some(until), _) => ("expired", format!("Paused: calls go on {}", at(until))),
        (None, Some((percent, _))) if percent >= RESERVED_FROM => {
            ("expired", format!("{percent:.0} %: only what somebody waits for"))
        }
        (None, Some((percent, _))) if percent >= SLOWER_FROM => ("soon", format!("{percent:.0} %: calls are spaced")),
        (None, Some((percent, _))) => ("active", format!("{percent:.0} % used")),
        (None, None) => ("active", "Not told yet".to_owned()),
    };
    let told = usage.app.map(|(_, told)| format!("Meta told it {}.", at(told)));
    let known = match usage.use_cases {
        0 => None,
        1 => Some("One business with a budget of its own is known.".to_owned()),
        many => Some(format!("{many} businesses with budgets of their own are known.")),
    };
    let more = [told, known].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let own = usage.short.iter().take(BUSINESSES).map(|short| BudgetRow {
        login: connection.login(),
        state: if short.paused_until.is_some() { "expired" } else { "soon" },
        words: match short.paused_until {
            Some(until) => format!("Paused: calls go on {}", at(until)),
            None => format!("{:.0} %: calls are spaced", short.percent),
        },
        more: format!("Business {}, alone.", short.id),
    });
    let app = BudgetRow { login: connection.login(), state, words, more };
    std::iter::once(app).chain(own).collect()
}

fn incident_row(incident: Incident, now: DateTime<Utc>) -> IncidentRow {
    let moment = |at| Moment { at, now }.to_string();
    // Meta's words go into a page.
    let said = incident.words.as_ref().and_then(|words| Some(escape(words, Html).ok()?.to_string()));
    let hit = match (incident.cause.is_some(), said) {
        (true, Some(said)) => said,
        (_, said) => {
            let Incident { accounts, called, .. } = &incident;
            let said = said.map_or_else(String::new, |said| format!(". The last time: {said}"));
            format!("Meta refused the tokens of {accounts} of {called} accounts that were called{said}")
        }
    };
    let words = match (incident.closed_at, incident.outcome.as_deref()) {
        (Some(closed), outcome) => {
            let how = match outcome {
                Some("released") => "an admin released it",
                Some("dismissed") => "an admin dismissed it",
                Some("nobody_left") => "no account was left to ask",
                _ => "calls work again",
            };
            format!("{}: {hit}. Over {}: {how}.", moment(incident.opened_at), moment(closed))
        }
        (None, _) => format!("Since {}: {hit}.", moment(incident.opened_at)),
    };
    IncidentRow { login: incident.connection.0.login(), is_open: incident.closed_at.is_none(), id: incident.id, words }
}

/// `POST /operations/incidents/{id}/{how}`.
pub async fn close_incident(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path((id, how)): Path<(String, String)>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let how = match how.as_str() {
        "release" => Close::Released,
        "dismiss" => Close::Dismissed,
        _ => return Err(Error::Missing),
    };
    app.commands.close_incident(&id, how, Some(user.id)).await?;
    Ok(see_other("/operations"))
}
