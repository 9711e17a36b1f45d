//! Accounts as JSON.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use commands::erase::AskedBy;
use domain::{AccountId, LinkId, token::Clock};
use projections::{
    accounts::{self, Cursor, Filter, Status},
    jobs,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    List,
    idempotency::NewId,
    names::{CertaintyName, ConnectionName, DeadlineName, ReadingName, ReasonName, RenewalName, StatusName},
};
use crate::{
    app::App,
    error::Error,
    pages::{account_actions::askable, accounts::with_cursor},
    query::Query,
    sign_in::api_key::Caller,
};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// Its id.
    #[schema(format = Uuid)]
    id: String,
    /// Meta's id of it.
    instagram_id: String,
    /// Its name.
    username: String,
    /// `consumer` or `business`.
    #[schema(value_type = ConnectionName)]
    connection: &'static str,
    /// `active`, `expired` or `disconnected`.
    #[schema(value_type = StatusName)]
    status: &'static str,
    /// Why it expired.
    #[schema(value_type = Option<ReasonName>)]
    reason: Option<&'static str>,
    /// Whether Meta's answer names that reason alone (`certain`) or another one beside it (`likely`); `null` unless it expired.
    #[schema(value_type = Option<CertaintyName>)]
    certainty: Option<&'static str>,
    /// Since when the status is so.
    since: DateTime<Utc>,
    /// Whether Meta lets us read the posts with a token that works: `ok` or `refused`.
    #[schema(value_type = ReadingName)]
    reading: &'static str,
    /// Since when it is refused.
    reading_refused_since: Option<DateTime<Utc>>,
    /// Whether Meta extends the session: `ok` or `failing`.
    #[schema(value_type = RenewalName)]
    renewal: &'static str,
    /// Since when it doesn't.
    renewal_failing_since: Option<DateTime<Utc>>,
    /// When the session ends; a machine can extend it.
    expires_at: Option<DateTime<Utc>>,
    /// When data access ends; only a person can restart it.
    data_access_expires_at: Option<DateTime<Utc>>,
    /// Whether that is an estimate.
    data_access_estimated: bool,
    /// Which of the two ends first and so decides, `session` or `data_access`; `null` if neither ends.
    #[schema(value_type = Option<DeadlineName>)]
    ends_first: Option<&'static str>,
    /// When Meta was last heard about the token.
    checked_at: Option<DateTime<Utc>>,
    /// Whether a person is needed: to bring it back, or before its session ends.
    needs_person: bool,
    /// How many grants there have been.
    #[schema(minimum = 0)]
    generation: i64,
    /// How many widgets of each plan it has.
    widgets: Widgets,
    /// The last event that is in this view.
    #[schema(minimum = 0)]
    position: i64,
}

/// How many widgets of each plan.
#[derive(Debug, Serialize, ToSchema)]
struct Widgets {
    #[schema(minimum = 0)]
    free: i64,
    #[schema(minimum = 0)]
    upgraded: i64,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Self {
            id: account.id.to_string(),
            instagram_id: account.instagram_id,
            username: account.username,
            connection: account.connection.name(),
            status: account.status.name(),
            reason: account.status.reason().map(domain::Reason::name),
            certainty: account.status.reason().map(|_| account.certainty.name()),
            since: account.since,
            reading: if account.reading_refused_at.is_some() { "refused" } else { "ok" },
            reading_refused_since: account.reading_refused_at,
            renewal: if account.renewal_failing_since.is_some() { "failing" } else { "ok" },
            renewal_failing_since: account.renewal_failing_since,
            expires_at: account.expires_at,
            data_access_expires_at: account.data_access_expires_at,
            data_access_estimated: account.data_access_estimated,
            ends_first: Clock::first(account.expires_at, account.data_access_expires_at).map(Clock::name),
            checked_at: account.checked_at,
            needs_person: account.status != Status::Active || account.renewal_failing_since.is_some(),
            generation: account.generation,
            widgets: Widgets { free: account.free_widgets, upgraded: account.upgraded_widgets },
            position: account.position,
        }
    }
}

/// What a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those with this status; the latest that came to it first.
    #[param(inline)]
    status: Option<StatusName>,
    /// Only those whose name contains this; begins with it, if it has fewer than three characters.
    #[param(max_length = 100)]
    q: Option<String>,
    /// How many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// The `next` of the page before.
    #[param(max_length = 300)]
    after: Option<String>,
}

