//! The result page of an attempt: what came of it, what to do now, and the widgets turning fresh.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::{
    Outcome,
    attempt::{Attempt, Phase, Purpose},
};
use domain::Connection;
use meta::Profile;
use projections::accounts::{self, Viewer};
use tower_sessions::Session;

use super::{
    Me,
    browser::Browser,
    render_with_login,
    widgets::{WidgetRow, widget_rows},
};
use crate::{
    app::App,
    error::Error,
    sign_in::{Guarded, User, flash::Form, signed_in::MaybeSignedIn},
    words,
};

#[derive(Template)]
#[template(path = "attempt.html")]
struct AttemptPage<'a> {
    me: Option<Me>,
    title: String,
    texts: Vec<String>,
    code: Option<u16>,
    reference: &'a str,
    shown_reference: Option<&'a str>,
    support: Option<&'a str>,
    csrf: String,
    live: Option<String>,
    choices: Vec<Profile>,
    accounts: Vec<Refreshed>,
    again: Vec<Again>,
    onward: Vec<(&'static str, String)>,
    form: Form,
}

struct Refreshed {
    id: Option<String>,
    username: String,
    words: String,
    widgets: Vec<WidgetRow>,
    browsers: String,
}

struct Again {
    label: String,
    connection: &'static str,
    ask: &'static str,
    primary: bool,
}

/// The attempt, for the browser that set out and for nobody else.
///
/// # Errors
/// [`Error::Missing`].
pub async fn own(app: &App, reference: &str, browser: &Browser) -> Result<Attempt, Error> {
    let attempt = app.commands.attempt_of_reference(reference).await?.ok_or(Error::Missing)?;
    let ours = browser.0.as_deref().is_some_and(|browser| attempt.is_of_browser(browser));
    if ours { Ok(attempt) } else { Err(Error::Missing) }
}

/// `GET /attempts/{reference}`.
pub async fn page(
    State(app): State<App>,
    MaybeSignedIn(user): MaybeSignedIn,
    Guarded(csrf): Guarded,
    session: Session,
    browser: Browser,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    let attempt = own(&app, &reference, &browser).await?;
    let mut page = AttemptPage {
        me: user.as_ref().map(Me::from),
        title: String::new(),
        texts: Vec::new(),
        code: None,
        reference: &attempt.reference,
        shown_reference: Some(&attempt.reference),
        support: app.config.support.url.as_ref().map(url::Url::as_str),
        csrf,
        live: None,
        choices: Vec::new(),
        accounts: Vec::new(),
        again: Vec::new(),
        onward: vec![onward(&attempt, user.as_ref())],
        form: if user.is_some() { Form::take(&session).await? } else { Form::default() },
    };
    match &attempt.phase {
        Phase::Started => {
            "The login isn't finished".clone_into(&mut page.title);
            page.texts = vec!["Finish it in the other tab, or start again.".to_owned()];
            page.again = vec![again("Start again", attempt.connection, "usual")];
        }
        Phase::Claimed => {
            "Just a moment".clone_into(&mut page.title);
            page.texts = vec!["We are finishing the login with Meta. Reload this page in a few seconds.".to_owned()];
            page.live = Some(String::new());
        }
        Phase::Choosing => {
            "Which accounts do you want to connect?".clone_into(&mut page.title);
            page.texts = vec!["Your login reaches several. Choose within ten minutes.".to_owned()];
            page.choices = app.commands.choices(&attempt).await?;
            page.shown_reference = None;
        }
        Phase::Waiting(why) => {
            let telling = words::outcome(why);
            (page.title, page.texts, page.code) = (telling.title, telling.text, telling.code);
            let choices = app.commands.choices(&attempt).await?;
            if attempt.purpose == Purpose::Connect && choices.len() > 1 {
                page.choices = choices;
            } else {
                page.again = vec![again("Try again", attempt.connection, "usual")];
            }
        }
        Phase::Finished(outcome) if !outcome.accounts().is_empty() => {
            success(&app, &mut page, outcome, user.as_ref()).await?;
            if attempt.purpose == Purpose::Connect {
                page.again = vec![again("Use a different account", attempt.connection, "other_person")];
                if attempt.connection == Connection::Business {
                    page.texts.push("To connect with another Facebook user, log out at facebook.com first.".to_owned());
                }
            }
        }
        Phase::Finished(outcome) => {
            let telling = words::outcome(outcome);
            page.title = telling.title;
            page.texts = telling.text;
            page.code = telling.code;
            page.again = ways_on(&app, &attempt, outcome);
            // A right is given whatever comes of the token.
            let granted = matches!(
                outcome,
                Outcome::AlreadyWorks { .. }
                    | Outcome::NotRead { .. }
                    | Outcome::NotConfirmed { .. }
                    | Outcome::ReadingRefused { .. }
            );
            if attempt.purpose == Purpose::Connect && granted && sees_one(&app, &attempt, user.as_ref()).await? {
                page.texts.push("It is among your accounts now.".to_owned());
            }
            if matches!(outcome, Outcome::NeverConnected { .. } | Outcome::Disconnected { .. }) {
                page.onward.insert(0, ("Connect the account", "/connect".to_owned()));
            }
        }
    }
    render_with_login(&page)
}

