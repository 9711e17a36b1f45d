//! The outbox: mails that wait to be sent, and what became of them.
//!
//! Whoever sends one holds it under a lease. If the program stops between the mail server's answer and our record, the
//! lease ends and it is sent again, with the same `Message-ID`: mail programs show it once.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, LinkId, TokenEvent, UserId, account::NoticeKind, schedule::Schedule, token::Way,
};
use engine::{
    Decision, Filter, StoreError, Unit,
    jobs::{End, Held, Job, Worker},
    sql,
};
use store::Event;

use super::News;
use crate::{Commands, Context, Error};

/// The kind of mails that tell admins of an incident.
pub(crate) const INCIDENT: &str = "incident";

/// How many accounts a mail lists, each with its link. Of more, it says how many: mail programs cut off what is long.
pub const LISTED: usize = 100;

/// How often it is tried to record that a mail was sent, while others are faster.
const TURNS: u32 = 10;

/// How long a mail waits about an account whose history can't be read, and why.
pub const REST: TimeDelta = TimeDelta::hours(6);
/// Why.
pub const UNREADABLE: &str = "the history of an account that it is about can't be read";

/// The queue of mails, and the kind of its jobs.
pub const MAIL: &str = "mail";

/// A mail to be sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its id, which its `Message-ID` is made of.
    pub id: String,
    /// Whom it is for.
    pub user: UserId,
    /// What it tells; `None`: that an incident is open.
    pub kind: Option<NoticeKind>,
    /// How often it failed.
    pub attempts: u32,
    /// What it tells about which account, with the id of the link in it.
    pub news: Vec<(LinkId, News)>,
    held: Held,
}

/// Why a mail isn't sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// The mail server refused the address.
    Refused(String),
    /// It could not be sent for too long.
    GivenUp(String),
    /// There was nothing to tell any more, or nobody.
    Dropped,
}

