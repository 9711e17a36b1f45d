//! Notices: what people are told about their accounts, by mail.
//!
//! What happened is gathered for a moment and becomes mails ([`Commands::tell`]): one row for an account, a person and a
//! cause, whoever tries again. A mail is written when it is sent ([`outbox`]), and tells only what is still so. When the
//! mail server has taken it, `NoticeSent` says who was told what.

pub mod outbox;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, LinkId, TokenEvent, UserId, account::NoticeKind, schedule::Schedule, token::Way};
use engine::{Filter, StoreError, Tx, jobs, sql};
use store::Event;

use crate::{Commands, Error, new_id};
use outbox::MAIL;

/// Bad news are told as long as the link in them would live: what a rebuild brings back is no news.
const BAD_NEWS: TimeDelta = TimeDelta::days(30);
/// Good news are told while they are new: nobody wants those that a rebuild or a long outage brings back.
const GOOD_NEWS: TimeDelta = TimeDelta::days(3);
/// How long further news of a kind is gathered after a mail to the same person.
const FURTHER: TimeDelta = TimeDelta::minutes(5);

/// What there is to tell about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The account.
    pub account: AccountId,
    /// What.
    pub kind: NoticeKind,
    /// The position of the event that it tells of.
    pub cause: i64,
    /// For which reminder.
    pub days_left: Option<u32>,
    /// From where somebody set out, if it tells of a refresh.
    pub way: Option<Way>,
}

/// A notice about an account, as its page shows it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Notice {
    /// Its id, and its link's.
    pub id: String,
    /// Whom it is for.
    pub user_id: String,
    /// What it tells.
    pub kind: String,
    /// When it was taken by the mail server.
    pub sent_at: Option<DateTime<Utc>>,
    /// When its link was first opened.
    pub opened_at: Option<DateTime<Utc>>,
    /// What became of the mail; `None`: it waits.
    pub outcome: Option<String>,
    /// What the mail server said last.
    pub problem: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// A try ended without a word of the mail server, which may have taken it.
    pub unsure: bool,
}

/// What of some news is for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForPerson {
    /// This is told.
    Tell(News),
    /// They are told nothing.
    Nothing,
    /// An earlier mail to them is being sent: what it leads to decides.
    Undecided,
}

