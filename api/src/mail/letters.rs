//! What the mails say.

use chrono::{DateTime, Utc};
use commands::{
    incident::Incident,
    notices::{News, outbox::LISTED},
};
use domain::{account::NoticeKind, token::Way};
use projections::accounts::Account;

use super::{Item, Letter};
use crate::words::{button, why};

/// A mail of one kind about some accounts, each with its reconnect link, as far as it lists them.
pub fn letter(
    id: &str,
    kind: NoticeKind,
    about: &[(&Account, &News, Option<&str>)],
    base: &str,
    now: DateTime<Utc>,
) -> Letter {
    let (subject, intro, outro) = frame(kind, about);
    let items = about.iter().take(LISTED).map(|(account, news, link)| item(account, news, *link, now)).collect();
    Letter {
        id: id.to_owned(),
        subject,
        intro,
        items,
        more: about.len().saturating_sub(LISTED),
        outro,
        base: base.to_owned(),
    }
}

/// What admins are told while incidents are open; `None`: they are over.
pub fn incident_letter(id: &str, open: &[Incident], base: &str) -> Option<Letter> {
    let first = open.first()?;
    let login = first.connection.0.login();
    let subject = match first.cause {
        Some(_) => format!("Incident: Meta refuses our app with {login}"),
        None => format!("Incident: Meta refuses many accounts through {login}"),
    };
    let intro = match &first.words {
        Some(words) => format!("{words}. That is the app's matter: nobody is expired by it, and mails to owners wait."),
        None => format!(
            "Meta refused the tokens of {} of {} accounts that were called in a few minutes, and none worked since. That \
             looks like the app's matter or Meta's: nobody is expired by what isn't clear, and mails to owners wait.",
            first.accounts, first.called
        ),
    };
    Some(Letter {
        id: id.to_owned(),
        subject,
        intro,
        items: Vec::new(),
        more: 0,
        outro: format!(
            "Look whether the app is restricted or misconfigured at Meta. When calls work again, the incident closes by \
             itself. To end it before: {base}/operations"
        ),
        base: base.to_owned(),
    })
}

fn frame(kind: NoticeKind, about: &[(&Account, &News, Option<&str>)]) -> (String, String, String) {
    let which = match about {
        [(account, ..)] => format!("@{}", account.username),
        _ => format!("{} Instagram accounts", about.len()),
    };
    let (s, their, have) = if about.len() == 1 { ("s", "its", "has") } else { ("", "their", "have") };
    let links = "Anybody who has the account's login can use its button, without signing in here; it works for 30 days \
                 at most, until the account is refreshed.";
    match kind {
        NoticeKind::Expired => (
            format!("{which} need{s} a new login"),
            format!("Meta does not let us read the posts of {which} any more. The widgets keep showing the last ones."),
            format!("It takes a minute, and no widget is lost by it. {links}"),
        ),
        NoticeKind::Reminder => (
            format!("{which}: please log in again soon"),
            format!("{which} {have} new posts on {their} widgets as long as a person logs in at Meta every 90 days or so."),
            format!("It takes a minute. {links}"),
        ),
        NoticeKind::Recovered => (
            format!("{which} work{s} again"),
            format!("The access token of {which} works again: the widgets show new posts."),
            "There is nothing to do.".to_owned(),
        ),
        NoticeKind::ReadingRefused => (
            format!("We can't read the posts of {which}"),
            format!(
                "{which} {} connected, but for a day Meta has not let us read the posts. The widgets keep showing the last ones.",
                if about.len() == 1 { "is" } else { "are" }
            ),
            "Look whether the Instagram account is a professional one still and, with Facebook, linked to its Page. When Meta \
             lets us read again, it goes on by itself; no login is needed for that."
                .to_owned(),
        ),
        NoticeKind::RenewalFailing => (
            format!("{which}: please log in before the connection ends"),
            format!(
                "Usually we extend the connection of {which} by ourselves. Meta does not let us, so without a login {their} \
                 widgets soon get no new posts."
            ),
            format!("It takes a minute. {links}"),
        ),
        NoticeKind::RefreshedByVisitor => (
            format!("{which} {} refreshed", if about.len() == 1 { "was" } else { "were" }),
            "Somebody who has the Instagram or Facebook login refreshed the access token, without signing in here.".to_owned(),
            "There is nothing to do: it changed no widget and gave nobody access here. If it was nobody you know, change \
             the account's password."
                .to_owned(),
        ),
    }
}

