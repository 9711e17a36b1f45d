//! Notices: what happened is gathered into one mail a person and kind, and mails that wait are sent.

mod gather;
mod send;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use chrono::TimeDelta;
use domain::{AccountId, Connection, UserId};
use engine::{StoreError, jobs::Worker};
use futures::{StreamExt, stream};
use projections::{
    accounts::{self, Account},
    jobs::{CLOCK, NOTIFICATIONS},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Pauses, readable};
use crate::{
    app::App,
    error::Error,
    mail::Mailer,
    sign_in::{Users, mails::Mails},
};
use gather::gather;
use send::send;

/// How many accounts are gathered at once.
const AT_ONCE: u32 = 500;
/// What has been due by the clock for this long says that it is behind.
const BEHIND: TimeDelta = TimeDelta::seconds(2);
/// How many mails are under way at once.
const MAILS: u32 = 4;
/// How long mails wait at a time while an incident is open.
const INCIDENT_WAIT: TimeDelta = TimeDelta::minutes(1);
const TROUBLE: &str = "Meta refuses many accounts at once: mails wait until that is over";

/// Gathers what happened into mails, until the token is cancelled.
pub async fn run(app: App, worker: Arc<Worker>, queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let mut pauses = Pauses::new(&app, queue_position, stop);
    while pauses.after(gather_due(&app, &worker).await).await {}
}

async fn gather_due(app: &App, worker: &Worker) -> Result<bool, commands::Error> {
    let now = app.commands.clock.now();
    // Not while tokens expire faster than they are marked, for both write a lot.
    if app.commands.clock.doubt().is_none() && worker.waits(CLOCK, now - BEHIND).await? {
        return Ok(false);
    }
    let claimed = worker.claim_in_order(NOTIFICATIONS, now, AT_ONCE).await?;
    let claimed = readable(app, claimed).await?;
    if !claimed.is_empty() {
        gather(app, &claimed).await?;
    }
    Ok(!claimed.is_empty())
}

/// Sends the mails that wait, until the token is cancelled.
pub async fn run_mails(app: App, worker: Arc<Worker>, gathered: watch::Receiver<i64>, stop: CancellationToken) {
    let Some(mailer) = &app.mailer else { return stop.cancelled().await };
    let mut pauses = Pauses::new(&app, gathered, stop);
    while pauses.after(send_due(&app, mailer, &worker).await).await {}
}

async fn send_due(app: &App, mailer: &Mailer, worker: &Worker) -> Result<bool, commands::Error> {
    let mails = app.commands.take_mails(worker, MAILS).await?;
    let found = !mails.is_empty();
    stream::iter(mails)
        .for_each_concurrent(None, async |mail| {
            if let Err(error) = send(app, mailer, &mail).await {
                tracing::warn!(mail = mail.id, %error, "a mail could not be sent; it is tried again when its lease ends");
            }
        })
        .await;
    Ok(found)
}

/// The logins whose apps have an open incident: mails about their accounts wait.
async fn troubled(app: &App) -> Result<Vec<Connection>, StoreError> {
    Ok(app.commands.open_incidents().await?.into_iter().map(|incident| incident.connection.0).collect())
}

/// Which mails people want, each looked up once.
struct Wishes<'a> {
    app: &'a App,
    users: Users,
    known: HashMap<UserId, Option<Mails>>,
    upgraded: HashMap<UserId, bool>,
}

impl<'a> Wishes<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, users: Users::new(app.database().clone()), known: HashMap::new(), upgraded: HashMap::new() }
    }

    /// Who wants to be told about an account.
    async fn audience(&mut self, account: AccountId) -> Result<Vec<UserId>, StoreError> {
        let mut told = Vec::new();
        for (user, right) in accounts::rights(self.app.database(), account).await? {
            let wishes = match self.known.entry(user) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(self.users.mails(user).await?),
            };
            if wishes.is_some_and(|mails| mails.wants(right)) && self.has_upgraded(user).await? {
                told.push(user);
            }
        }
        Ok(told)
    }
}

impl Wishes<'_> {
    /// Whether a person has an upgraded widget, on any account of theirs: mails are a part of that plan.
    async fn has_upgraded(&mut self, user: UserId) -> Result<bool, StoreError> {
        Ok(match self.upgraded.entry(user) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(accounts::has_upgraded(self.app.database(), user).await?),
        })
    }
}

/// Why no mail about an account goes out; `None`: mails go out.
///
/// # Errors
/// When the database fails.
pub async fn why_none(app: &App, account: &Account) -> Result<Option<&'static str>, Error> {
    if app.mailer.is_none() {
        return Ok(Some("No mail about this account goes out: Relight has no mail server."));
    }
    let (mut wishes, mut any) = (Wishes::new(app), false);
    for (user, _) in accounts::rights(app.database(), account.id).await? {
        any |= wishes.has_upgraded(user).await?;
    }
    if !any {
        return Ok(Some(
            "No mail about this account goes out: nobody who sees it has an upgraded widget, on any account.",
        ));
    }
    let told = wishes.audience(account.id).await?;
    Ok(told.is_empty().then_some("No mail about this account goes out: nobody who sees it wants any."))
}
