//! Signing in and out, and the one-time page that makes the first admin.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use axum_login::{AuthSession, AuthnBackend};
use secrecy::SecretString;
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use super::{render, see_other};
use crate::{
    app::App,
    error::Error,
    limits::{Address, Door},
    query::Query,
    sign_in::{
        Nothing, Posted, Users, known, sessions,
        strength::PASSWORD_CHARACTERS,
        user::{Credentials, normal_email},
    },
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
    characters: usize,
}

impl<'a> LoginPage<'a> {
    const fn sign_in(next: &'a str, email: &'a str, problem: Option<&'a str>) -> Self {
        let (title, action) = ("Sign in", "/login");
        Self { title, action, setup: false, problem, next, email, characters: PASSWORD_CHARACTERS }
    }

    const fn set_up(action: &'a str, email: &'a str, problem: Option<&'a str>) -> Self {
        let title = "Welcome to Relight";
        Self { title, action, setup: true, problem, next: "", email, characters: PASSWORD_CHARACTERS }
    }
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
    render(&LoginPage::sign_in(inside(&query.next), "", None))
}

/// `POST /login`.
pub async fn sign_in(
    State(app): State<App>,
    from: Address,
    headers: HeaderMap,
    mut session: AuthSession<Users>,
    Posted(form): Posted<LoginForm>,
) -> Result<Response, Error> {
    let email = normal_email(&form.email);
    let failures = &app.limits.failures;
    // A browser that shows the mark of an earlier sign-in is counted apart; only for it the person is looked up first.
    let browser = match &email {
        Some(email) if known::has_mark(&app, &headers) => {
            let user = session.backend.by_email(email).await?;
            user.and_then(|user| known::known(&app, &headers, user.id))
        }
        _ => None,
    };
    let attempt = match failures.begin(Door::SignIn, from, browser.as_deref()) {
        Ok(attempt) => attempt,
        Err(error) => return refused(error, inside(&form.next), &form.email),
    };
    let account = email.unwrap_or_default();
    let turn = if browser.is_none() { failures.slow(&account).await } else { Ok(None) };
    let _turn = match turn {
        Ok(turn) => turn,
        Err(error) => {
            attempt.uncounted();
            return refused(error, inside(&form.next), &form.email);
        }
    };
    let credentials = Credentials { email: form.email.clone(), password: form.password };
    let next = inside(&form.next);
    // Not `session.authenticate`: it logs each error, and strangers cause a refusal by the queue at will.
    let verified = session.backend.authenticate(credentials).await;
    match verified {
        // Nothing was tried.
        Err(error) => {
            attempt.uncounted();
            refused(error.into(), next, &form.email)
        }
        Ok(Some(user)) => {
            attempt.uncounted();
            sessions::begin(&mut session, &user).await?;
            known::remember(&app, user.id, see_other(next))
        }
        Ok(None) => {
            failures.of_account(&account);
            let problem = Some("The e-mail address or the password is not right.");
            render(&LoginPage::sign_in(next, &form.email, problem))
        }
    }
}

/// The form once more, with what was typed, for somebody who must wait.
fn refused(error: Error, next: &str, email: &str) -> Result<Response, Error> {
    let Error::TooMany(seconds) = error else { return Err(error) };
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let problem = format!("Too many tries. Please wait {seconds} {unit}, then try again.");
    let mut response = render(&LoginPage::sign_in(next, email, Some(&problem)))?;
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// `POST /logout`.
pub async fn sign_out(mut session: AuthSession<Users>, Posted(Nothing {}): Posted<Nothing>) -> Result<Response, Error> {
    session.logout().await?;
    Ok(see_other("/login"))
}

/// What the one-time page is for.
const SET_UP: &str = "first admin";

/// The path of the one-time page, which exists only while there is no user.
pub fn setup_path(app: &App) -> String {
    format!("/setup/{}", app.commands.vault.one_time(SET_UP))
}

async fn may_set_up(app: &App, from: Address, key: &str) -> Result<(), Error> {
    // A link made before a change of keys works on.
    let known = app.commands.vault.one_times(SET_UP);
    let right = known.iter().fold(Choice::from(0), |right, known| right | known.as_bytes().ct_eq(key.as_bytes()));
    if !bool::from(right) {
        app.limits.failures.failed(Door::SetUp, from)?;
        return Err(Error::Missing);
    }
    if Users::new(app.database().clone()).is_empty().await? { Ok(()) } else { Err(Error::Missing) }
}

/// `GET /setup/{key}`.
pub async fn setup_page(State(app): State<App>, from: Address, Path(key): Path<String>) -> Result<Response, Error> {
    may_set_up(&app, from, &key).await?;
    render(&LoginPage::set_up(&setup_path(&app), "", None))
}

/// `POST /setup/{key}`.
pub async fn set_up(
    State(app): State<App>,
    from: Address,
    Path(key): Path<String>,
    mut session: AuthSession<Users>,
    Posted(form): Posted<LoginForm>,
) -> Result<Response, Error> {
    may_set_up(&app, from, &key).await?;
    let users = Users::of(&app);
    let user = match users.add_first(&form.email, &form.password, app.commands.clock.now()).await {
        Ok(user) => user,
        Err(Error::Rule(problem)) => {
            return render(&LoginPage::set_up(&setup_path(&app), &form.email, Some(&problem)));
        }
        Err(error) => return Err(error),
    };
    sessions::begin(&mut session, &user).await?;
    known::remember(&app, user.id, see_other("/operations"))
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
