//! The table of routes.

use axum::http::Method;
use utoipa_axum::routes;

use super::{
    openapi,
    route::{Audit, Route, Who},
};
use crate::{
    json, meta_calls,
    pages::{
        account, account_actions as act, accounts, assets, attempt, attempt_actions, connect, data, erase,
        erase_member, invitations, link, live, login, oauth, operations, settings, staff, token, webhooks, widget,
    },
    readiness,
    sign_in::Role,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Everybody who is signed in.
const MEMBERS: Who = Who::People(&[Role::Owner, Role::Support, Role::Auditor, Role::Admin]);
/// Those who change accounts.
const EDITORS: Who = Who::People(Role::EDITORS);
/// Those who may have Meta asked, and make links.
const HELPERS: Who = Who::People(Role::HELPERS);
/// Those who look behind accounts.
const STAFF: Who = Who::People(Role::STAFF);
const ADMINS: Who = Who::People(&[Role::Admin]);

/// Every key.
const KEYS: Who = Who::Keys(&[Role::Service, Role::Support, Role::Auditor, Role::Admin]);
/// Keys that change accounts.
const EDITING_KEYS: Who = Who::Keys(&[Role::Service, Role::Admin]);
/// Keys that may have Meta asked, and make links.
const HELPING_KEYS: Who = Who::Keys(&[Role::Service, Role::Support, Role::Admin]);
/// Keys that may erase.
const ADMIN_KEYS: Who = Who::Keys(&[Role::Admin]);
/// Keys that inspect events.
const STAFF_KEYS: Who = Who::Keys(Role::STAFF);

const READS: Audit = Audit::None("reads");
const READS_AS_STAFF: Audit = Audit::None("reads; what staff read is recorded once people are aggregates");
const ROWS: Audit = Audit::None("changes rows that are no part of an account's history");
const ATTEMPT: Audit = Audit::None("begins a login attempt, which is a row; its end is an event");
const ERASURE: Audit = Audit::Event("ErasureRequested, Revoked, Erased; Expired of a grant");
const LOGIN: Audit = Audit::Event("Connected, ConnectionChanged, AccessGranted, Issued, Refreshed");

/// All routes.
pub fn table() -> Vec<Route> {
    [pages(), public_pages(), api(), machines()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn pages() -> Vec<Route> {
    vec![
        Route::page(GET, "/", MEMBERS, READS, accounts::home),
        Route::page(GET, "/accounts", MEMBERS, READS_AS_STAFF, accounts::list),
        Route::stream("/accounts/live", MEMBERS, READS_AS_STAFF, live::accounts),
        Route::page(GET, "/accounts/{id}", MEMBERS, READS_AS_STAFF, account::page),
        Route::stream("/accounts/{id}/live", MEMBERS, READS_AS_STAFF, live::account),
        Route::page(POST, "/accounts/{id}/refresh", EDITORS, ATTEMPT, act::refresh),
        Route::page(POST, "/accounts/{id}/switch", EDITORS, ATTEMPT, act::switch),
        Route::page(POST, "/accounts/{id}/check", HELPERS, ROWS, act::check),
        Route::page(POST, "/accounts/{id}/disconnect", EDITORS, Audit::Event("Disconnected, Revoked"), act::disconnect),
        Route::page(GET, "/accounts/{id}/erase", ADMINS, READS_AS_STAFF, erase::page),
        Route::page(POST, "/accounts/{id}/erase", ADMINS, ERASURE, erase::erase),
        Route::page(POST, "/accounts/{id}/widgets", EDITORS, Audit::Event("WidgetAdded"), act::add_widget),
        Route::page(POST, "/accounts/{id}/widgets/{widget}/plan", EDITORS, Audit::Event("WidgetPlanChanged"), act::change_plan),
        Route::page(POST, "/accounts/{id}/widgets/{widget}/remove", EDITORS, Audit::Event("WidgetRemoved"), act::remove_widget),
        Route::page(POST, "/accounts/{id}/access", EDITORS, Audit::Event("AccessGranted"), invitations::grant),
        Route::page(POST, "/accounts/{id}/invitations/{invitation}/withdraw", EDITORS, ROWS, invitations::withdraw),
        Route::page(POST, "/invitations/{id}/accept", EDITORS, Audit::Event("AccessGranted"), invitations::accept),
        Route::page(POST, "/invitations/{id}/decline", EDITORS, ROWS, invitations::decline),
        Route::page(POST, "/accounts/{id}/access/revoke", EDITORS, Audit::Event("AccessRevoked"), act::revoke),
        Route::page(POST, "/accounts/{id}/link", HELPERS, ROWS, act::link),
        Route::page(GET, "/connect", EDITORS, READS, connect::page),
        Route::page(POST, "/connect/{connection}", EDITORS, ATTEMPT, connect::start),
        Route::page(GET, "/attempts", STAFF, READS_AS_STAFF, staff::find),
        Route::page(POST, "/attempts/{reference}/choose", EDITORS, LOGIN, attempt_actions::choose),
        Route::page(GET, "/events", STAFF, READS_AS_STAFF, staff::events),
        Route::page(GET, "/operations", STAFF, READS_AS_STAFF, operations::operations),
        Route::page(POST, "/operations/incidents/{id}/{how}", ADMINS, ROWS, operations::close_incident),
        Route::page(GET, "/settings", MEMBERS, READS, settings::page),
        Route::page(POST, "/settings", MEMBERS, ROWS, settings::save),
        Route::page(GET, "/data", MEMBERS, READS, data::page),
        Route::page(GET, "/data/mine.json", MEMBERS, READS, data::mine),
        Route::page(GET, "/data/erase", ADMINS, READS, erase_member::page),
        Route::page(POST, "/data/erase", ADMINS, Audit::Event("AccessRevoked"), erase_member::erase),
        Route::page(GET, "/webhooks", ADMINS, READS_AS_STAFF, webhooks::page),
        Route::page(POST, "/webhooks", ADMINS, ROWS, webhooks::add),
        Route::page(POST, "/webhooks/{id}/remove", ADMINS, ROWS, webhooks::remove),
        Route::page(POST, "/logout", MEMBERS, ROWS, login::sign_out),
    ]
}

#[rustfmt::skip]
fn public_pages() -> Vec<Route> {
    const ANYONE: Who = Who::Anyone;
    vec![
        Route::page(GET, "/login", ANYONE, READS, login::page),
        Route::page(POST, "/login", ANYONE, ROWS, login::sign_in),
        Route::page(GET, "/setup/{key}", ANYONE, READS, login::setup_page),
        Route::page(POST, "/setup/{key}", ANYONE, ROWS, login::set_up),
        Route::page(GET, "/docs", ANYONE, READS, openapi::explorer_home),
        Route::page(GET, "/docs/", ANYONE, READS, openapi::explorer_index),
        Route::page(GET, "/docs/{file}", ANYONE, READS, openapi::explorer),
        Route::page(GET, "/token", ANYONE, READS, token::page),
        Route::page(POST, "/token/{connection}", ANYONE, ATTEMPT, token::start),
        Route::page(GET, "/deletion/{code}", ANYONE, READS, erase::deletion),
        Route::page(GET, "/r/{link}", ANYONE, ROWS, link::page),
        Route::page(POST, "/r/{link}", ANYONE, ATTEMPT, link::start),
        Route::page(GET, "/oauth/{connection}/callback", ANYONE, LOGIN, oauth::callback),
        Route::page(GET, "/attempts/{reference}", ANYONE, READS, attempt::page),
        Route::stream("/attempts/{reference}/live", ANYONE, READS, live::attempt),
        Route::page(POST, "/attempts/{reference}/again", ANYONE, ATTEMPT, attempt_actions::start_again),
    ]
}

#[rustfmt::skip]
fn api() -> Vec<Route> {
    vec![
        Route::api(GET, "/api/v1/accounts", KEYS, READS_AS_STAFF, routes!(json::accounts::list)),
        Route::api(GET, "/api/v1/accounts/{id}", KEYS, READS_AS_STAFF, routes!(json::accounts::one)),
        Route::api(GET, "/api/v1/accounts/{id}/data", HELPING_KEYS, READS_AS_STAFF, routes!(json::data::data)),
        Route::api(GET, "/api/v1/accounts/{id}/history", STAFF_KEYS, READS_AS_STAFF, routes!(json::events::history)),
        Route::api(DELETE, "/api/v1/accounts/{id}", ADMIN_KEYS, ERASURE, routes!(json::accounts::erase)),
        Route::api(POST, "/api/v1/members/erasure", ADMIN_KEYS, Audit::Event("AccessRevoked"), routes!(json::members::erase)),
        Route::api(POST, "/api/v1/accounts/{id}/check", HELPING_KEYS, ROWS, routes!(json::accounts::check)),
        Route::api(POST, "/api/v1/accounts/{id}/reconnect-link", HELPING_KEYS, ROWS, routes!(json::accounts::reconnect_link)),
        Route::api(GET, "/api/v1/accounts/{id}/widgets", KEYS, READS_AS_STAFF, routes!(json::widgets::list)),
        Route::api(POST, "/api/v1/accounts/{id}/widgets", EDITING_KEYS, Audit::Event("WidgetAdded"), routes!(json::widgets::add)),
        Route::api(PATCH, "/api/v1/widgets/{id}", EDITING_KEYS, Audit::Event("WidgetPlanChanged"), routes!(json::widgets::change)),
        Route::api(DELETE, "/api/v1/widgets/{id}", EDITING_KEYS, Audit::Event("WidgetRemoved"), routes!(json::widgets::remove)),
        Route::api(GET, "/api/v1/webhooks", EDITING_KEYS, READS_AS_STAFF, routes!(json::webhooks::list)),
        Route::api(POST, "/api/v1/webhooks", EDITING_KEYS, ROWS, routes!(json::webhooks::add)),
        Route::api(DELETE, "/api/v1/webhooks/{id}", EDITING_KEYS, ROWS, routes!(json::webhooks::remove)),
        Route::api(GET, "/api/v1/webhooks/{id}/deliveries", EDITING_KEYS, READS_AS_STAFF, routes!(json::webhooks::deliveries)),
        Route::api(GET, "/api/v1/work", STAFF_KEYS, READS_AS_STAFF, routes!(json::events::work)),
        Route::api(GET, "/api/v1/events", STAFF_KEYS, READS_AS_STAFF, routes!(json::events::events)),
    ]
}

#[rustfmt::skip]
fn machines() -> Vec<Route> {
    vec![
        Route::machine(GET, "/api/v1/openapi.json", READS, openapi::document),
        Route::machine(GET, "/w/{widget}", READS, widget::page),
        Route::machine(GET, "/assets/style.css", READS, assets::style),
        Route::machine(GET, "/assets/widget.css", READS, assets::widget_style),
        Route::machine(GET, "/assets/live.js", READS, assets::live),
        Route::machine(GET, "/assets/icon.svg", READS, assets::icon),
        Route::machine(POST, "/meta/{connection}/deauthorize", Audit::Event("Deauthorized, Expired"), meta_calls::deauthorize),
        Route::machine(POST, "/meta/{connection}/data-deletion", ERASURE, meta_calls::data_deletion),
        Route::machine(GET, "/healthz", READS, readiness::alive),
        Route::machine(GET, "/readyz", READS, readiness::ready),
        Route::bare("/w/{widget}/feed.json", READS, widget::feed),
    ]
}
