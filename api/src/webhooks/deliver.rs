//! Delivering: signed, to the addresses that were checked, without redirects; tried again for three days. Each endpoint has
//! its own turn: one that is slow or away holds up no other.

use std::time::Duration;

use chrono::TimeDelta;
use engine::{Outbox, StoreError, sql, take_due};
use futures::{StreamExt, stream};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::JoinMap};
use url::Url;

use super::{guard, open, outbox};
use crate::app::App;

/// How long an endpoint may take. Source: Standard Webhooks, "Operational considerations": 15 to 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many deliveries to one endpoint are under way at once.
const AT_ONCE: i64 = 16;
/// Longer than all of them can take.
const LEASE: TimeDelta = TimeDelta::minutes(1);
const LOOK: Duration = Duration::from_millis(500);
/// Minutes between tries. Source: Standard Webhooks, "Deliverability and reliability"; about three days in all.
const AGAIN_MINUTES: [i64; 10] = [0, 5, 30, 120, 300, 600, 840, 840, 840, 840];
/// The first is tried again after seconds.
const FIRST_AGAIN: TimeDelta = TimeDelta::seconds(5);

#[derive(sqlx::FromRow)]
struct Due {
    id: String,
    message_id: String,
    body: String,
    attempts: i64,
}

/// Works until the token is cancelled.
pub async fn run(app: App, mut status_position: watch::Receiver<i64>, stop: CancellationToken) {
    let mut moved = app.commands.clock.moved();
    let mut under_way = JoinMap::new();
    while !stop.is_cancelled() {
        let more = match work(&app, &mut under_way).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "web hooks could not be worked on; trying again");
                false
            }
        };
        if !more {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = status_position.changed() => {}
                _ = moved.changed() => {}
                Some(_) = under_way.join_next() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Looks for what is to be told, and begins a turn of each endpoint that has none under way. Whether there may be more.
async fn work(app: &App, under_way: &mut JoinMap<String, ()>) -> Result<bool, commands::Error> {
    while under_way.try_join_next().is_some() {}
    let more = outbox::advance(app).await?;
    for endpoint in waiting(app).await? {
        if !under_way.contains_key(&endpoint) {
            under_way.spawn(endpoint.clone(), turn(app.clone(), endpoint));
        }
    }
    Ok(more)
}

/// The endpoints for which something is due that nobody has taken.
async fn waiting(app: &App) -> Result<Vec<String>, StoreError> {
    let now = app.commands.clock.now();
    Ok(sql(format!(
        "SELECT id FROM webhook_endpoints WHERE EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = \
         webhook_endpoints.id AND d.ended_at IS NULL AND d.due_at <= $1 AND (d.leased_until IS NULL OR d.leased_until < {}))",
        app.database().dialect().clock(0)
    )).bind(now).scalars(app.database()).await?)
}

/// Delivers some of what is due to an endpoint, at once.
async fn turn(app: App, endpoint: String) {
    let columns = "id, message_id, body, attempts";
    let only = Some(("endpoint_id", endpoint.as_str()));
    let rows = Outbox { table: "webhook_deliveries", columns, only, set: None };
    let due = match take_due(app.database(), rows, (app.commands.clock.now(), LEASE), AT_ONCE).await {
        Ok(due) => due,
        Err(error) => return tracing::warn!(endpoint, %error, "what an endpoint is to be told could not be read"),
    };
    let way = match way(&app, &endpoint).await {
        Ok(way) => way,
        Err(error) => return tracing::warn!(endpoint, %error, "an endpoint could not be read"),
    };
    let deliver = async |due: Due| {
        let done = match &way {
            Ok(way) => deliver(&app, &endpoint, way, &due).await,
            Err(NoWay::Gone) => end(&app, &due, "failed", "the endpoint is gone").await,
            Err(NoWay::Later(why)) => again(&app, &due, why).await,
        };
        if let Err(error) = done {
            tracing::warn!(delivery = due.id, %error, "what came of a delivery could not be recorded");
        }
    };
    stream::iter(due).for_each_concurrent(None, deliver).await;
}

/// The way to an endpoint, for one turn.
struct Way {
    url: Url,
    /// Connects to the addresses that were checked, and to no others.
    client: reqwest::Client,
    secret: Webhook,
}

/// Why there is none.
enum NoWay {
    Gone,
    /// Tried again later.
    Later(&'static str),
}

async fn way(app: &App, endpoint: &str) -> Result<Result<Way, NoWay>, StoreError> {
    let found: Option<(String, String, Vec<u8>)> =
        sql("SELECT url, key_id, secret FROM webhook_endpoints WHERE id = $1 AND disabled_at IS NULL")
            .bind(endpoint)
            .fetch_optional(app.database())
            .await?;
    let Some((url, key_id, secret)) = found else { return Ok(Err(NoWay::Gone)) };
    let secret = open(app, endpoint, key_id, secret).ok().and_then(|secret| Webhook::new(&secret).ok());
    let Some(secret) = secret else {
        return Ok(Err(NoWay::Later("its secret can't be opened: its key is missing")));
    };
    Ok(connect(app, &url).await.map(|(url, client)| Way { url, client, secret }).map_err(NoWay::Later))
}

/// A client for an address whose name is resolved once, here.
async fn connect(app: &App, url: &str) -> Result<(Url, reqwest::Client), &'static str> {
    let private = app.config.webhooks.private;
    let url: Url = guard::address(url, private)?;
    let resolved = tokio::time::timeout(TIMEOUT, guard::resolve(&url, private)).await;
    let addresses = resolved.map_err(|_| "its name can't be resolved in time")??;
    let mut builder = meta::builder()
        .user_agent(concat!("Relight/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(host) = url.domain() {
        builder = builder.resolve_to_addrs(host, &addresses);
    }
    Ok((url, builder.build().map_err(|_| "TLS can't be set up")?))
}

async fn deliver(app: &App, endpoint: &str, way: &Way, due: &Due) -> Result<(), commands::Error> {
    match send(app, way, due).await {
        Ok(status) if (200..300).contains(&status) => end(app, due, "delivered", &status.to_string()).await,
        Ok(410) => {
            tracing::warn!(endpoint, "a web hook's endpoint answered 410 Gone, and is told nothing any more");
            sql("UPDATE webhook_endpoints SET disabled_at = $1 WHERE id = $2")
                .bind(app.commands.clock.now())
                .bind(endpoint)
                .execute(app.database())
                .await?;
            end(app, due, "failed", "410").await
        }
        Ok(status) => again(app, due, &status.to_string()).await,
        Err(why) => again(app, due, why).await,
    }
}

/// Sends it; the status of the answer.
async fn send(app: &App, way: &Way, due: &Due) -> Result<u16, &'static str> {
    // Whoever hears it compares this with a clock of their own.
    let at = app.commands.clock.of_the_world().timestamp();
    let signature = way.secret.sign(&due.message_id, at, due.body.as_bytes()).map_err(|_| "it can't be signed")?;
    let request = way
        .client
        .post(way.url.clone())
        .header("content-type", "application/json")
        .header(HEADER_WEBHOOK_ID, &due.message_id)
        .header(HEADER_WEBHOOK_TIMESTAMP, at.to_string())
        .header(HEADER_WEBHOOK_SIGNATURE, signature)
        .body(due.body.clone());
    // The answer's body is nobody's concern, and not read.
    request.send().await.map(|answer| answer.status().as_u16()).map_err(|error| match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "the call failed",
    })
}

