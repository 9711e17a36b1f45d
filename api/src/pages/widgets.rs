//! An account's widgets, as pages list them.

use chrono::{DateTime, Utc};
use domain::account::Plan;
use projections::{
    accounts::{Account, Status},
    widgets::{self, Widget},
};

use super::short;
use crate::{app::App, error::Error, words::Moment};

/// A widget as pages show it.
pub struct WidgetRow {
    /// Its id.
    pub id: String,
    /// The end of it, to tell rows apart.
    pub short: String,
    /// Its plan.
    pub plan: &'static str,
    /// The plan that it could have.
    pub other_plan: &'static str,
    /// Whether its posts are of after the last login.
    pub is_fresh: bool,
    /// How fresh they are, as HTML.
    pub freshness: String,
}

/// An account's widgets, each with how fresh it is.
///
/// # Errors
/// When the database fails.
pub async fn widget_rows(app: &App, account: &Account, now: DateTime<Utc>) -> Result<Vec<WidgetRow>, Error> {
    let widgets = widgets::of_account(app.database(), account.id).await?;
    let row = |widget: Widget| {
        let (plan, other_plan) = match widget.plan {
            Plan::Free => ("Free", "upgraded"),
            Plan::Upgraded => ("Upgraded", "free"),
        };
        let id = widget.id.to_string();
        let (is_fresh, freshness) = freshness(&widget, account, now);
        WidgetRow { short: short(&id), id, plan, other_plan, is_fresh, freshness }
    };
    Ok(widgets.into_iter().map(row).collect())
}

/// How fresh a widget's posts are: they are fresh if they were fetched after the last login.
fn freshness(widget: &Widget, account: &Account, now: DateTime<Utc>) -> (bool, String) {
    let fetched = |at| Moment { at, now };
    let older = |at: DateTime<Utc>| account.granted_at.is_some_and(|granted| at < granted);
    match (account.status, widget.fetched_at) {
        (Status::Active, None) => (false, "refreshing…".to_owned()),
        (Status::Active, Some(at)) if older(at) => (false, format!("refreshing… (last posts {})", fetched(at))),
        (Status::Active, Some(at)) => (true, format!("<strong>fresh</strong>, {}", fetched(at))),
        (_, None) => (false, "none yet".to_owned()),
        (_, Some(at)) => (false, format!("resting (last posts {})", fetched(at))),
    }
}