impl Commands {
    /// What there is to tell of an event that happened to an account's token, if that is still so.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn news(&self, account: AccountId, cause: i64) -> Result<Option<News>, Error> {
        let filter = Filter { aggregate_id: Some(account.to_string()), after: cause - 1, ..Filter::default() };
        let Some(happened) = self.store.events(&filter, 1).await?.pop() else { return Ok(None) };
        let token = self.token(account).await?;
        let ago = self.clock.now() - happened.at;
        let (kind, way) = match happened.event()? {
            Event::Token(TokenEvent::Expired { .. }) if token.expired().is_some() && ago < BAD_NEWS => {
                (NoticeKind::Expired, None)
            }
            Event::Token(TokenEvent::Refreshed { grant, .. }) if token.active().is_some() && ago < GOOD_NEWS => {
                let public = matches!(grant.way, Way::TokenPage | Way::Link);
                (if public { NoticeKind::RefreshedByVisitor } else { NoticeKind::Recovered }, Some(grant.way))
            }
            // By itself: whoever was told that it doesn't work hears that it does.
            Event::Token(TokenEvent::Restored { .. }) if token.active().is_some() && ago < GOOD_NEWS => {
                (NoticeKind::Recovered, None)
            }
            Event::Token(TokenEvent::ReadingRefused { .. })
                if ago < BAD_NEWS && token.active().is_some_and(|current| current.reading_refused_at.is_some()) =>
            {
                (NoticeKind::ReadingRefused, None)
            }
            _ => return Ok(None),
        };
        Ok(Some(News { account, kind, cause, days_left: None, way }))
    }

    /// The reminder that is due now before what only a person can restart ends, if one is; and when the next one is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reminder(
        &self,
        account: AccountId,
        cause: i64,
        schedule: &Schedule,
    ) -> Result<(Option<News>, Option<DateTime<Utc>>), Error> {
        let (token, now) = (self.token(account).await?, self.clock.now());
        let Some(current) = token.active() else { return Ok((None, None)) };
        let data_access = current.data_access.map(|end| end.ends_at);
        // A session that can't be extended ends like data access does: only a person helps.
        let session = current.expires_at.filter(|_| current.renewal_failing_since.is_some());
        let (ends_at, kind) = match (session, data_access) {
            (Some(session), data_access) if data_access.is_none_or(|end| session < end) => {
                (session, NoticeKind::RenewalFailing)
            }
            (_, Some(end)) => (end, NoticeKind::Reminder),
            _ => return Ok((None, None)),
        };
        let news = |days| News { account, kind, cause, days_left: Some(days), way: None };
        Ok((schedule.reminder_due(ends_at, now).map(news), schedule.next_reminder(ends_at, now)))
    }

    /// What of the news is for this person: that it works again, for whoever was told that it didn't, or may have been; that
    /// it was refreshed through a public way, for all others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn news_for(&self, user: UserId, news: News) -> Result<ForPerson, Error> {
        if !matches!(news.kind, NoticeKind::Recovered | NoticeKind::RefreshedByVisitor) {
            return Ok(ForPerson::Tell(news));
        }
        let told =
            sql("SELECT n.kind, n.sent_at IS NOT NULL OR m.unsure FROM notices n JOIN mails m ON m.id = n.mail_id \
                        LEFT JOIN jobs j ON j.kind = 'mail' AND j.key = m.id \
                        WHERE n.account_id = $1 AND n.user_id = $2 AND n.cause < $3 \
                        AND (n.sent_at IS NOT NULL OR m.unsure OR j.lease IS NOT NULL) \
                        ORDER BY n.cause DESC, n.created_at DESC LIMIT 1")
            .bind(news.account.to_string())
            .bind(user.to_string())
            .bind(news.cause);
        let last: Option<(String, bool)> = told.fetch_optional(self.store.database()).await?;
        if last.as_ref().is_some_and(|(_, told)| !told) {
            return Ok(ForPerson::Undecided);
        }
        let was_told = last.is_some_and(|(kind, _)| kind == NoticeKind::Expired.name());
        Ok(match news.kind {
            _ if was_told => ForPerson::Tell(News { kind: NoticeKind::Recovered, ..news }),
            NoticeKind::RefreshedByVisitor => ForPerson::Tell(news),
            _ => ForPerson::Nothing,
        })
    }

    /// Puts news of a kind for a person into the outbox, in the transaction that completes the work: into the mail that is
    /// being gathered, or one of their own. What this person was told already is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell(&self, tx: &mut Tx, user: UserId, kind: NoticeKind, news: &[News]) -> Result<(), Error> {
        let now = self.clock.now();
        let mail = self.gathering(tx, user, kind).await?;
        for news in news {
            let link = LinkId::new(new_id()).to_string();
            let days = i64::from(news.days_left.unwrap_or_default());
            // A deadline that moved is a new cause, but the same reminder: it is sent once in as many days.
            sql("INSERT INTO notices (id, mail_id, account_id, user_id, kind, cause, days_left, created_at) \
                 SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE $7 = 0 OR NOT EXISTS (SELECT 1 FROM notices \
                 WHERE account_id = $3 AND user_id = $4 AND kind = $5 AND days_left = $7 AND created_at > $9 \
                 AND (sent_at IS NOT NULL OR mail_id IN (SELECT id FROM mails WHERE ended_at IS NULL))) \
                 ON CONFLICT DO NOTHING")
            .bind(&link)
            .bind(&mail)
            .bind(news.account.to_string())
            .bind(user.to_string())
            .bind(kind.name())
            .bind(news.cause)
            .bind(days)
            .bind(now)
            .bind(now - TimeDelta::days(days))
            .execute(&mut *tx)
            .await?;
        }
        let told: i64 = sql("SELECT count(*) FROM notices WHERE mail_id = $1").bind(&mail).scalar(&mut *tx).await?;
        if told == 0 {
            jobs::remove(MAIL, &mail).execute(&mut *tx).await?;
            sql("DELETE FROM mails WHERE id = $1").bind(&mail).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// The mail of a kind that is being gathered for a person. The first one leaves at once; one that follows soon after
    /// waits a while, for what else there will be.
    async fn gathering(&self, tx: &mut Tx, user: UserId, kind: NoticeKind) -> Result<String, Error> {
        let (user, now) = (user.to_string(), self.clock.now());
        let open: Vec<String> =
            sql("SELECT id FROM mails WHERE user_id = $1 AND kind = $2 AND ended_at IS NULL ORDER BY id DESC")
                .bind(&user)
                .bind(kind.name())
                .scalars(&mut *tx)
                .await?;
        for mail in open {
            // Locked until the commit, so that nobody sends it meanwhile.
            if jobs::hold_back(tx, (MAIL, &mail), now).await? {
                return Ok(mail);
            }
        }
        let last: Option<DateTime<Utc>> =
            sql("SELECT due_at FROM mails WHERE user_id = $1 AND kind = $2 AND due_at > $3 \
                 AND (outcome IS NULL OR outcome = 'sent') ORDER BY due_at DESC LIMIT 1")
            .bind(&user)
            .bind(kind.name())
            .bind(now - FURTHER)
            .scalar_optional(&mut *tx)
            .await?;
        let (mail, due_at) = (new_id().to_string(), last.map_or(now, |last| last.min(now) + FURTHER));
        sql("INSERT INTO mails (id, user_id, kind, due_at) VALUES ($1, $2, $3, $4)")
            .bind(&mail)
            .bind(&user)
            .bind(kind.name())
            .bind(due_at)
            .execute(&mut *tx)
            .await?;
        jobs::add(MAIL, MAIL, &mail, due_at).execute(&mut *tx).await?;
        Ok(mail)
    }

    /// The latest notices about an account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notices_of(&self, account: AccountId, limit: i64) -> Result<Vec<Notice>, StoreError> {
        Ok(sql("SELECT n.id, n.user_id, n.kind, n.sent_at, n.opened_at, m.outcome, m.problem, m.attempts, m.unsure \
                FROM notices n JOIN mails m ON m.id = n.mail_id WHERE n.account_id = $1 \
                ORDER BY n.created_at DESC, n.id DESC LIMIT $2")
        .bind(account.to_string())
        .bind(limit)
        .fetch_all(self.store.database())
        .await?)
    }

    /// Forgets mails that were over before a time, what was told in them, and incidents that were. The journal goes on
    /// saying who was told what.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_told(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.store.database().begin().await?;
        for statement in [
            "DELETE FROM notices WHERE mail_id IN (SELECT id FROM mails WHERE ended_at < $1)",
            "DELETE FROM mails WHERE ended_at < $1",
            "DELETE FROM incidents WHERE closed_at < $1",
        ] {
            sql(statement).bind(before).execute(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }
}
