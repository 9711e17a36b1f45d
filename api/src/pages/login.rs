//! Signing in and out, and the one-time page that makes the first admin.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use axum_login::{AuthSession, AuthnBackend};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::{render, see_other};
use crate::{
    app::App,
    error::Error,
    limits::Address,
    query::Query,
    sign_in::{Nothing, Posted, Role, Users, user::Credentials},
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    title: &'a str,
    action: &'a str,
    setup: bool,
    problem: Option<&'a str>,
    next: &'a str,
    email: &'a str,
}

/// Where to go on after signing in.
#[derive(Debug, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// What somebody typed to sign in.
#[derive(Debug, Deserialize)]
pub struct LoginForm {
    email: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// `GET /login`.
pub async fn page(session: AuthSession<Users>, Query(query): Query<Next>) -> Result<Response, Error> {
    if session.user.is_some() {
        return Ok(see_other(inside(&query.next)));
    }
    let next = inside(&query.next);
    render(&LoginPage { title: "Sign in", action: "/login", setup: false, problem: None, next, email: "" })
}

/// `POST /login`.
pub async fn sign_in(
    State(app): State<App>,
    Address(from): Address,
    mut session: AuthSession<Users>,
    Posted(form): Posted<LoginForm>,
) -> Result<Response, Error> {
    app.limits.sign_in(from)?;
    let credentials = Credentials { email: form.email.clone(), password: form.password };
    let next = inside(&form.next);
    // Not `session.authenticate`: it logs each error, and a refusal by the queue is one that strangers cause at will.
    match session.backend.authenticate(credentials).await? {
        Some(user) => {
            session.login(&user).await?;
            Ok(see_other(next))
        }
        None => {
            let problem = Some("The e-mail address or the password is not right.");
            render(&LoginPage { title: "Sign in", action: "/login", setup: false, problem, next, email: &form.email })
        }
    }
}

/// `POST /logout`.
pub async fn sign_out(mut session: AuthSession<Users>, Posted(Nothing {}): Posted<Nothing>) -> Result<Response, Error> {
    session.logout().await?;
    Ok(see_other("/login"))
}

/// The path of the one-time page, which exists only while there is no user.
pub fn setup_path(app: &App) -> String {
    format!("/setup/{}", app.commands.vault.one_time("first admin"))
}

async fn may_set_up(app: &App, key: &str) -> Result<(), Error> {
    let right = setup_path(app).as_bytes().ct_eq(format!("/setup/{key}").as_bytes());
    let first = Users::new(app.database().clone()).is_empty().await?;
    if bool::from(right) && first { Ok(()) } else { Err(Error::Missing) }
}

/// `GET /setup/{key}`.
pub async fn setup_page(State(app): State<App>, Path(key): Path<String>) -> Result<Response, Error> {
    may_set_up(&app, &key).await?;
    let action = setup_path(&app);
    render(&LoginPage { title: "Welcome to Relight", action: &action, setup: true, problem: None, next: "", email: "" })
}

/// `POST /setup/{key}`.
pub async fn set_up(
    State(app): State<App>,
    Address(from): Address,
    Path(key): Path<String>,
    mut session: AuthSession<Users>,
    Posted(form): Posted<LoginForm>,
) -> Result<Response, Error> {
    app.limits.sign_in(from)?;
    may_set_up(&app, &key).await?;
    let users = Users::of(&app);
    match users.add(&form.email, &form.password, Role::Admin, app.commands.clock.now()).await {
        Ok(_) => {}
        Err(Error::Rule(problem)) => {
            let action = setup_path(&app);
            let (title, problem) = ("Welcome to Relight", Some(problem.as_str()));
            let page = LoginPage { title, action: &action, setup: true, problem, next: "", email: &form.email };
            return render(&page);
        }
        Err(error) => return Err(error),
    }
    let password = SecretString::from(form.password.expose_secret().to_owned());
    if let Some(user) = session.backend.authenticate(Credentials { email: form.email, password }).await? {
        session.login(&user).await?;
    }
    Ok(see_other("/operations"))
}

/// Only a path of our own may follow a sign-in.
fn inside(next: &str) -> &str {
    let plain = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain { next } else { "/accounts" }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn after_a_sign_in_only_our_own_pages_follow() {
        assert_eq!(inside("/accounts/7?said=x"), "/accounts/7?said=x");
        for evil in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "javascript:x"]
        {
            assert_eq!(inside(evil), "/accounts", "{evil:?}");
        }
    }
}
