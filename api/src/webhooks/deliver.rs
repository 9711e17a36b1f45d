//! Delivering: signed, to the addresses that were checked, without redirects; tried again for three days. Each endpoint has
//! its own turn: one that is slow or away holds up no other.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use engine::{
    StoreError,
    jobs::{End, Held, Job, Worker},
    sql,
};
use futures::{StreamExt, stream};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::JoinMap};
use url::Url;

use super::{guard, open};
use crate::app::App;

/// How long an endpoint may take. Source: Standard Webhooks, "Operational considerations": 15 to 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many deliveries to one endpoint are under way at once.
const AT_ONCE: u32 = 16;
/// What the names of the endpoints' queues begin with.
const QUEUES: &str = "hook:";
/// The kind of their jobs.
pub const DELIVERY: &str = "delivery";
const LOOK: Duration = Duration::from_millis(500);
/// Minutes between tries. Source: Standard Webhooks, "Deliverability and reliability"; about three days in all.
const AGAIN_MINUTES: [i64; 10] = [0, 5, 30, 120, 300, 600, 840, 840, 840, 840];
/// The first is tried again after seconds.
const FIRST_AGAIN: TimeDelta = TimeDelta::seconds(5);

/// A delivery that is due.
struct Due<'a> {
    held: &'a Held,
    message_id: String,
    body: String,
    attempts: u32,
}

/// The queue of an endpoint: a slow one delays no other.
pub fn queue(endpoint: &str) -> String {
    format!("{QUEUES}{endpoint}")
}

/// Works until the token is cancelled. `reaction`: the position of the reaction that fills the queues.
pub async fn run(app: App, worker: Arc<Worker>, mut reaction: watch::Receiver<i64>, stop: CancellationToken) {
    let mut moved = app.commands.clock.moved();
    let mut under_way = JoinMap::new();
    while !stop.is_cancelled() {
        if let Err(error) = work(&app, &worker, &mut under_way).await {
            tracing::warn!(%error, "web hooks could not be worked on; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = reaction.changed() => {}
            _ = moved.changed() => {}
            Some(_) = under_way.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Begins a turn of each endpoint that is to be told something and has none under way.
async fn work(app: &App, worker: &Arc<Worker>, under_way: &mut JoinMap<String, ()>) -> Result<(), StoreError> {
    while under_way.try_join_next().is_some() {}
    let endpoints: Vec<String> = sql("SELECT id FROM webhook_endpoints").scalars(app.database()).await?;
    let queues: Vec<String> = endpoints.iter().map(|endpoint| queue(endpoint)).collect();
    let queues: Vec<&str> = queues.iter().map(String::as_str).collect();
    for waiting in worker.waiting_queues(&queues, app.commands.clock.now()).await? {
        if !under_way.contains_key(&waiting) {
            let turn = turn(app.clone(), worker.clone(), waiting.clone());
            under_way.spawn(waiting, turn);
        }
    }
    Ok(())
}

/// Delivers some of what is due in an endpoint's queue, at once.
async fn turn(app: App, worker: Arc<Worker>, queue: String) {
    let endpoint = queue.strip_prefix(QUEUES).unwrap_or_default();
    let claimed = match worker.claim_in_order(&queue, app.commands.clock.now(), AT_ONCE).await {
        Ok(claimed) => claimed,
        Err(error) => {
            tracing::warn!(endpoint, %error, "what an endpoint is to be told could not be read");
            return tokio::time::sleep(LOOK).await;
        }
    };
    let way = match way(&app, endpoint).await {
        Ok(way) => way,
        Err(error) => {
            tracing::warn!(endpoint, %error, "an endpoint could not be read");
            return tokio::time::sleep(LOOK).await;
        }
    };
    let deliver = async |job: Job| {
        if let Err(error) = deliver_job(&app, endpoint, &way, &job).await {
            tracing::warn!(delivery = job.held.key(), %error, "what came of a delivery could not be recorded");
        }
    };
    stream::iter(claimed).for_each_concurrent(None, deliver).await;
}

async fn deliver_job(app: &App, endpoint: &str, way: &Result<Way, NoWay>, job: &Job) -> Result<(), commands::Error> {
    let found = sql("SELECT message_id, body FROM webhook_deliveries WHERE id = $1").bind(job.held.key());
    let Some((message_id, body)) = found.fetch_optional(app.database()).await? else {
        // Its endpoint was removed meanwhile.
        let gone = End::Discard("the endpoint is gone".to_owned());
        return Ok(app.completer.end(job.held.clone(), gone).await.map(drop)?);
    };
    let due = Due { held: &job.held, message_id, body, attempts: job.attempts };
    match way {
        Ok(way) => deliver(app, endpoint, way, &due).await,
        Err(NoWay::Gone) => end(app, &due, "failed", "the endpoint is gone").await,
        Err(NoWay::Later(why)) => again(app, &due, why).await,
    }
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

async fn deliver(app: &App, endpoint: &str, way: &Way, due: &Due<'_>) -> Result<(), commands::Error> {
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
async fn send(app: &App, way: &Way, due: &Due<'_>) -> Result<u16, &'static str> {
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

async fn end(app: &App, due: &Due<'_>, outcome: &str, answer: &str) -> Result<(), commands::Error> {
    let mut tx = app.database().begin().await?;
    if due.held.end(&mut tx, End::Done).await?.is_none() {
        return Ok(());
    }
    sql(
        "UPDATE webhook_deliveries SET ended_at = $1, outcome = $2, answer = $3, attempts = attempts + 1 WHERE id = $4",
    )
    .bind(app.commands.clock.now())
    .bind(outcome)
    .bind(answer)
    .bind(due.held.key())
    .execute(&mut tx)
    .await?;
    Ok(tx.commit().await?)
}

async fn again(app: &App, due: &Due<'_>, answer: &str) -> Result<(), commands::Error> {
    let Some(minutes) = usize::try_from(due.attempts).ok().and_then(|attempts| AGAIN_MINUTES.get(attempts)) else {
        tracing::warn!(delivery = due.held.key(), answer, "a web hook was given up");
        return end(app, due, "failed", answer).await;
    };
    let at = app.commands.clock.now() + if *minutes == 0 { FIRST_AGAIN } else { TimeDelta::minutes(*minutes) };
    let mut tx = app.database().begin().await?;
    if due.held.end(&mut tx, End::Retry { at, why: answer.to_owned(), in_line: false }).await?.is_none() {
        return Ok(());
    }
    sql("UPDATE webhook_deliveries SET due_at = $1, answer = $2, attempts = attempts + 1 WHERE id = $3")
        .bind(at)
        .bind(answer)
        .bind(due.held.key())
        .execute(&mut tx)
        .await?;
    Ok(tx.commit().await?)
}

/// Deletes what was over before a time.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(app: &App, before: chrono::DateTime<chrono::Utc>) -> Result<(), engine::StoreError> {
    sql("DELETE FROM webhook_deliveries WHERE ended_at < $1").bind(before).execute(app.database()).await?;
    Ok(())
}
