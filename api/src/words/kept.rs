//! How it is said that an account's token stays: it works, or the posts could not be read with the new one.

use chrono::{DateTime, TimeDelta, Utc};
use commands::outcome::{Kept, LeftOut, Why};

use super::{list, names};

/// "@luma already works until about 24 February 2027: nothing to do".
fn works(kept: &Kept) -> String {
    let name = &kept.username;
    match kept.until {
        Some(until) => {
            let about = if kept.estimated { "about " } else { "" };
            let day = until.format("%e %B %Y").to_string();
            format!("@{name} already works until {about}{}: nothing to do", day.trim())
        }
        None => format!("@{name} already works: nothing to do"),
    }
}

/// A login that found nothing to do: title and texts.
pub(super) fn already_works(kept: &[Kept]) -> (String, Vec<String>) {
    let why = "Meta has just confirmed it. Another person made this connection, so it stays as it is and no token was replaced.";
    let owner = "An owner can still replace it: sign in, open the account, and press Refresh token.";
    match kept {
        [one] => (works(one), vec![why.to_owned(), owner.to_owned()]),
        many => {
            let each = many.iter().map(|one| format!("{}.", works(one)));
            let title = "These accounts already work: nothing to do".to_owned();
            (title, each.chain([why.to_owned(), owner.to_owned()]).collect())
        }
    }
}

/// What is said of accounts of a login whose tokens stay, beside those that have its token now.
pub fn besides(kept: &[Kept], unread: &[String], pages: &[LeftOut]) -> Vec<String> {
    let mut texts: Vec<_> = kept.iter().map(|one| format!("{}.", works(one))).collect();
    if !unread.is_empty() {
        let names = names(unread);
        texts
            .push(format!("We could not read the posts of {names}, so nothing was changed there. Log in again later."));
    }
    texts.extend(Some(left_out(pages)).filter(|text| !text.is_empty()));
    texts
}

/// A login whose posts Meta did not give in time: title and texts.
pub(super) fn not_read(usernames: &[String], until: Option<DateTime<Utc>>) -> (String, Vec<String>) {
    let why = match until {
        None => "You logged in successfully, but Meta did not answer just now. The access token was not changed.",
        Some(_) => {
            "You logged in successfully, but Meta limits how often it answers us. The access token was not changed."
        }
    };
    (format!("We could not read the posts of {} yet", names(usernames)), vec![why.to_owned(), try_again(until)])
}

/// A login of another person, without Meta's word on the present token: title and texts.
pub(super) fn not_confirmed(usernames: &[String], until: Option<DateTime<Utc>>) -> (String, Vec<String>) {
    let why = "Another person made the present connection, so it is only replaced when Meta says that it no longer \
               works. The access token was not changed.";
    (format!("Meta did not say whether {} still works", names(usernames)), vec![why.to_owned(), try_again(until)])
}

/// When to try again. `until`: Meta's limit of calls lets no one ask before.
fn try_again(until: Option<DateTime<Utc>>) -> String {
    let Some(until) = until else {
        return "Try again in a minute. For ten minutes that needs no other login.".to_owned();
    };
    // The next full minute.
    let from = until + TimeDelta::seconds(59);
    format!("Try again after {}.", from.format("%H:%M UTC on %-d %B %Y"))
}

/// What is said of a login's Pages that could not be read; nothing of none.
pub(super) fn left_out(pages: &[LeftOut]) -> String {
    let of = |why| pages.iter().filter(move |page| page.why == why);
    let names = |why| of(why).filter_map(|page| page.page.clone()).collect::<Vec<_>>();
    let has_nameless = |why| of(why).any(|page| page.page.is_none());
    let mut sentences = Vec::new();
    if let refused @ [_, ..] = &*names(Why::Refused) {
        sentences.push(format!("Meta does not let us read the Page {}.", list(refused)));
    }
    if has_nameless(Why::Refused) {
        sentences.push("Meta refuses access to an account that you selected.".to_owned());
    }
    if let unticked @ [_, ..] = &*names(Why::Unticked) {
        sentences.push(format!("The Page {} was not ticked in the login.", list(unticked)));
    }
    if let later @ [_, ..] = &*names(Why::Later) {
        sentences.push(format!("Meta could not tell us about the Page {} just now: log in again later.", list(later)));
    }
    if has_nameless(Why::Later) {
        sentences
            .push("Meta could not list all of your Pages just now. Log in again later to see the others.".to_owned());
    }
    if of(Why::TooMany).next().is_some() {
        sentences.push("There are more Pages than we read in one login: tick fewer of them.".to_owned());
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use domain::AccountId;

    use super::*;

    #[test]
    fn an_estimated_deadline_is_said_with_about() {
        let until = DateTime::from_timestamp(1_803_427_200, 0);
        let account = AccountId::new(commands::new_id());
        let kept = |until, estimated| Kept { account, username: "luma".to_owned(), until, estimated };
        assert_eq!(works(&kept(until, false)), "@luma already works until 24 February 2027: nothing to do");
        assert_eq!(works(&kept(until, true)), "@luma already works until about 24 February 2027: nothing to do");
        assert_eq!(works(&kept(None, false)), "@luma already works: nothing to do");
    }
}