impl Commands {
    /// Claims the next mails that are due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_mails(&self, worker: &Worker, limit: u32) -> Result<Vec<Mail>, Error> {
        let mut mails = Vec::new();
        for job in worker.claim_in_order(MAIL, self.clock.now(), limit).await? {
            let held = job.held.clone();
            match self.mail_of(job).await {
                Ok(mail) => mails.push(mail),
                Err(Error::Store(error @ (StoreError::Unreadable(_) | StoreError::Undecodable(_)))) => {
                    tracing::error!(mail = held.key(), %error, "a mail can't be read: it waits");
                    let end = match error {
                        // Of an account whose history this program can't read: the next one may.
                        StoreError::Undecodable(_) => {
                            End::Postpone { at: self.clock.now() + REST, why: UNREADABLE.to_owned() }
                        }
                        _ => End::SetAside("its row can't be read".to_owned()),
                    };
                    let mut tx = self.store.database().begin().await?;
                    // Whoever holds it now, if this doesn't any more, finds the same.
                    let _ = held.end(&mut tx, end).await?;
                    tx.commit().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(mails)
    }

    async fn mail_of(&self, job: Job) -> Result<Mail, Error> {
        let id = job.held.key().to_owned();
        if job.was_held {
            // Whoever had it before was stopped, and may have sent it.
            sql("UPDATE mails SET unsure = TRUE WHERE id = $1").bind(&id).execute(self.store.database()).await?;
        }
        let found: Option<(String, String)> = sql("SELECT user_id, kind FROM mails WHERE id = $1")
            .bind(&id)
            .fetch_optional(self.store.database())
            .await?;
        let (user, kind) = found.ok_or_else(unreadable)?;
        let kind = if kind == INCIDENT { None } else { Some(kind.parse().map_err(|_| unreadable())?) };
        let news = match kind {
            Some(kind) => self.news_of(&id, kind).await?,
            None => Vec::new(),
        };
        let user = user.parse().map_err(|_| unreadable())?;
        Ok(Mail { id, user, kind, attempts: job.attempts, news, held: job.held })
    }

    async fn news_of(&self, mail: &str, kind: NoticeKind) -> Result<Vec<(LinkId, News)>, Error> {
        let rows: Vec<(String, String, i64, i64)> =
            sql("SELECT id, account_id, cause, days_left FROM notices WHERE mail_id = $1 ORDER BY id")
                .bind(mail)
                .fetch_all(self.store.database())
                .await?;
        let read = |(id, account, cause, days): (String, String, i64, i64)| {
            let link = id.parse().map_err(|_| unreadable())?;
            let account = account.parse().map_err(|_| unreadable())?;
            let days_left = u32::try_from(days).ok().filter(|days| *days > 0);
            Ok((link, News { account, kind, cause, days_left, way: None }))
        };
        let mut news = rows.into_iter().map(read).collect::<Result<Vec<_>, Error>>()?;
        if matches!(kind, NoticeKind::Recovered | NoticeKind::RefreshedByVisitor) {
            for (_, news) in &mut news {
                news.way = self.way_of(news).await?;
            }
        }
        Ok(news)
    }

    /// From where somebody set out to the login that refreshed the token.
    async fn way_of(&self, news: &News) -> Result<Option<Way>, Error> {
        let filter =
            Filter { aggregate_id: Some(news.account.to_string()), after: news.cause - 1, ..Filter::default() };
        let happened = self.store.events(&filter, 1).await?.pop().map(|happened| happened.event()).transpose()?;
        Ok(match happened {
            Some(Event::Token(TokenEvent::Refreshed { grant, .. })) => Some(grant.way),
            _ => None,
        })
    }

    /// Whether what a notice tells is still so: somebody may have been faster.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_still_so(&self, news: &News, schedule: &Schedule) -> Result<bool, Error> {
        let token = self.token(news.account).await?;
        Ok(match news.kind {
            NoticeKind::Expired => token.expired().is_some() && !self.happened_since(news).await?,
            NoticeKind::Reminder | NoticeKind::RenewalFailing => {
                self.reminder(news.account, news.cause, schedule).await?.0 == Some(*news)
            }
            // Whoever waits for one hears of the later refresh instead.
            NoticeKind::Recovered => token.active().is_some() && !self.happened_since(news).await?,
            NoticeKind::RefreshedByVisitor => token.active().is_some(),
            NoticeKind::ReadingRefused => token.active().is_some_and(|current| current.reading_refused_at.is_some()),
        })
    }

    /// Whether something newer happened to the account's token, which is told instead.
    async fn happened_since(&self, news: &News) -> Result<bool, Error> {
        let except = &TokenEvent::WORKS_AS_BEFORE;
        Ok(self.store.happened_after(("token", &news.account.to_string()), news.cause, except).await?)
    }

    /// The mail server took it: who was told what goes into the journal, and the mail is over, in one commit.
    ///
    /// # Errors
    /// When the store fails; it is then sent again.
    pub async fn mail_sent(&self, mail: &Mail, told: &[(LinkId, News)], context: &Context) -> Result<(), Error> {
        let sent = Sent { mail, told };
        // It is about many accounts, and others' mails are about the same ones: in the end each has its turn.
        for _ in 1..TURNS {
            match self.store.run(&self.metadata(context), &sent).await {
                Err(Error::Store(StoreError::Conflict)) => {}
                recorded => return recorded.map(drop),
            }
        }
        self.store.run(&self.metadata(context), &sent).await.map(drop)
    }

    /// It could not be sent, and is tried again. `unsure`: the mail server may have taken it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mail_failed(
        &self,
        mail: &Mail,
        due_at: DateTime<Utc>,
        problem: &str,
        unsure: bool,
    ) -> Result<(), Error> {
        let mut tx = self.store.database().begin().await?;
        let retry = End::Retry { at: due_at, why: problem.to_owned(), in_line: false };
        if mail.held.end(&mut tx, retry).await?.is_none() {
            return Ok(());
        }
        sql("UPDATE mails SET problem = $1, attempts = attempts + 1, unsure = (unsure OR $2) WHERE id = $3")
            .bind(problem)
            .bind(unsure)
            .bind(&mail.id)
            .execute(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// It waits for something else than the mail server: that is no try.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mail_waits(&self, mail: &Mail, due_at: DateTime<Utc>, why: &str) -> Result<(), Error> {
        let mut tx = self.store.database().begin().await?;
        if mail.held.end(&mut tx, End::Postpone { at: due_at, why: why.to_owned() }).await?.is_none() {
            return Ok(());
        }
        sql("UPDATE mails SET problem = $1 WHERE id = $2").bind(why).bind(&mail.id).execute(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// It won't be sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mail_ended(&self, mail: &Mail, end: Unsent) -> Result<(), Error> {
        let (outcome, problem) = match end {
            Unsent::Refused(problem) => ("refused", Some(problem)),
            Unsent::GivenUp(problem) => ("given_up", Some(problem)),
            Unsent::Dropped => ("dropped", None),
        };
        let mut tx = self.store.database().begin().await?;
        if mail.held.end(&mut tx, End::Done).await?.is_none() {
            return Ok(());
        }
        sql("UPDATE mails SET ended_at = $1, outcome = $2, problem = $3 WHERE id = $4")
            .bind(self.clock.now())
            .bind(outcome)
            .bind(problem)
            .bind(&mail.id)
            .execute(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// A reconnect link was opened. That changes nothing but what its account's page tells.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn link_opened(&self, link: LinkId) -> Result<(), Error> {
        let now = self.clock.now();
        sql("UPDATE notices SET opened_at = $1 WHERE id = $2 AND opened_at IS NULL")
            .bind(now)
            .bind(link.to_string())
            .execute(self.store.database())
            .await?;
        Ok(())
    }

    /// What the mail server last said against somebody's address, if it did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refused_address(&self, user: UserId) -> Result<Option<String>, Error> {
        let said = sql("SELECT CASE WHEN outcome = 'refused' THEN problem END FROM mails \
                        WHERE user_id = $1 AND outcome IN ('sent', 'refused') ORDER BY id DESC LIMIT 1")
        .bind(user.to_string());
        let said: Option<Option<String>> = said.scalar_optional(self.store.database()).await?;
        Ok(said.flatten())
    }
}

struct Sent<'a> {
    mail: &'a Mail,
    told: &'a [(LinkId, News)],
}

impl Decision for Sent<'_> {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let (at, user) = (unit.metadata().at, self.mail.user);
        for (number, (link, News { account, kind, cause, days_left, .. })) in self.told.iter().enumerate() {
            let link_in_it = (leads_on(*kind) && number < LISTED).then_some(*link);
            let record = AccountCommand::RecordNotice {
                user,
                kind: *kind,
                cause: *cause,
                days_left: *days_left,
                link: link_in_it,
                at,
            };
            known(unit.execute::<Account>(*account, record).await.map_err(Error::from))?;
            unit.write(sql("UPDATE notices SET sent_at = $1 WHERE id = $2").bind(at).bind(link.to_string()));
        }
        unit.end(self.mail.held.clone(), End::Done);
        unit.write(
            sql("UPDATE mails SET ended_at = $1, outcome = 'sent', problem = NULL WHERE id = $2")
                .bind(at)
                .bind(self.mail.id.as_str()),
        );
        Ok(())
    }
}

/// An account that was erased meanwhile needs no record.
fn known(recorded: Result<(), Error>) -> Result<(), Error> {
    match recorded {
        Err(Error::Account(domain::AccountError::Missing)) => Ok(()),
        recorded => recorded,
    }
}

/// Whether a notice of this kind has a reconnect link.
pub const fn leads_on(kind: NoticeKind) -> bool {
    matches!(kind, NoticeKind::Expired | NoticeKind::Reminder | NoticeKind::RenewalFailing)
}

fn unreadable() -> Error {
    engine::StoreError::Unreadable("a mail's row".to_owned()).into()
}