async fn end(app: &App, due: &Due, outcome: &str, answer: &str) -> Result<(), commands::Error> {
    let now = app.commands.clock.now();
    sql("UPDATE webhook_deliveries SET ended_at = $1, outcome = $2, answer = $3, attempts = attempts + 1, \
         leased_until = NULL WHERE id = $4 AND ended_at IS NULL")
    .bind(now)
    .bind(outcome)
    .bind(answer)
    .bind(&due.id)
    .execute(app.database())
    .await?;
    Ok(())
}

async fn again(app: &App, due: &Due, answer: &str) -> Result<(), commands::Error> {
    let Some(minutes) = usize::try_from(due.attempts).ok().and_then(|attempts| AGAIN_MINUTES.get(attempts)) else {
        tracing::warn!(delivery = due.id, answer, "a web hook was given up");
        return end(app, due, "failed", answer).await;
    };
    let wait = if *minutes == 0 { FIRST_AGAIN } else { TimeDelta::minutes(*minutes) };
    let due_at = app.commands.clock.now() + wait;
    sql("UPDATE webhook_deliveries SET due_at = $1, answer = $2, attempts = attempts + 1, leased_until = NULL \
         WHERE id = $3 AND ended_at IS NULL")
    .bind(due_at)
    .bind(answer)
    .bind(&due.id)
    .execute(app.database())
    .await?;
    Ok(())
}

/// Deletes what was over before a time.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(app: &App, before: chrono::DateTime<chrono::Utc>) -> Result<(), engine::StoreError> {
    sql("DELETE FROM webhook_deliveries WHERE ended_at < $1").bind(before).execute(app.database()).await?;
    Ok(())
}
