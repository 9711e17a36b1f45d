//! What is due by the clock alone: tokens whose time has run out are marked so at their moment, many at once if need be.
//!
//! While the clock isn't trusted, nothing of this is done. Where Meta wasn't heard of an account lately, it is asked first, in
//! line with all other calls; after ten minutes, or when Meta is away, time decides.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use commands::overdue::{Due, Heard};
use domain::Connection;
use engine::{
    StoreError,
    jobs::{self, End, Worker},
};
use futures::{StreamExt, stream};
use meta::Presence;
use projections::{
    feeds,
    jobs::{CLOCK, Job, check_first},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Pauses, context, next, readable};
use crate::app::App;

/// How many are claimed at once, and share commits.
const AT_ONCE: u32 = 1024;
/// How long Meta has for an answer before time decides.
const ANSWER_WITHIN: Duration = Duration::from_mins(10);
/// About so many Meta is asked before it is known whether it answers at all.
const FEW: usize = 64;
/// How long the others wait meanwhile.
const SOON: TimeDelta = TimeDelta::seconds(2);

/// Works until the token is cancelled.
pub async fn run(app: App, worker: Arc<Worker>, queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let mut pauses = Pauses::new(&app, queue_position, stop);
    let mut asking = Asking::default();
    while pauses.after(expire(&app, &worker, &mut asking).await.map(|found| found > 0)).await {}
}

async fn expire(app: &App, worker: &Worker, asking: &mut Asking) -> Result<usize, commands::Error> {
    if app.commands.clock.doubt().is_some() || asking.waits(app).await {
        return Ok(0);
    }
    let claimed = worker.claim_in_order(CLOCK, app.commands.clock.now(), AT_ONCE).await?;
    let found = claimed.len();
    if found == 0 {
        return Ok(0);
    }
    let claimed = readable(app, claimed).await?;
    let context = context();
    let heard = feeds::heard_of(app.database(), claimed.iter().map(|job| job.account)).await?;
    let in_vain: Vec<_> = Connection::ALL.into_iter().filter(|of| asking.is_vain(*of)).collect();
    let ended: Vec<_> = stream::iter(claimed)
        .map(|job: Job| async {
            let at = heard.get(&job.account.to_string()).copied();
            let decide = |was_asked| app.commands.expire(job.account, Heard { at, was_asked }, &context);
            let due = match decide(job.attempts > 0).await {
                Ok(Due::Ask(connection)) if in_vain.contains(&connection) => decide(true).await,
                due => due,
            };
            (job, due)
        })
        .buffer_unordered(AT_ONCE as usize)
        .collect()
        .await;
    let now = app.commands.clock.now();
    let (mut done, mut asked) = (Vec::new(), Vec::new());
    for (job, due) in &ended {
        match due {
            Ok(Due::Decided(due)) => done.push((&job.held, next(job, *due))),
            Ok(Due::Ask(connection)) if asking.may_ask(app, *connection) => {
                let why = "its time has run out, and Meta is asked first".to_owned();
                let at = now + TimeDelta::from_std(ANSWER_WITHIN).unwrap_or_default();
                done.push((&job.held, End::Retry { at, why, in_line: true }));
                asked.push(job.account);
            }
            Ok(Due::Ask(_)) => {
                let why = "its time has run out; whether Meta answers is being tried".to_owned();
                done.push((&job.held, End::Postpone { at: now + SOON, why }));
            }
            Ok(Due::Wait) => {
                let why = "the time can't be trusted".to_owned();
                done.push((&job.held, End::Postpone { at: now + SOON, why }));
            }
            Err(error @ commands::Error::Store(StoreError::Undecodable(_))) => {
                super::failed::fault(app, job, error).await?;
            }
            // No try of its own: Meta was not asked.
            Err(error) => {
                tracing::warn!(account = %job.account, %error, "it could not be decided whether a token has run out");
                done.push((&job.held, End::Postpone { at: now + SOON, why: "our own fault: see the log".to_owned() }));
            }
        }
    }
    let mut tx = app.database().begin().await?;
    jobs::end(&mut tx, &done).await?;
    check_first(&mut tx, &asked, now).await?;
    tx.commit().await?;
    Ok(found)
}

/// How many tokens of an app Meta was asked about while it isn't known whether it answers.
#[derive(Debug, Default)]
struct Asking(HashMap<Connection, Asked>);

#[derive(Debug)]
struct Asked {
    count: usize,
    since: Instant,
}

impl Asking {
    /// Whether those who were asked about are to be waited for. Another call shows whether Meta answers, also where others make
    /// the checks.
    async fn waits(&mut self, app: &App) -> bool {
        let is_unknown = |of: &Connection| app.commands.presence(*of) == Presence::Unknown;
        if self.0.keys().any(is_unknown) {
            app.commands.ask_the_time().await;
        }
        self.0.retain(|of, _| is_unknown(of));
        self.0.values().any(|asked| asked.count >= FEW && asked.since.elapsed() <= ANSWER_WITHIN)
    }

    /// Whether its app's tokens were waited for long enough.
    fn is_vain(&self, connection: Connection) -> bool {
        self.0.get(&connection).is_some_and(|asked| asked.since.elapsed() > ANSWER_WITHIN)
    }

    fn may_ask(&mut self, app: &App, connection: Connection) -> bool {
        if app.commands.presence(connection) == Presence::Answers {
            return true;
        }
        let asked = self.0.entry(connection).or_insert_with(|| Asked { count: 0, since: Instant::now() });
        asked.count += 1;
        asked.count <= FEW
    }
}