fn item(account: &Account, news: &News, link: Option<&str>, now: DateTime<Utc>) -> Item {
    let login = account.connection.login();
    let text = match (news.kind, account.status.reason()) {
        (NoticeKind::Expired, Some(reason)) => {
            let (what, todo) = why(reason, account.certainty, account.connection);
            format!("{what} {todo}")
        }
        (NoticeKind::Expired, None) => "It needs a new login.".to_owned(),
        (NoticeKind::Reminder, _) => reminder(account, now),
        (NoticeKind::ReadingRefused, _) => match account.reading_refused_at {
            Some(since) => format!("Since {}.", since.format("%-d %B %Y")),
            None => "It is over.".to_owned(),
        },
        (NoticeKind::RenewalFailing, _) => match account.expires_at {
            Some(ends) => format!("It works until {}.", ends.format("%-d %B %Y")),
            None => "It works until its session ends.".to_owned(),
        },
        (NoticeKind::Recovered, _) if news.way.is_none() => "Meta lets us read again: nobody had to log in.".to_owned(),
        (NoticeKind::Recovered | NoticeKind::RefreshedByVisitor, _) => {
            let way = match news.way {
                Some(Way::TokenPage) => " from the public access token page, without signing in here",
                Some(Way::Link) => " by a reconnect link, without signing in here",
                _ => "",
            };
            format!("Refreshed through {login}{way}.")
        }
    };
    let button = link.map(|link| (format!("Log in with {}", button(account.connection)), link.to_owned()));
    Item { username: account.username.clone(), text, button }
}

fn reminder(account: &Account, now: DateTime<Utc>) -> String {
    let Some(ends) = account.data_access_expires_at else { return "Its access ends soon.".to_owned() };
    let (day, days) = (ends.format("%-d %B %Y"), ((ends - now).num_hours() + 23) / 24);
    let left = if days == 1 { "tomorrow".to_owned() } else { format!("in {days} days") };
    if account.data_access_estimated {
        format!("By our estimate, Meta ends our access {left}, on {day}; it tells no date.")
    } else {
        format!("Meta ends our access {left}, on {day}.")
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, Connection, Reason, failure::Certainty};
    use projections::accounts::Status;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_long_mail_lists_some_and_counts_the_rest() {
        let about = |number: u128| {
            let account = Account {
                id: AccountId::new(Uuid::from_u128(number)),
                instagram_id: number.to_string(),
                username: format!("account.{number}"),
                connection: Connection::Consumer,
                status: Status::Expired(Reason::Lifetime),
                since: DateTime::UNIX_EPOCH,
                certainty: Certainty::Certain,
                may_return: true,
                reading_refused_at: None,
                renewal_failing_since: None,
                expires_at: None,
                data_access_expires_at: None,
                data_access_estimated: false,
                granted_at: None,
                checked_at: None,
                generation: 1,
                free_widgets: 0,
                upgraded_widgets: 1,
                position: 1,
            };
            let news = News { account: account.id, kind: NoticeKind::Expired, cause: 1, days_left: None, way: None };
            (account, news)
        };
        let all: Vec<_> = (0..).map(about).take(LISTED + 7).collect();
        let all: Vec<_> = all.iter().map(|(account, news)| (account, news, Some("https://r"))).collect();
        let letter = letter("1", NoticeKind::Expired, &all, "https://relight.example", DateTime::UNIX_EPOCH);
        assert_eq!((letter.items.len(), letter.more), (LISTED, 7));
        assert!(letter.subject.starts_with("107 Instagram accounts"));
        let from = || "Relight <relight@example.com>".parse().expect("an address");
        let message = String::from_utf8(letter.message(from(), from()).expect("written").formatted()).expect("a text");
        assert!(message.contains("And 7 more: https://relight.example/accounts"), "{message}");
    }
}
