//! One account: its state, its widgets, who sees it, its logins, its token history.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use commands::attempt::{Attempt, Phase};
use domain::{AccountId, LinkId, Right, UserId};
use projections::{
    accounts::{self, Account, Status},
    jobs,
};
use tower_sessions::Session;

use super::{
    Me,
    accounts::{pill, status_words},
    clocks,
    history::{ChapterRow, chapters, evidence},
    invitations::right_words,
    notices::{NoticeRow, notices},
    render_with_login,
    widgets::{WidgetRow, widget_rows},
};
use crate::{
    app::App,
    error::Error,
    sign_in::{
        Guarded, Role, User, Users,
        flash::{self, Form},
        invitations::{Invitation, Invitations},
        signed_in::SignedIn,
    },
    words::{self, Moment},
    workers::notices::why_none,
};

/// An account that is looked at is asked about again when the last word from Meta is older than this.
const STALE: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

#[derive(Template)]
#[template(path = "account.html")]
#[expect(clippy::struct_excessive_bools, reason = "what a page shows is a list of independent facts")]
struct AccountPage {
    me: Me,
    csrf: String,
    live: String,
    said: Option<String>,
    /// The form whose fields were wrong.
    form: Form,
    link: Option<String>,
    account: Shown,
    why: Option<(&'static str, &'static str)>,
    evidence: Option<String>,
    /// What came of asking about the expired token again, as HTML.
    asked_again: Option<String>,
    /// Since when the posts can't be read, as HTML.
    unread: Option<String>,
    /// When the session ends that can't be extended, as HTML.
    unrenewed: Option<String>,
    login: &'static str,
    other_login: &'static str,
    other_offered: bool,
    login_offered: bool,
    disconnected: bool,
    may_refresh: bool,
    may_edit: bool,
    /// Whether the reader may have Meta asked, and make a link.
    may_help: bool,
    is_owner: bool,
    expires: String,
    data_access: String,
    ends_first: &'static str,
    granted: String,
    checked: String,
    tries: Vec<String>,
    failed_tries: Vec<String>,
    widgets: Vec<WidgetRow>,
    free_every: String,
    upgraded_every: String,
    people: Vec<Person>,
    invited: Vec<Invited>,
    attempts: Vec<AttemptRow>,
    notices: Vec<NoticeRow>,
    why_no_mail: Option<&'static str>,
    history: Vec<ChapterRow>,
    /// An entry of its history can't be applied: what is shown may be of before.
    behind: bool,
    history_cut: bool,
}

struct Shown {
    id: String,
    username: String,
    pill: &'static str,
    status: String,
    connection: &'static str,
}

struct Person {
    id: String,
    email: String,
    right: &'static str,
    is_me: bool,
    may_revoke: bool,
    may_promote: bool,
}

/// A person who was invited and has not answered yet.
struct Invited {
    id: String,
    email: String,
    right: &'static str,
    when: Moment,
}

struct AttemptRow {
    when: Moment,
    words: String,
    reference: String,
}

/// An account that the signed-in user sees; somebody else's is missing.
///
/// # Errors
/// [`Error::Missing`].
pub async fn seen(app: &App, user: &User, id: &str) -> Result<Account, Error> {
    let id: AccountId = id.parse().map_err(|_| Error::Missing)?;
    accounts::account_for(app.database(), id, user.role.viewer(user.id)).await?.ok_or(Error::Missing)
}

/// Meta tells nobody of a password change: looking at an account asks, in the background, if Meta has not been heard for a
/// while.
///
/// # Errors
/// When the database fails.
pub async fn look(app: &App, account: &Account) -> Result<(), Error> {
    let now = app.commands.clock.now();
    if account.status == Status::Active && account.checked_at.is_none_or(|at| now - at > STALE) {
        jobs::ask_check(app.database(), account.id, now).await?;
        app.changed.send_modify(|count| *count += 1);
    }
    Ok(())
}

/// The reconnect link that was just made for an account, shown once. The session keeps its id alone: the link gives access.
async fn made_link(app: &App, session: &Session, account: AccountId) -> Result<Option<String>, Error> {
    match session.get::<(AccountId, LinkId)>("link_made").await? {
        Some((of, link)) if of == account => {
            session.remove::<(AccountId, LinkId)>("link_made").await?;
            match app.commands.make_link(account, link).await {
                Err(commands::Error::Missing(_)) => Ok(None), // It was disconnected meanwhile.
                made => Ok(Some(made?)),
            }
        }
        _ => Ok(None),
    }
}

