//! Notices: what happened is gathered into one mail a person and kind, and mails that wait are sent.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::TimeDelta;
use commands::notices::{
    News,
    outbox::{End, Mail, leads_on},
};
use domain::{AccountId, Connection, LinkId, UserId, account::NoticeKind};
use futures::{StreamExt, stream};
use projections::{
    accounts::{self, Account, Viewer, upgraded_among},
    queue::{self, Claimed, Kind, Worker},
};
use store::StoreError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{context, failed::again};
use crate::{
    app::App,
    error::Error,
    mail::{Failure, Letter, Mailer, incident_letter, letter},
    sign_in::Users,
    webhooks::outbox::{self, Message},
};

/// How many accounts are gathered at once.
const AT_ONCE: u32 = 500;
/// How many mails are under way at once.
const MAILS: usize = 4;
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How often a mail is tried: for some three days.
const TRIED: u32 = 80;
/// How long mails wait at a time while an incident is open.
const INCIDENT_WAIT: TimeDelta = TimeDelta::minutes(1);
const TROUBLE: &str = "Meta refuses many accounts at once: mails wait until that is over";

/// Works until the token is cancelled.
pub async fn run(app: App, mut queue_position: watch::Receiver<i64>, stop: CancellationToken) {
    let worker = Worker::new(app.database(), commands::new_id().to_string());
    let mut moved = app.commands.clock.moved();
    while !stop.is_cancelled() {
        let found = match work(&app, &worker).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "notices could not be gathered or sent; trying again");
                false
            }
        };
        if !found {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = queue_position.changed() => {}
                _ = moved.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
    let _ = worker.release().await;
}

async fn work(app: &App, worker: &Worker) -> Result<bool, commands::Error> {
    let claimed = worker.claim_notices(app.commands.clock.now(), AT_ONCE).await?;
    if !claimed.is_empty() {
        gather(app, &claimed).await?;
    }
    let Some(mailer) = &app.mailer else { return Ok(!claimed.is_empty()) };
    let mails = app.commands.take_mails(i64::try_from(MAILS).unwrap_or(1)).await?;
    let found = !claimed.is_empty() || !mails.is_empty();
    stream::iter(mails)
        .for_each_concurrent(MAILS, async |mail| {
            if let Err(error) = send(app, mailer, &mail).await {
                tracing::warn!(mail = mail.id, %error, "a mail could not be sent; it is tried again when its lease ends");
            }
        })
        .await;
    Ok(found)
}

