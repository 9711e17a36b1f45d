//! Widgets as JSON.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use domain::{AccountId, WidgetId, account::Plan};
use projections::widgets;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{List, accounts::find, body::Body, idempotency::NewId, names::PlanName, position::Position};
use crate::{app::App, error::Error, sign_in::api_key::Caller};

/// A widget.
#[derive(Debug, Serialize, ToSchema)]
pub struct Widget {
    /// Its id.
    #[schema(format = Uuid)]
    id: String,
    /// The account whose posts it shows.
    #[schema(format = Uuid)]
    account_id: String,
    /// Its plan.
    #[schema(value_type = PlanName)]
    plan: &'static str,
    /// When its posts were fetched.
    fetched_at: Option<DateTime<Utc>>,
    /// When its account is pulled next; `null` while that rests.
    due_at: Option<DateTime<Utc>>,
}

impl From<widgets::Widget> for Widget {
    fn from(widget: widgets::Widget) -> Self {
        Self {
            id: widget.id.to_string(),
            account_id: widget.account.to_string(),
            plan: widget.plan.name(),
            fetched_at: widget.fetched_at,
            due_at: widget.due_at,
        }
    }
}

/// A widget's plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WidgetPlan {
    /// The plan.
    #[schema(value_type = PlanName)]
    plan: Plan,
}

/// The widgets of an account.
#[utoipa::path(get, operation_id = "list_widgets", path = "/accounts/{id}/widgets", params(("id" = Uuid, Path, description = "The id.")), tag = "widgets",
    responses((status = 200, body = List<Widget>)))]
pub async fn list(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<List<Widget>>, Error> {
    let account = find(&app, &caller, &id).await?;
    let widgets = widgets::of_account(app.database(), account.id).await?;
    Ok(Json(List { data: widgets.into_iter().map(Widget::from).collect(), next: None }))
}

/// Adds a widget.
#[utoipa::path(post, operation_id = "add_widget", path = "/accounts/{id}/widgets", params(("id" = Uuid, Path, description = "The id.")), request_body = WidgetPlan, tag = "widgets",
    responses((status = 201, body = Widget)))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    NewId(widget): NewId,
    Body(body): Body<WidgetPlan>,
) -> Result<(StatusCode, Position, Json<Widget>), Error> {
    let account: AccountId = id.parse().map_err(|_| Error::Missing)?;
    let widget = WidgetId::new(widget);
    let committed = app.commands.add_widget(account, widget, body.plan, caller.authority(), &caller.context()).await?;
    app.until_shown(committed).await;
    let shown = shown(&app, account, widget, body.plan).await?;
    Ok((StatusCode::CREATED, Position(committed.position), Json(shown)))
}

/// A widget as the view has it; should that be behind, with the plan that it was given just now.
async fn shown(app: &App, account: AccountId, widget: WidgetId, plan: Plan) -> Result<Widget, Error> {
    let known = widgets::widget(app.database(), widget).await?;
    let (fetched_at, due_at) = known.map_or((None, None), |known| (known.fetched_at, known.due_at));
    Ok(Widget { id: widget.to_string(), account_id: account.to_string(), plan: plan.name(), fetched_at, due_at })
}

/// A widget and its account, by what was committed when it was added.
async fn found(app: &App, id: &str) -> Result<(WidgetId, AccountId), Error> {
    let widget = id.parse().map_err(|_| Error::Missing)?;
    Ok((widget, app.commands.account_of(widget).await?))
}

/// Changes a widget's plan.
#[utoipa::path(patch, operation_id = "change_widget", path = "/widgets/{id}", params(("id" = Uuid, Path, description = "The id.")), request_body = WidgetPlan, tag = "widgets",
    responses((status = 200, body = Widget)))]
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<WidgetPlan>,
) -> Result<(Position, Json<Widget>), Error> {
    let (widget, account) = found(&app, &id).await?;
    let committed =
        app.commands.change_widget_plan(account, widget, body.plan, caller.authority(), &caller.context()).await?;
    app.until_shown(committed).await;
    Ok((Position(committed.position), Json(shown(&app, account, widget, body.plan).await?)))
}

/// Removes a widget.
#[utoipa::path(delete, operation_id = "remove_widget", path = "/widgets/{id}", params(("id" = Uuid, Path, description = "The id.")), tag = "widgets",
    responses((status = 204, description = "It is removed.")))]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Position, ()), Error> {
    let (widget, account) = found(&app, &id).await?;
    let committed = app.commands.remove_widget(account, widget, caller.authority(), &caller.context()).await?;
    // It was removed before, or by another request at this moment.
    let position = committed.position.ok_or(Error::Missing)?;
    app.until_shown(committed).await;
    Ok((StatusCode::NO_CONTENT, Position(Some(position)), ()))
}