/// How many items a list has at most, checked.
///
/// # Errors
/// [`Error::Bad`] outside of 1 to 200.
pub fn limit(given: Option<i64>) -> Result<i64, Error> {
    match given.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Error::Bad("limit must be 1 to 200.".to_owned())),
    }
}

/// The accounts, by name; those of one status by when they came to it.
#[utoipa::path(get, operation_id = "list_accounts", path = "/accounts", params(ListQuery), tag = "accounts",
    responses((status = 200, body = List<Account>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<List<Account>>, Error> {
    let limit = limit(query.limit)?;
    if query.q.as_ref().is_some_and(|q| q.chars().count() > 100) {
        return Err(Error::Bad("q must have at most 100 characters.".to_owned()));
    }
    let status = query.status.map(|status| status.name().to_owned());
    let filter = Filter { status, search: query.q.filter(|q| !q.is_empty()), after: None };
    let filter = with_cursor(filter, query.after.as_deref().unwrap_or_default())?;
    let mut found = accounts::list(app.database(), caller.viewer(), &filter, limit + 1).await?;
    let fits = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > fits;
    found.truncate(fits);
    let next = found.last().filter(|_| more).map(|last| Cursor::of(&filter, last).to_string());
    Ok(Json(List { data: found.into_iter().map(Account::from).collect(), next }))
}

/// An account that the caller sees.
///
/// # Errors
/// [`Error::Missing`].
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<accounts::Account, Error> {
    let id = id.parse().map_err(|_| Error::Missing)?;
    accounts::account_for(app.database(), id, caller.viewer()).await?.ok_or(Error::Missing)
}

/// One account.
#[utoipa::path(get, operation_id = "get_account", path = "/accounts/{id}", params(("id" = Uuid, Path, description = "The id.")), tag = "accounts",
    responses((status = 200, body = Account)))]
pub async fn one(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<Account>, Error> {
    Ok(Json(find(&app, &caller, &id).await?.into()))
}

/// Asks Meta about the account's token, soon. Look at `checked_at` for the answer.
#[utoipa::path(post, operation_id = "check_account", path = "/accounts/{id}/check", params(("id" = Uuid, Path, description = "The id.")), tag = "accounts",
    responses((status = 202, description = "Meta is asked soon. A disconnected account has no token to ask about: 422.")))]
pub async fn check(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Error> {
    let account: AccountId = id.parse().map_err(|_| Error::Missing)?;
    app.commands.may_ask(account, caller.authority()).await.map_err(askable)?;
    app.limits.check(account)?;
    jobs::ask_check(app.database(), account, app.commands.clock.now()).await?;
    app.changed.send_modify(|count| *count += 1);
    Ok(StatusCode::ACCEPTED)
}

/// An erasure.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erasure {
    /// The code by which it can be looked up.
    confirmation_code: String,
    /// Where.
    url: String,
}

/// Erases an account: its token, profile, posts, logins and mails are deleted for good, and its widgets show nothing. The journal
/// keeps its facts, which name nobody.
#[utoipa::path(delete, operation_id = "erase_account", path = "/accounts/{id}", params(("id" = Uuid, Path, description = "The id.")), tag = "accounts",
    responses((status = 200, body = Erasure)))]
pub async fn erase(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<Erasure>, Error> {
    let account: AccountId = id.parse().map_err(|_| Error::Missing)?;
    let code = app.commands.erase_account(account, AskedBy::Staff, &caller.context()).await?;
    let url = format!("{}/deletion/{code}", app.config.public_url());
    Ok(Json(Erasure { confirmation_code: code, url }))
}

/// A reconnect link.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    /// Give it to whoever holds the login. It works for 30 days and until the next refresh.
    #[schema(format = Uri)]
    url: String,
}

/// Makes a reconnect link.
#[utoipa::path(post, operation_id = "create_reconnect_link", path = "/accounts/{id}/reconnect-link", params(("id" = Uuid, Path, description = "The id.")), tag = "accounts",
    responses((status = 201, body = Link)))]
pub async fn reconnect_link(
    State(app): State<App>,
    caller: Caller,
    NewId(link): NewId,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Link>), Error> {
    let account: AccountId = id.parse().map_err(|_| Error::Missing)?;
    app.commands.may_see(account, caller.authority()).await?;
    let url = app.commands.make_link(account, LinkId::new(link)).await?;
    Ok((StatusCode::CREATED, Json(Link { url })))
}
