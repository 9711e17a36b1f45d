//! What happened becomes mails.

use std::collections::{BTreeMap, HashMap};

use commands::notices::News;
use domain::{UserId, account::NoticeKind};
use engine::StoreError;
use projections::{
    accounts::upgraded_among,
    queue::{self, Claimed, Kind},
};

use super::{INCIDENT_WAIT, TROUBLE, Wishes, troubled};
use crate::{
    app::App,
    webhooks::outbox::{self, Message},
    workers::failed::again,
};

/// Turns what is due into mails, in one commit with its completion: nothing is told twice, nothing forgotten.
pub(super) async fn gather(app: &App, claimed: &[Claimed]) -> Result<(), commands::Error> {
    let schedule = app.config.schedule();
    let mut mails = BTreeMap::<(UserId, NoticeKind), Vec<News>>::new();
    let (mut done, mut expiring) = (Vec::with_capacity(claimed.len()), Vec::new());
    let accounts: Vec<_> = claimed.iter().map(|claimed| claimed.account).collect();
    // Without a mail server nobody is told.
    let told = if app.mailer.is_some() { upgraded_among(app.database(), &accounts).await? } else { HashMap::new() };
    let (troubled, mut wishes) = (troubled(app).await?, Wishes::new(app));
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
        for user in wishes.audience(news.account).await? {
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