/// `GET /accounts/{id}`.
pub async fn page(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let live = match id.parse() {
        Ok(id) => super::live::state(&app, &[id]).await?,
        Err(_) => String::new(),
    };
    let account = seen(&app, &user, &id).await?;
    let now = app.commands.clock.now();
    if user.role.helps() {
        look(&app, &account).await?;
    }
    let rights = accounts::rights(app.database(), account.id).await?;
    let mine = rights.iter().find(|(who, _)| *who == user.id).map(|(_, right)| *right);
    let is_owner = user.role.edits() && (mine == Some(Right::Owner) || user.role == Role::Admin);
    let may_edit = user.role.edits() && (mine.is_some() || user.role == Role::Admin);
    let chapters = chapters(&app, &account, &user, now).await?;
    let evidence = evidence(&chapters.0, account.status);
    let connection = account.connection;
    let disconnected = account.status == Status::Disconnected;
    let page = AccountPage {
        me: Me::from(&user),
        csrf,
        live,
        said: flash::said(&session).await?,
        form: Form::take(&session).await?,
        link: made_link(&app, &session, account.id).await?,
        why: account.status.reason().map(|reason| words::why(reason, account.certainty, connection)),
        asked_again: asked_again(&account, now),
        unread: account.reading_refused_at.map(|since| Moment { at: since, now }.to_string()),
        unrenewed: account
            .renewal_failing_since
            .and(account.expires_at)
            .map(|ends| Moment { at: ends, now }.to_string()),
        evidence,
        login: connection.login(),
        other_login: connection.other().login(),
        other_offered: app.commands.offers(connection.other()),
        disconnected,
        may_refresh: may_edit && app.commands.offers(connection),
        login_offered: app.commands.offers(connection),
        may_edit,
        may_help: user.role.helps(),
        is_owner,
        expires: clocks::expires(&account, now),
        data_access: clocks::data_access(&account, now),
        ends_first: clocks::ends_first(&account, now),
        tries: clocks::tries(&app, (&account, user.role.is_staff()), now).await?,
        failed_tries: clocks::failed_tries(&app, (&account, user.role.is_staff()), now).await?,
        granted: clocks::moment(account.granted_at, now, "never"),
        checked: clocks::moment(account.checked_at, now, "not yet"),
        widgets: widget_rows(&app, &account, now).await?,
        free_every: every(app.config.pull.free_minutes),
        upgraded_every: every(app.config.pull.upgraded_minutes),
        people: people(&app, &user, &rights, is_owner).await?,
        invited: if is_owner { invited(&app, account.id, now).await? } else { Vec::new() },
        attempts: attempts(&app, &account, now).await?,
        notices: notices(&app, &account, now).await?,
        why_no_mail: why_none(&app, &account).await?,
        history_cut: chapters.1,
        history: chapters.0,
        behind: !engine::quarantined_of(app.store(), &account.id.to_string()).await?.is_empty(),
        account: Shown {
            id: account.id.to_string(),
            pill: pill(&account, now),
            status: status_words(&account, now),
            connection: connection.name(),
            username: account.username,
        },
    };
    render_with_login(&page)
}

fn every(minutes: u32) -> String {
    match minutes {
        60 => "hour".to_owned(),
        minutes if minutes.is_multiple_of(60) => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}

async fn people(app: &App, user: &User, rights: &[(UserId, Right)], is_owner: bool) -> Result<Vec<Person>, Error> {
    let users = Users::new(app.database().clone());
    let mut people = Vec::with_capacity(rights.len());
    for (id, right) in rights {
        let is_me = *id == user.id;
        people.push(Person {
            id: id.to_string(),
            email: users.email(*id).await?.unwrap_or_else(|| "somebody who left".to_owned()),
            right: right_words(*right),
            is_me,
            may_revoke: is_owner || is_me,
            may_promote: is_owner && *right == Right::Developer,
        });
    }
    Ok(people)
}

/// What came of asking about an expired token again; `None`: nobody asks.
fn asked_again(account: &Account, now: DateTime<Utc>) -> Option<String> {
    if !account.may_return {
        return None;
    }
    Some(match account.checked_at.filter(|at| *at > account.since) {
        Some(at) => format!("We asked again {}: Meta still refuses the token.", Moment { at, now }),
        None => "We ask Meta again by ourselves, and tell you if the token works after all.".to_owned(),
    })
}

async fn invited(app: &App, account: AccountId, now: DateTime<Utc>) -> Result<Vec<Invited>, Error> {
    let waiting = Invitations::new(app.database().clone()).of_account(account, now).await?;
    let row = |invitation: Invitation| {
        let (right, when) = (right_words(invitation.right()?), Moment { at: invitation.invited_at, now });
        Ok(Invited { right, when, id: invitation.id, email: invitation.email })
    };
    waiting.into_iter().map(row).collect()
}

async fn attempts(app: &App, account: &Account, now: DateTime<Utc>) -> Result<Vec<AttemptRow>, Error> {
    let attempts = app.commands.attempts_of_account(account.id, 20).await?;
    let row = |attempt: Attempt| AttemptRow {
        when: Moment { at: attempt.started_at, now },
        words: attempt_words(&attempt),
        reference: attempt.reference,
    };
    Ok(attempts.into_iter().map(row).collect())
}

/// What came of an attempt, in a line.
pub fn attempt_words(attempt: &Attempt) -> String {
    match &attempt.phase {
        Phase::Started => "Not finished".to_owned(),
        Phase::Claimed => "Under way".to_owned(),
        Phase::Choosing => "Waiting for a choice".to_owned(),
        Phase::Waiting(why) => format!("Waiting to be tried again: {}", words::outcome(why).title),
        Phase::Finished(outcome) => {
            let telling = words::outcome(outcome);
            telling.code.map_or_else(|| telling.title.clone(), |code| format!("{} ({code})", telling.title))
        }
    }
}
