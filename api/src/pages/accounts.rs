//! The list of accounts that somebody sees.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use projections::accounts::{self, Account, Cursor, Filter, Status};
use serde::Deserialize;

use super::{
    Me,
    invitations::{Offer, offers},
    render, see_other,
};
use crate::{
    app::App,
    error::Error,
    query::Query,
    sign_in::{Guarded, signed_in::SignedIn},
    words::{self, Moment},
};

const LIMIT: i64 = 50;
/// How many characters of a name are searched for.
const SEARCHED: usize = 100;

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    me: Me,
    csrf: String,
    live: String,
    q: String,
    status: String,
    counts: [i64; 3],
    incidents: Vec<&'static str>,
    total: i64,
    accounts: Vec<Row>,
    next: Option<String>,
    may_connect: bool,
    offers: Vec<Offer>,
    /// What is wrong with what was searched for.
    wrong: Option<&'static str>,
}

struct Row {
    id: String,
    username: String,
    pill: &'static str,
    status: String,
    connection: &'static str,
    widgets: i64,
    since: Moment,
}

/// What the list is asked for.
#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: String,
}

/// `GET /`.
pub async fn home() -> Response {
    see_other("/accounts")
}

/// `GET /accounts`.
pub async fn list(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    Query(query): Query<ListQuery>,
) -> Result<Response, Error> {
    let viewer = user.role.viewer(user.id);
    let wrong = (searched(&query).chars().count() > SEARCHED).then_some("That is too long to search for.");
    let filter = filter(&query)?;
    let live = super::live::state(&app, &[]).await?;
    let mut found = match wrong {
        None => accounts::list(app.database(), viewer, &filter, LIMIT + 1).await?,
        Some(_) => Vec::new(),
    };
    let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > LIMIT;
    found.truncate(usize::try_from(LIMIT).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|last| {
        let mut next = url::form_urlencoded::Serializer::new(String::from("/accounts?"));
        let after = Cursor::of(&filter, last).to_string();
        next.append_pair("q", &query.q).append_pair("status", &query.status).append_pair("after", &after);
        next.finish()
    });
    let now = app.commands.clock.now();
    let counts = accounts::counts(app.database(), viewer).await?;
    let row = |account: Account| Row {
        id: account.id.to_string(),
        pill: pill(&account, now),
        status: status_words(&account, now),
        connection: words::button(account.connection),
        widgets: account.free_widgets + account.upgraded_widgets,
        since: Moment { at: account.since, now },
        username: account.username,
    };
    let page = render(&AccountsPage {
        may_connect: user.role.edits(),
        offers: if user.role.edits() { offers(&app, &user).await? } else { Vec::new() },
        me: Me::from(&user),
        csrf,
        live,
        total: counts.iter().sum(),
        counts,
        incidents: open_incidents(&app).await?,
        accounts: found.into_iter().map(row).collect(),
        next,
        q: query.q,
        status: query.status,
        wrong,
    })?;
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, page).into_response())
}

/// What is searched for.
fn searched(query: &ListQuery) -> &str {
    query.q.trim().trim_start_matches('@')
}

/// The logins whose apps have an open incident.
async fn open_incidents(app: &App) -> Result<Vec<&'static str>, Error> {
    let incidents = app.commands.open_incidents().await?.into_iter();
    Ok(incidents.map(|incident| incident.connection.0.login()).collect())
}

/// What a query leaves, checked.
fn filter(query: &ListQuery) -> Result<Filter, Error> {
    let status = Some(query.status.as_str()).filter(|status| !status.is_empty());
    if status.is_some_and(|status| !["active", "expired", "disconnected"].contains(&status)) {
        return Err(Error::Bad("There is no such status.".to_owned()));
    }
    let search = Some(searched(query).to_owned()).filter(|search| !search.is_empty());
    with_cursor(Filter { status: status.map(str::to_owned), search, after: None }, &query.after)
}

/// Adds where the list goes on; nothing is its beginning.
///
/// # Errors
/// [`Error::Bad`] if it is no cursor of ours, or one of a list in another order.
pub fn with_cursor(mut filter: Filter, after: &str) -> Result<Filter, Error> {
    if after.is_empty() {
        return Ok(filter);
    }
    let cursor = Some(after).filter(|text| text.len() <= 300).and_then(|text| text.parse().ok());
    filter.after = cursor.filter(|cursor: &Cursor| cursor.fits(&filter));
    if filter.after.is_some() { Ok(filter) } else { Err(Error::Bad("That is no cursor of this list.".to_owned())) }
}

/// How long before the end an account counts as expiring soon: the last of the days on which a person can still act.
const SOON: chrono::TimeDelta = chrono::TimeDelta::days(7);

fn ends_soon(account: &Account, now: chrono::DateTime<chrono::Utc>) -> bool {
    let ends = [account.expires_at, account.data_access_expires_at].into_iter().flatten().min();
    account.status == Status::Active && ends.is_some_and(|end| end - now < SOON)
}

/// The class of the account's pill.
pub fn pill(account: &Account, now: chrono::DateTime<chrono::Utc>) -> &'static str {
    if ends_soon(account, now) { "soon" } else { account.status.name() }
}

/// What the pill says.
pub fn status_words(account: &Account, now: chrono::DateTime<chrono::Utc>) -> String {
    if ends_soon(account, now) { "Expiring soon".to_owned() } else { words::status(account.status) }
}
