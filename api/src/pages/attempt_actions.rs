//! What can be done with an attempt: try it again, or choose among the accounts that its login reaches.

use axum::{
    extract::{Path, State},
    response::Response,
};
use commands::{attempt::Phase, connect::Ask};
use serde::Deserialize;

use super::{attempt::own, browser::Browser, see_other};
use crate::{
    app::App,
    error::Error,
    limits::Address,
    request::RequestId,
    sign_in::{
        Posted,
        signed_in::{Acting, MaybeSignedIn},
    },
};

/// How to try again.
#[derive(Debug, Deserialize)]
pub struct AgainForm {
    connection: String,
    ask: String,
}

/// `POST /attempts/{reference}/again`: the same trip once more; without the login, while its grant waits.
pub async fn start_again(
    State(app): State<App>,
    from: Address,
    MaybeSignedIn(user): MaybeSignedIn,
    browser: Browser,
    request: RequestId,
    Path(reference): Path<String>,
    Posted(form): Posted<AgainForm>,
) -> Result<Response, Error> {
    app.limits.login(from)?;
    let attempt = own(&app, &reference, &browser).await?;
    if attempt.user.is_some() && attempt.user != user.as_ref().map(|user| user.id) {
        return Err(Error::SignIn);
    }
    let connection = form.connection.parse().map_err(|_| Error::Missing)?;
    let ask = match form.ask.as_str() {
        "other_person" => Ask::OtherPerson,
        "permissions" => Ask::Permissions,
        "data_access" => Ask::DataAccess,
        _ => Ask::Usual,
    };
    let by = user.map(|user| user.role.authority(user.id));
    if matches!(attempt.phase, Phase::Waiting(_)) {
        let shared = app.clone();
        let work = async move { shared.commands.try_again(&attempt, by, Some(request.0)).await };
        app.to_the_end(work).await?;
        app.until_position(app.store().head().await?).await;
        return Ok(see_other(&format!("/attempts/{reference}")));
    }
    if attempt.phase == Phase::Claimed {
        // Pressed twice: Meta is being asked already.
        return Ok(see_other(&format!("/attempts/{reference}")));
    }
    let value = browser.value();
    let login = app.commands.start_again(&attempt, connection, by, &value, ask).await?;
    Browser::keep(&value, &app, see_other(login.as_str()))
}

/// The accounts that were ticked.
#[derive(Debug, Deserialize)]
pub struct ChoiceForm {
    #[serde(default)]
    account: Vec<String>,
}

/// `POST /attempts/{reference}/choose`.
pub async fn choose(
    State(app): State<App>,
    Acting { user, context }: Acting,
    browser: Browser,
    Path(reference): Path<String>,
    Posted(form): Posted<ChoiceForm>,
) -> Result<Response, Error> {
    let attempt = own(&app, &reference, &browser).await?;
    if form.account.is_empty() {
        let text = "Tick at least one account.".to_owned();
        return Err(Error::Bad(text).at("account", &format!("/attempts/{reference}")));
    }
    if matches!(attempt.phase, Phase::Choosing | Phase::Waiting(_)) {
        let shared = app.clone();
        let work = async move { shared.commands.choose(&attempt, user.id, &form.account, &context).await };
        app.to_the_end(work).await?;
        // The result page shows the state that the choice led to.
        app.until_position(app.store().head().await?).await;
    }
    Ok(see_other(&format!("/attempts/{reference}")))
}