/// Turns what is due into mails, in one commit with its completion: nothing is told twice, nothing forgotten.
async fn gather(app: &App, claimed: &[Claimed]) -> Result<(), commands::Error> {
    let schedule = app.config.schedule();
    let mut mails = BTreeMap::<(UserId, NoticeKind), Vec<News>>::new();
    let (mut done, mut expiring) = (Vec::with_capacity(claimed.len()), Vec::new());
    let accounts: Vec<_> = claimed.iter().map(|claimed| claimed.account).collect();
    // Without a mail server nobody is told.
    let told = if app.mailer.is_some() { upgraded_among(app.database(), &accounts).await? } else { HashMap::new() };
    let troubled = troubled(app).await?;
    for claimed in claimed {
        let connection = told.get(&claimed.account);
        if connection.is_some_and(|connection| troubled.contains(connection)) {
            let due_at = app.commands.clock.now() + INCIDENT_WAIT;
            queue::postpone(app.database(), claimed, due_at, TROUBLE).await?;
            continue;
        }
        let is_told = connection.is_some();
        let news = async {
            Ok(match claimed.kind {
                Kind::Remind => app.commands.reminder(claimed.account, claimed.cause, &schedule).await?,
                _ if is_told => (app.commands.news(claimed.account, claimed.cause).await?, None),
                _ => (None, None),
            })
        };
        let (news, next) = match news.await {
            Ok(news) => news,
            // One account that can't be read keeps nobody else from being told.
            Err(error @ commands::Error::Store(StoreError::Unreadable(_))) => {
                tracing::error!(account = %claimed.account, %error, "what there is to tell of an account can't be read");
                again(app, claimed, "our own fault: see the log").await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        done.push((claimed, next));
        if let (Kind::Remind, Some(News { days_left: Some(days), .. })) = (claimed.kind, news) {
            let at = app.commands.clock.now();
            expiring.push((claimed.account, Message::expiring(claimed.account, claimed.cause, days, at)));
        }
        let Some(news) = news.filter(|_| is_told) else { continue };
        for user in audience(app, news.account).await? {
            if let Some(news) = app.commands.news_for(user, news).await? {
                mails.entry((user, news.kind)).or_default().push(news);
            }
        }
    }
    let mut tx = app.database().begin().await?;
    let held = queue::complete(&mut tx, &done).await?;
    let lost: Vec<_> =
        done.iter().zip(held).filter(|(_, held)| !held).map(|((claimed, _), _)| claimed.account).collect();
    for (_, message) in expiring.iter().filter(|(account, _)| !lost.contains(account)) {
        outbox::enqueue(app, &mut tx, message).await?;
    }
    for ((user, kind), mut news) in mails {
        // Something newer happened meanwhile, which is told instead.
        news.retain(|news| !lost.contains(&news.account));
        app.commands.tell(&mut tx, user, kind, &news).await?;
    }
    Ok(tx.commit().await?)
}

/// The logins whose apps have an open incident: mails about their accounts wait.
async fn troubled(app: &App) -> Result<Vec<Connection>, StoreError> {
    Ok(app.commands.open_incidents().await?.into_iter().map(|incident| incident.connection.0).collect())
}

/// Who wants to be told about an account.
async fn audience(app: &App, account: AccountId) -> Result<Vec<UserId>, StoreError> {
    let users = Users::new(app.database().clone());
    let mut told = Vec::new();
    for (user, right) in accounts::rights(app.database(), account).await? {
        if users.mails(user).await?.is_some_and(|mails| mails.wants(right)) {
            told.push(user);
        }
    }
    Ok(told)
}

async fn send(app: &App, mailer: &Mailer, mail: &Mail) -> Result<(), commands::Error> {
    let Some(address) = Users::new(app.database().clone()).email(mail.user).await? else {
        return app.commands.mail_ended(mail, End::Dropped).await;
    };
    let Some(kind) = mail.kind else {
        let incidents = app.commands.open_incidents().await?;
        let letter = incident_letter(&mail.id, &incidents, &app.config.public_url());
        return hand_over(app, mailer, mail, &address, letter, &[]).await;
    };
    let (schedule, troubled) = (app.config.schedule(), troubled(app).await?);
    let mut told: Vec<(_, News, Account, Option<String>)> = Vec::new();
    for (link, news) in &mail.news {
        let account = accounts::account_for(app.database(), news.account, Viewer::Staff).await?;
        if let Some(account) = account
            && app.commands.is_still_so(news, &schedule).await?
            && audience(app, news.account).await?.contains(&mail.user)
        {
            let address =
                if leads_on(news.kind) { Some(app.commands.make_link(news.account, *link).await?) } else { None };
            told.push((*link, *news, account, address));
        }
    }
    if told.iter().any(|(_, _, account, _)| troubled.contains(&account.connection)) {
        return app.commands.mail_waits(mail, app.commands.clock.now() + INCIDENT_WAIT, TROUBLE).await;
    }
    let items: Vec<_> = told.iter().map(|(_, news, account, link)| (account, news, link.as_deref())).collect();
    let letter =
        (!items.is_empty()).then(|| letter(&mail.id, kind, &items, &app.config.public_url(), app.commands.clock.now()));
    let told: Vec<_> = told.iter().map(|(link, news, ..)| (*link, *news)).collect();
    hand_over(app, mailer, mail, &address, letter, &told).await
}

/// Hands a letter to the mail server, and records what came of it; `None`: there is nothing to tell any more.
async fn hand_over(
    app: &App,
    mailer: &Mailer,
    mail: &Mail,
    address: &str,
    letter: Option<Letter>,
    told: &[(LinkId, News)],
) -> Result<(), commands::Error> {
    let Some(letter) = letter else { return app.commands.mail_ended(mail, End::Dropped).await };
    match mailer.send(address, &letter).await {
        Ok(()) => {
            app.commands.mail_sent(mail, told, &context()).await?;
            tracing::info!(mail = mail.id, kind = ?mail.kind, accounts = told.len(), "a mail was sent");
            Ok(())
        }
        Err(failure @ Failure::Address(_)) => {
            tracing::warn!(mail = mail.id, user = %mail.user, %failure, "a mail was refused");
            app.commands.mail_ended(mail, End::Refused(failure.to_string())).await
        }
        Err(failure) if mail.attempts >= TRIED => {
            tracing::error!(mail = mail.id, %failure, "a mail was given up");
            app.commands.mail_ended(mail, End::GivenUp(failure.to_string())).await
        }
        Err(failure) => {
            tracing::warn!(mail = mail.id, attempts = mail.attempts + 1, %failure, "a mail is tried again");
            let wait = TimeDelta::seconds(30 << mail.attempts.min(7)).min(TimeDelta::hours(1));
            let unsure = matches!(failure, Failure::Unsure(_));
            app.commands.mail_failed(mail, app.commands.clock.now() + wait, &failure.to_string(), unsure).await
        }
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
    if account.upgraded_widgets == 0 {
        return Ok(Some("No mail about this account goes out: it has no upgraded widget."));
    }
    let told = audience(app, account.id).await?;
    Ok(told.is_empty().then_some("No mail about this account goes out: nobody who sees it wants any."))
}
