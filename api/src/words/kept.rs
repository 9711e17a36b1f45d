//! How it is said that an account's token stays: it works, or the posts could not be read with the new one.

use commands::outcome::{Kept, LeftOut};

use super::{list, login::left_out};

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
        let names = list(&unread.iter().map(|name| format!("@{name}")).collect::<Vec<_>>());
        texts
            .push(format!("We could not read the posts of {names}, so nothing was changed there. Log in again later."));
    }
    texts.extend(Some(left_out(pages)).filter(|text| !text.is_empty()));
    texts
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
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
