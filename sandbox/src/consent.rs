//! Both logins' consent pages: who you are logged in as, what you allow, which Pages you give; or cancel.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use chrono::TimeDelta;
use serde::Deserialize;
use url::Url;

use crate::{
    server::Meta,
    world::{Code, Login, Token, random},
};

#[derive(Deserialize)]
pub(crate) struct Dialog {
    client_id: String,
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    /// A configuration of Facebook Login for Business, instead of a scope: here any, for all permissions.
    #[serde(default)]
    config_id: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    force_reauth: bool,
    #[serde(default)]
    auth_type: String,
}

struct Choice {
    id: String,
    name: String,
    chosen: bool,
    pages: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    login: &'static str,
    action: &'static str,
    dialog: Dialog,
    permissions: Vec<String>,
    choices: Vec<Choice>,
}

/// `GET https://www.instagram.com/oauth/authorize`.
pub(crate) async fn instagram_page(State(meta): State<Meta>, headers: HeaderMap, query: Query<Dialog>) -> Response {
    page(&meta, Login::Instagram, &headers, query.0)
}

/// `GET https://www.facebook.com/{version}/dialog/oauth`.
pub(crate) async fn facebook_page(State(meta): State<Meta>, headers: HeaderMap, query: Query<Dialog>) -> Response {
    page(&meta, Login::Facebook, &headers, query.0)
}

fn page(meta: &Meta, login: Login, headers: &HeaderMap, dialog: Dialog) -> Response {
    let app = match login {
        Login::Instagram => &meta.config.instagram_app.0,
        Login::Facebook => &meta.config.facebook_app.0,
    };
    if dialog.client_id != *app || Url::parse(&dialog.redirect_uri).is_err() {
        return (StatusCode::BAD_REQUEST, "Invalid platform app or redirect_uri").into_response();
    }
    let remembered = cookie(headers, cookie_name(login));
    // Who must log in again isn't remembered.
    let remembered = remembered.filter(|_| !dialog.force_reauth);
    let world = meta.world();
    let choices: Vec<_> = match login {
        Login::Instagram => world
            .accounts
            .values()
            .map(|account| Choice {
                id: account.id.clone(),
                name: account.username.clone(),
                chosen: remembered.as_ref() == Some(&account.id),
                pages: Vec::new(),
            })
            .collect(),
        Login::Facebook => world
            .people
            .values()
            .map(|person| Choice {
                id: person.id.clone(),
                name: person.name.clone(),
                chosen: remembered.as_ref() == Some(&person.id),
                pages: person.pages.iter().map(|page| (page.id.clone(), page.name.clone())).collect(),
            })
            .collect(),
    };
    let permissions = if dialog.config_id.is_empty() {
        dialog.scope.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    } else {
        login.permissions().iter().map(|name| (*name).to_owned()).collect()
    };
    let (name, action) = match login {
        Login::Instagram => ("Instagram", "/oauth/authorize"),
        Login::Facebook => ("Facebook", "/facebook/dialog"),
    };
    drop(world);
    render(&ConsentPage { login: name, action, dialog, permissions, choices })
}

/// What somebody answered on a consent page.
#[derive(Debug, Default)]
struct Answer {
    holder: String,
    redirect_uri: String,
    state: String,
    auth_type: String,
    allow: bool,
    permissions: BTreeSet<String>,
    pages: BTreeSet<String>,
}

impl Answer {
    fn read(body: &str) -> Self {
        let mut answer = Self::default();
        for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "holder" => answer.holder = value,
                "redirect_uri" => answer.redirect_uri = value,
                "state" => answer.state = value,
                "auth_type" => answer.auth_type = value,
                "answer" => answer.allow = value == "allow",
                "permission" => drop(answer.permissions.insert(value)),
                "page" => drop(answer.pages.insert(value)),
                _ => {}
            }
        }
        answer
    }
}

/// `POST` of Instagram's consent page.
pub(crate) async fn instagram_answer(State(meta): State<Meta>, body: String) -> Response {
    answer(&meta, Login::Instagram, Answer::read(&body))
}

/// `POST` of Facebook's consent page.
pub(crate) async fn facebook_answer(State(meta): State<Meta>, body: String) -> Response {
    answer(&meta, Login::Facebook, Answer::read(&body))
}

fn answer(meta: &Meta, login: Login, answer: Answer) -> Response {
    let Ok(mut back) = Url::parse(&answer.redirect_uri) else {
        return (StatusCode::BAD_REQUEST, "Invalid redirect_uri").into_response();
    };
    if !answer.allow {
        back.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_reason", "user_denied")
            .append_pair("error_description", "The user denied your request.")
            .append_pair("state", &answer.state);
        return Redirect::to(back.as_str()).into_response();
    }
    let mut world = meta.world();
    let now = world.clock.now();
    let Some(standing) = world.standing_mut(&answer.holder) else {
        return (StatusCode::BAD_REQUEST, "Choose who you are logged in as.").into_response();
    };
    // Going through the login passes the check, and granting again takes back what was declined.
    standing.checkpoint = false;
    standing.declined.retain(|permission| !answer.permissions.contains(permission));
    standing.reauthorize &= answer.auth_type != "reauthorize";
    let data_access = if standing.reauthorize { TimeDelta::zero() } else { TimeDelta::days(90) };
    let token = Token {
        login,
        holder: answer.holder.clone(),
        granted_at: now,
        issued_at: now,
        expires_at: now + TimeDelta::hours(1),
        data_access_expires_at: now + data_access,
        permissions: answer.permissions,
        pages: BTreeSet::new(),
        short: true,
    };
    // The form carries the ticks of everybody's Pages; only one's own can be given.
    let own = world.people.get(&answer.holder).map_or(&[][..], |person| &person.pages);
    let pages = own.iter().map(|page| page.id.clone()).filter(|page| answer.pages.contains(page)).collect();
    let token = Token { pages, ..token };
    if login == Login::Facebook && data_access > TimeDelta::zero() {
        // A person's data access is one for all tokens that they granted the app.
        let theirs = world.tokens.values_mut().filter(|other| other.login == login && other.holder == answer.holder);
        theirs.for_each(|other| other.data_access_expires_at = now + data_access);
    }
    let code = random(120);
    world.codes.insert(code.clone(), Code { token, redirect_uri: answer.redirect_uri });
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &answer.state);
    // Both logins are seen to leave `#_` at the end.
    back.set_fragment(Some("_"));
    let remember = format!("{}={}; Path=/; SameSite=Lax; HttpOnly", cookie_name(login), answer.holder);
    ([(header::SET_COOKIE, remember)], Redirect::to(back.as_str())).into_response()
}

fn cookie_name(login: Login) -> &'static str {
    match login {
        Login::Instagram => "sandbox_instagram",
        Login::Facebook => "sandbox_facebook",
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// Renders a page.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
