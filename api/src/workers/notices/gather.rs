//! What happened becomes mails.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use commands::notices::{ForPerson, News};
use domain::{AccountId, UserId, account::NoticeKind};
use engine::{
    StoreError,
    jobs::{self, End},
};
use projections::{
    accounts::connections_of,
    jobs::{Job, Kind},
};

use super::{INCIDENT_WAIT, TROUBLE, Wishes, troubled};
use crate::{
    app::App,
    webhooks::outbox::{self, Message},
    workers::{failed::fault, next},
};

/// How long news wait while an earlier mail is being sent.
const UNDECIDED: TimeDelta = TimeDelta::seconds(2);

/// How long reminders wait at a time while the time can't be trusted.
const UNTRUSTED: TimeDelta = TimeDelta::minutes(1);

/// Turns what is due into mails, in one commit with its completion: nothing is told twice, nothing forgotten.
pub(super) async fn gather(app: &App, due: &[Job]) -> Result<(), commands::Error> {
    let schedule = app.config.schedule();
    let mut mails = BTreeMap::<(UserId, NoticeKind), Vec<News>>::new();
    let (mut done, mut expiring) = (Vec::with_capacity(due.len()), Vec::new());
    let accounts: Vec<_> = due.iter().map(|job| job.account).collect();
    // Without a mail server nobody is told.
    let told = if app.mailer.is_some() { connections_of(app.database(), &accounts).await? } else { HashMap::new() };
    let (troubled, mut wishes) = (troubled(app).await?, Wishes::new(app));
    for job in due {
        let connection = told.get(&job.account);
        if connection.is_some_and(|connection| troubled.contains(connection)) {
            let at = app.commands.clock.now() + INCIDENT_WAIT;
            done.push((&job.held, End::Postpone { at, why: TROUBLE.to_owned() }));
            continue;
        }
        if let (Kind::Remind, Some(doubt)) = (job.kind, app.commands.clock.doubt()) {
            let at = app.commands.clock.now() + UNTRUSTED;
            done.push((&job.held, End::Postpone { at, why: doubt.to_string() }));
            continue;
        }
        let is_told = connection.is_some();
        let news = async {
            Ok(match job.kind {
                Kind::Remind => app.commands.reminder(job.account, job.cause, &schedule).await?,
                _ if is_told => (app.commands.news(job.account, job.cause).await?, None),
                _ => (None, None),
            })
        };
        let (news, again_at) = match news.await {
            Ok(news) => news,
            // One account that can't be read keeps nobody else from being told.
            Err(error @ commands::Error::Store(StoreError::Undecodable(_) | StoreError::Unreadable(_))) => {
                fault(app, job, &error).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        done.push((&job.held, next(job, again_at)));
        if let (Kind::Remind, Some(News { days_left: Some(days), .. })) = (job.kind, news) {
            let at = app.commands.clock.now();
            expiring.push((job.account, Message::expiring(job.account, job.cause, days, at)));
        }
        let Some(news) = news.filter(|_| is_told) else { continue };
        let mut for_people = Vec::new();
        for user in wishes.audience(news.account).await? {
            for_people.push((user, app.commands.news_for(user, news).await?));
        }
        if for_people.iter().any(|(_, news)| *news == ForPerson::Undecided) {
            let end = End::Postpone {
                at: app.commands.clock.now() + UNDECIDED,
                why: "an earlier mail is being sent".to_owned(),
            };
            done.pop();
            done.push((&job.held, end));
            continue;
        }
        for (user, news) in for_people {
            if let ForPerson::Tell(news) = news {
                mails.entry((user, news.kind)).or_default().push(news);
            }
        }
    }
    let mut tx = app.database().begin().await?;
    let ended = jobs::end(&mut tx, &done).await?;
    let lost: Vec<_> =
        done.iter().zip(ended).filter(|(_, ended)| ended.is_none()).map(|((held, _), _)| held.key()).collect();
    let is_lost = |account: &AccountId| lost.contains(&account.to_string().as_str());
    if !expiring.is_empty() {
        let endpoints = outbox::endpoints(&mut tx).await?;
        for (_, message) in expiring.iter().filter(|(account, _)| !is_lost(account)) {
            outbox::enqueue(&mut tx, &endpoints, message, app.commands.clock.now()).await?;
        }
    }
    for ((user, kind), mut news) in mails {
        // Something newer happened meanwhile, which is told instead.
        news.retain(|news| !is_lost(&news.account));
        app.commands.tell(&mut tx, user, kind, &news).await?;
    }
    Ok(tx.commit().await?)
}
