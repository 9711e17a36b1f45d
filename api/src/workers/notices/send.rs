//! Mails that wait are written and handed to the mail server.

use chrono::TimeDelta;
use commands::notices::{
    News,
    outbox::{LISTED, Mail, REST, UNREADABLE, Unsent, leads_on},
};
use domain::LinkId;
use engine::StoreError;
use projections::accounts::{self, Account, Viewer};

use super::{INCIDENT_WAIT, TROUBLE, Wishes, troubled};
use crate::{
    app::App,
    mail::{Failure, Letter, Mailer, incident_letter, letter},
    sign_in::Users,
    workers::context,
};

/// How often a mail is tried: for some three days.
const TRIED: u32 = 80;

/// Writes a mail, if what it tells is still so, and sends it.
pub(super) async fn send(app: &App, mailer: &Mailer, mail: &Mail) -> Result<(), commands::Error> {
    let Some(address) = Users::new(app.database().clone()).email(mail.user).await? else {
        return app.commands.mail_ended(mail, Unsent::Dropped).await;
    };
    let Some(kind) = mail.kind else {
        let incidents = app.commands.open_incidents().await?;
        let letter = incident_letter(&mail.id, &incidents, &app.config.public_url());
        return hand_over(app, mailer, mail, &address, letter, &[]).await;
    };
    let (schedule, troubled, mut wishes) = (app.config.schedule(), troubled(app).await?, Wishes::new(app));
    let mut told: Vec<(_, News, Account, Option<String>)> = Vec::new();
    let mut unreadable = false;
    for (link, news) in &mail.news {
        let account = accounts::account_for(app.database(), news.account, Viewer::Staff).await?;
        let is_still_so = match app.commands.is_still_so(news, &schedule).await {
            Err(commands::Error::Store(error @ StoreError::Undecodable(_))) => {
                // That it was told could not be recorded either. Everything else in the mail is.
                tracing::error!(account = %news.account, %error, "an account's history can't be read, and is left out of a mail");
                unreadable = true;
                false
            }
            is_still_so => is_still_so?,
        };
        if let Some(account) = account
            && is_still_so
            && wishes.audience(news.account).await?.contains(&mail.user)
        {
            let address = if leads_on(news.kind) && told.len() < LISTED {
                Some(app.commands.make_link(news.account, *link).await?)
            } else {
                None
            };
            told.push((*link, *news, account, address));
        }
    }
    if told.iter().any(|(_, _, account, _)| troubled.contains(&account.connection)) {
        return app.commands.mail_waits(mail, app.commands.clock.now() + INCIDENT_WAIT, TROUBLE).await;
    }
    if unreadable && told.is_empty() {
        return app.commands.mail_waits(mail, app.commands.clock.now() + REST, UNREADABLE).await;
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
    let Some(letter) = letter else { return app.commands.mail_ended(mail, Unsent::Dropped).await };
    match mailer.send(address, &letter).await {
        Ok(()) => {
            app.commands.mail_sent(mail, told, &context()).await?;
            tracing::info!(mail = mail.id, kind = ?mail.kind, accounts = told.len(), "a mail was sent");
            Ok(())
        }
        Err(failure @ Failure::Address(_)) => {
            tracing::warn!(mail = mail.id, user = %mail.user, %failure, "a mail was refused");
            app.commands.mail_ended(mail, Unsent::Refused(failure.to_string())).await
        }
        Err(failure) if mail.attempts >= TRIED => {
            tracing::error!(mail = mail.id, %failure, "a mail was given up");
            app.commands.mail_ended(mail, Unsent::GivenUp(failure.to_string())).await
        }
        Err(failure) => {
            tracing::warn!(mail = mail.id, attempts = mail.attempts + 1, %failure, "a mail is tried again");
            let wait = TimeDelta::seconds(30 << mail.attempts.min(7)).min(TimeDelta::hours(1));
            let unsure = matches!(failure, Failure::Unsure(_));
            app.commands.mail_failed(mail, app.commands.clock.now() + wait, &failure.to_string(), unsure).await
        }
    }
}
