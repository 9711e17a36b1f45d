//! Widgets as JSON.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use domain::{WidgetId, account::Plan};
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
    let by = caller.authority();
    let account = find(&app, &caller, &id).await?;
    let widget = WidgetId::new(widget);
    let committed = app.commands.add_widget(account.id, widget, body.plan, by, &caller.context()).await?;
    app.until_shown(committed).await;
    let shown = Widget {
        id: widget.to_string(),
        account_id: account.id.to_string(),
        plan: body.plan.name(),
        fetched_at: None,
        due_at: None,
    };
    let known = widgets::widget(app.database(), widget).await?;
    let position = Position(committed.position);
    Ok((StatusCode::CREATED, position, Json(known.map_or(shown, Widget::from))))
}

async fn known(app: &App, id: &str) -> Result<widgets::Widget, Error> {
    let id = id.parse().map_err(|_| Error::Missing)?;
    widgets::widget(app.database(), id).await?.filter(|widget| !widget.removed).ok_or(Error::Missing)
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
    let by = caller.authority();
    let widget = known(&app, &id).await?;
    let committed =
        app.commands.change_widget_plan(widget.account, widget.id, body.plan, by, &caller.context()).await?;
    app.until_shown(committed).await;
    let shown = widgets::Widget { plan: body.plan, ..known(&app, &id).await? };
    Ok((Position(committed.position), Json(Widget::from(shown))))
}

/// Removes a widget.
#[utoipa::path(delete, operation_id = "remove_widget", path = "/widgets/{id}", params(("id" = Uuid, Path, description = "The id.")), tag = "widgets",
    responses((status = 204, description = "It is removed.")))]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Position, ()), Error> {
    let by = caller.authority();
    let widget = known(&app, &id).await?;
    let committed = app.commands.remove_widget(widget.account, widget.id, by, &caller.context()).await?;
    // Another request removed it since the view was read.
    let position = committed.position.ok_or(Error::Missing)?;
    app.until_shown(committed).await;
    Ok((StatusCode::NO_CONTENT, Position(Some(position)), ()))
}
