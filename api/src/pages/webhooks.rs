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
    sign_in::{
        Guarded, Nothing, Posted,
        flash::{self, Form},
        signed_in::SignedIn,
    },
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
    form: Form,
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

/// `GET /webhooks`.
pub async fn page(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Guarded(csrf): Guarded,
    session: Session,
) -> Result<Response, Error> {
    let now = app.commands.clock.now();
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
    let added: Option<String> = flash::once(&session, "endpoint_added").await?;
    let secret = match added {
        Some(endpoint) => webhooks::secret(&app, &endpoint).await?,
        None => None,
    };
    render(&WebhooksPage {
        me: Me::from(&user),
        csrf,
        secret,
        form: Form::take(&session).await?,
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
pub async fn add(State(app): State<App>, session: Session, Posted(form): Posted<AddForm>) -> Result<Response, Error> {
    match webhooks::add(&app, &commands::new_id().to_string(), &form.url).await {
        Ok((endpoint, _)) => session.insert("endpoint_added", endpoint.id).await?,
        Err(error) => return Err(error.at("url", "/webhooks")),
    }
    Ok(see_other("/webhooks"))
}

/// `POST /webhooks/{id}/remove`.
pub async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    if webhooks::remove(&app, &id).await? { Ok(see_other("/webhooks")) } else { Err(Error::Missing) }
}
