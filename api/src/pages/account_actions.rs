//! What somebody does on an account's page: each a form that leads back to it, or to Meta's login.

use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::connect::Ask;
use domain::{AccountError, AccountId, Authority, LinkId, WidgetId, account::Plan};
use projections::{accounts::Viewer, jobs};
use serde::Deserialize;
use tower_sessions::Session;

use super::{browser::Browser, see_other};
use crate::{
    app::App,
    error::Error,
    limits::Address,
    sign_in::{
        Nothing, Posted, User, flash,
        signed_in::{Acting, SignedIn},
    },
};

fn authority(user: &User) -> Authority {
    user.role.authority(user.id)
}

/// The page of an account. Without a fragment: browsers focus the wrong field by themselves then.
fn page_of(account: AccountId) -> String {
    format!("/accounts/{account}")
}

/// The account of a command, checked against its event streams, because a view may lag behind. An account that the user has
/// no right on is answered as missing.
///
/// # Errors
/// [`Error::Missing`].
pub async fn acted_on(app: &App, user: &User, id: &str) -> Result<AccountId, Error> {
    let account = id.parse().map_err(|_| Error::Missing)?;
    let by = match user.role.viewer(user.id) {
        Viewer::Staff => Authority::Staff,
        Viewer::User(user) => Authority::User(user),
    };
    app.commands.may_see(account, by).await?;
    Ok(account)
}

async fn back(session: &Session, account: AccountId, said: &str) -> Result<Response, Error> {
    flash::say(session, said).await?;
    Ok(see_other(&page_of(account)))
}

/// `POST /accounts/{id}/refresh`.
pub async fn refresh(
    State(app): State<App>,
    from: Address,
    SignedIn(user): SignedIn,
    browser: Browser,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let account = acted_on(&app, &user, &id).await?;
    let value = browser.value();
    let by = authority(&user);
    let login = app.commands.start_refresh(account, user.id, by, &value, Ask::Usual).await?;
    Browser::keep(&value, &app, see_other(login.as_str()))
}

/// `POST /accounts/{id}/switch`.
pub async fn switch(
    State(app): State<App>,
    from: Address,
    SignedIn(user): SignedIn,
    browser: Browser,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let account = acted_on(&app, &user, &id).await?;
    let value = browser.value();
    let login = app.commands.start_switch(account, user.id, authority(&user), &value, Ask::Usual).await?;
    Browser::keep(&value, &app, see_other(login.as_str()))
}

/// Why Meta can't be asked about an account.
pub fn askable(error: commands::Error) -> Error {
    match error {
        commands::Error::Account(AccountError::Disconnected) => {
            Error::Rule("This account is disconnected: there is no token to ask about.".to_owned())
        }
        error => error.into(),
    }
}

/// `POST /accounts/{id}/check`.
pub async fn check(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    session: Session,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    app.commands.may_ask(account, Authority::Staff).await.map_err(askable)?;
    if app.commands.usable(account).await?.is_none() && app.commands.may_return(account).await?.is_none() {
        return back(
            &session,
            account,
            "There is nothing to ask: a token that ended like this does not work again. Only a login helps.",
        )
        .await;
    }
    app.limits.check(account)?;
    jobs::ask_check(app.database(), account, app.commands.clock.now()).await?;
    app.changed.send_modify(|count| *count += 1);
    back(&session, account, "We are asking Meta. The answer appears here in a moment.").await
}

/// Whether somebody is sure.
#[derive(Debug, Deserialize)]
pub struct Sure {
    #[serde(default)]
    sure: String,
}

/// `POST /accounts/{id}/disconnect`.
pub async fn disconnect(
    State(app): State<App>,
    Acting { user, context }: Acting,
    session: Session,
    Path(id): Path<String>,
    Posted(form): Posted<Sure>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    if form.sure != "yes" {
        let text = "Tick the box to say that you are sure.".to_owned();
        return Err(Error::Bad(text).at("sure", &page_of(account)));
    }
    let committed = app.commands.disconnect(account, authority(&user), &context).await?;
    app.until_shown(committed).await;
    back(&session, account, "Disconnected. Connect the account again to bring its widgets back.").await
}

/// A widget's plan.
#[derive(Debug, Deserialize)]
pub struct PlanForm {
    plan: String,
}

fn plan(form: &PlanForm) -> Result<Plan, Error> {
    form.plan.parse().map_err(|_| Error::Bad("The plan is free or upgraded.".to_owned()))
}

/// `POST /accounts/{id}/widgets`.
pub async fn add_widget(
    State(app): State<App>,
    Acting { user, context }: Acting,
    session: Session,
    Path(id): Path<String>,
    Posted(form): Posted<PlanForm>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let widget = WidgetId::new(commands::new_id());
    let plan = plan(&form)?;
    let added = app.commands.add_widget(account, widget, plan, authority(&user), &context).await;
    let committed = added.map_err(|error| Error::from(error).at("plan", &page_of(account)))?;
    app.until_shown(committed).await;
    back(&session, account, "The widget was added.").await
}

/// `POST /accounts/{id}/widgets/{widget}/plan`.
pub async fn change_plan(
    State(app): State<App>,
    Acting { user, context }: Acting,
    session: Session,
    Path((id, widget)): Path<(String, String)>,
    Posted(form): Posted<PlanForm>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let (widget, plan) = (widget.parse().map_err(|_| Error::Missing)?, plan(&form)?);
    let by = authority(&user);
    let committed = app.commands.change_widget_plan(account, widget, plan, by, &context).await?;
    app.until_shown(committed).await;
    back(&session, account, "The widget's plan was changed.").await
}

/// `POST /accounts/{id}/widgets/{widget}/remove`.
pub async fn remove_widget(
    State(app): State<App>,
    Acting { user, context }: Acting,
    session: Session,
    Path((id, widget)): Path<(String, String)>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let widget = widget.parse().map_err(|_| Error::Missing)?;
    let committed = app.commands.remove_widget(account, widget, authority(&user), &context).await?;
    app.until_shown(committed).await;
    back(&session, account, "The widget was removed. Its page says so now.").await
}

/// Who loses the right.
#[derive(Debug, Deserialize)]
pub struct RevokeForm {
    user: String,
}

/// `POST /accounts/{id}/access/revoke`.
pub async fn revoke(
    State(app): State<App>,
    Acting { user, context }: Acting,
    session: Session,
    Path(id): Path<String>,
    Posted(form): Posted<RevokeForm>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let other = form.user.parse().map_err(|_| Error::Missing)?;
    let committed = app.commands.revoke_access(account, other, authority(&user), &context).await?;
    if committed.position.is_none() {
        // That person has no access.
        return Err(Error::Missing);
    }
    app.until_shown(committed).await;
    if other == user.id {
        return Ok(see_other("/accounts"));
    }
    back(&session, account, "The access was revoked.").await
}

/// `POST /accounts/{id}/link`.
pub async fn link(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    session: Session,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let link = LinkId::new(commands::new_id());
    // Whether one can be made is known now; the page makes it.
    app.commands.make_link(account, link).await?;
    session.insert("link_made", (account, link)).await?;
    back(&session, account, "Here is the link, below under Reconnect link. Send it to the person who has the password.")
        .await
}