/// Whether the person sees an account that the attempt was about.
async fn sees_one(app: &App, attempt: &Attempt, user: Option<&User>) -> Result<bool, Error> {
    let Some(user) = user else { return Ok(false) };
    for id in app.commands.accounts_of_attempt(attempt.id).await? {
        if accounts::account_for(app.database(), id, user.role.viewer(user.id)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn success(app: &App, page: &mut AttemptPage<'_>, outcome: &Outcome, user: Option<&User>) -> Result<(), Error> {
    let verb = match outcome {
        Outcome::Connected { .. } => "connected",
        Outcome::Switched { .. } => "switched",
        _ => "refreshed",
    };
    page.live = Some(super::live::state(app, outcome.accounts()).await?);
    let now = app.commands.clock.now();
    let mut widgets = 0;
    for id in outcome.accounts() {
        let Some(account) = accounts::account_for(app.database(), *id, Viewer::Staff).await? else { continue };
        let rows = widget_rows(app, &account, now).await?;
        widgets += rows.len();
        let sees = match user {
            Some(user) => accounts::account_for(app.database(), *id, user.role.viewer(user.id)).await?.is_some(),
            None => false,
        };
        let minutes = if account.upgraded_widgets > 0 && account.free_widgets == 0 {
            app.config.pull.upgraded_minutes
        } else {
            app.config.pull.free_minutes
        };
        let until = now + chrono::TimeDelta::minutes(minutes.into());
        page.accounts.push(Refreshed {
            id: sees.then(|| id.to_string()),
            words: match account.status {
                accounts::Status::Active => "Its access token works.".to_owned(),
                status => words::status(status),
            },
            browsers: format!(
                "Browsers of visitors that loaded a widget before may show the older posts until {} UTC at the latest.",
                until.format("%H:%M")
            ),
            widgets: rows,
            username: account.username,
        });
    }
    let names: Vec<_> = page.accounts.iter().map(|account| format!("@{}", account.username)).collect();
    page.title = match &names[..] {
        [one] => format!("{one} is {verb}"),
        many => format!("{} accounts are {verb}", many.len()),
    };
    let fresh = page.accounts.iter().flat_map(|account| &account.widgets).filter(|widget| widget.is_fresh).count();
    page.texts = vec![match (widgets, fresh == widgets) {
        (0, _) => "There is no widget to refresh yet.".to_owned(),
        (1, false) => "Refreshed: 1 widget is refreshing. You can close this page.".to_owned(),
        (many, false) => format!("Refreshed: {many} widgets are refreshing. You can close this page."),
        (1, true) => "Refreshed: 1 widget is fresh.".to_owned(),
        (many, true) => format!("Refreshed: all {many} widgets are fresh."),
    }];
    if let Outcome::Connected { kept, unread, left_out, .. } | Outcome::Refreshed { kept, unread, left_out, .. } =
        outcome
    {
        page.texts.extend(words::besides(kept, unread, left_out));
    }
    page.shown_reference = None;
    Ok(())
}

/// Where somebody goes on, besides trying again.
fn onward(attempt: &Attempt, user: Option<&User>) -> (&'static str, String) {
    match (user, attempt.account, attempt.purpose) {
        (Some(_), Some(account), Purpose::Account | Purpose::Switch) => {
            ("Back to the account", format!("/accounts/{account}"))
        }
        (Some(_), _, Purpose::Connect) => ("To your accounts", "/accounts".to_owned()),
        (_, _, Purpose::TokenPage | Purpose::Link) => ("To the access token page", "/token".to_owned()),
        _ => ("Sign in", "/login".to_owned()),
    }
}

fn again(label: &str, connection: Connection, ask: &'static str) -> Again {
    Again { label: label.to_owned(), connection: connection.name(), ask, primary: true }
}

/// The buttons that lead on from an outcome.
fn ways_on(app: &App, attempt: &Attempt, outcome: &Outcome) -> Vec<Again> {
    let same = attempt.connection;
    let buttons = match outcome {
        Outcome::WrongAccount { .. } | Outcome::NeverConnected { .. } | Outcome::PersonalAccount { .. } => {
            vec![again("Log in as somebody else", same, "other_person")]
        }
        Outcome::PermissionMissing { .. }
        | Outcome::NoPage
        | Outcome::PagesRefused { .. }
        | Outcome::PageNotChosen { .. }
        | Outcome::PageWithoutAccount { .. } => vec![again("Try again", same, "permissions")],
        Outcome::WrongConnection { uses, .. } => {
            vec![again(&format!("Log in with {}", words::button(*uses)), *uses, "usual")]
        }
        Outcome::DataAccessEnded => vec![again("Log in and renew data access", same, "data_access")],
        Outcome::Disconnected { .. }
        | Outcome::NotAllowed
        | Outcome::AlreadyWorks { .. }
        | Outcome::TooOften
        | Outcome::AppMisconfigured => vec![],
        _ => vec![again("Try again", same, "usual")],
    };
    let offered = |button: &Again| button.connection.parse().is_ok_and(|connection| app.commands.offers(connection));
    buttons.into_iter().filter(offered).collect()
}
