//! Web hooks: where the widget service is told what happens, and what came of it.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Deserialize;
use tower_sessions::Session;

use super::{Me, render, see_other, short};
use crate::{
    app::App,
    error::Error,
    sign_in::{Guarded, Nothing, Posted, Role, User, user::SignedIn},
    webhooks,
    words::Moment,
};

/// How many deliveries are shown.
const DELIVERIES: i64 = 50;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    me: Me,
    csrf: String,
    secret: Option<String>,
    problem: Option<String>,
    endpoints: Vec<EndpointRow>,
    deliveries: Vec<DeliveryRow>,
}

struct EndpointRow {
    id: String,
    url: String,
    created: Moment,
    disabled: Option<Moment>,
}

struct DeliveryRow {
    kind: String,
    endpoint: String,
    account: String,
    short: String,
    when: Moment,
    pill: &'static str,
    words: String,
}

fn admin(user: User) -> Result<User, Error> {
    if user.role == Role::Admin { Ok(user) } else { Err(Error::Missing) }
}

/// `GET /webhooks`.
pub async fn page(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    session: Session,
) -> Result<Response, Error> {
    let user = admin(user)?;
    let now = app.commands.clock.now();
    let internal = |error: tower_sessions::session::Error| Error::Internal(error.into());
    let moment = |at| Moment { at, now };
    let endpoints = webhooks::list(&app).await?;
    let urls: HashMap<_, _> = endpoints.iter().map(|endpoint| (endpoint.id.clone(), endpoint.url.clone())).collect();
    let endpoints = endpoints.into_iter().map(|endpoint| EndpointRow {
        id: endpoint.id,
        url: endpoint.url,
        created: moment(endpoint.created_at),
        disabled: endpoint.disabled_at.map(moment),
    });
    let deliveries = webhooks::deliveries(&app, None, DELIVERIES).await?.into_iter().map(|delivery| {
        let answer = delivery.answer.unwrap_or_default();
        let (pill, words) = match (delivery.outcome.as_deref(), delivery.attempts) {
            (Some("delivered"), _) => ("active", format!("Delivered ({answer})")),
            (Some(_), attempts) => ("expired", format!("Given up after {attempts}: {answer}")),
            (None, 0) => ("disconnected", "Waits".to_owned()),
            (None, _) => ("soon", format!("{answer}; again {}", moment(delivery.due_at).plain())),
        };
        let (short, when) = (short(&delivery.account_id), moment(delivery.created_at));
        let endpoint = urls.get(&delivery.endpoint_id).cloned().unwrap_or_default();
        DeliveryRow { kind: delivery.kind, endpoint, short, account: delivery.account_id, when, pill, words }
    });
    // The session keeps only whose secret is to be shown, once.
    let added: Option<String> = session.remove("endpoint_added").await.map_err(internal)?;
    let secret = match added {
        Some(endpoint) => webhooks::secret(&app, &endpoint).await?,
        None => None,
    };
    render(&WebhooksPage {
        me: Me::from(&user),
        csrf,
        secret,
        problem: session.remove("problem").await.map_err(internal)?,
        endpoints: endpoints.collect(),
        deliveries: deliveries.collect(),
    })
}

/// A new endpoint's address.
#[derive(Debug, Deserialize)]
pub struct AddForm {
    url: String,
}

/// `POST /webhooks`.
pub async fn add(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    session: Session,
    Posted(form): Posted<AddForm>,
) -> Result<Response, Error> {
    admin(user)?;
    let internal = |error: tower_sessions::session::Error| Error::Internal(error.into());
    match webhooks::add(&app, &commands::new_id().to_string(), &form.url).await {
        Ok((endpoint, _)) => session.insert("endpoint_added", endpoint.id).await.map_err(internal)?,
        Err(Error::Rule(said)) => session.insert("problem", said).await.map_err(internal)?,
        Err(error) => return Err(error),
    }
    Ok(see_other("/webhooks"))
}

/// `POST /webhooks/{id}/remove`.
pub async fn remove(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    admin(user)?;
    webhooks::remove(&app, &id).await?;
    Ok(see_other("/webhooks"))
}
