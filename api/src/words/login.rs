//! How what came of a login is told.

use commands::{Outcome, callback::Refusal, outcome::Why};

use super::{
    button,
    kept::{already_works, left_out, not_confirmed, not_read},
    list, names,
};

/// What is said about something that happened: what, what to do, a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// What happened.
    pub title: String,
    /// More of it, and what to do.
    pub text: Vec<String>,
    /// The code that support knows.
    pub code: Option<u16>,
}

impl Telling {
    fn new(title: impl Into<String>, text: &[&str], code: Option<u16>) -> Self {
        Self { title: title.into(), text: text.iter().map(|text| (*text).to_owned()).collect(), code }
    }
}

/// How an outcome that isn't a success is told.
#[expect(clippy::too_many_lines, reason = "a text for each of them")]
pub fn outcome(outcome: &Outcome) -> Telling {
    let code = outcome.code();
    let said = |title: &str, text: &[&str]| Telling::new(title, text, code);
    match outcome {
        Outcome::Connected { .. } => said("Connected", &[]),
        Outcome::Refreshed { .. } => said("Refreshed", &[]),
        Outcome::Switched { .. } => said("Connection switched", &[]),
        Outcome::AlreadyWorks { kept } => {
            let (title, text) = already_works(kept);
            Telling { title, text, code }
        }
        Outcome::NotRead { usernames, until } => {
            let (title, text) = not_read(usernames, *until);
            Telling { title, text, code }
        }
        Outcome::NotConfirmed { usernames, until } => {
            let (title, text) = not_confirmed(usernames, *until);
            Telling { title, text, code }
        }
        Outcome::ReadingRefused { usernames } => said(
            &format!("Meta does not let us read the posts of {}", names(usernames)),
            &[
                "You logged in successfully, but Meta refused the posts to this login. The access token was not changed.",
                "Check that the account is a professional one and, with Facebook, still linked to its Page. Then try again.",
            ],
        ),
        Outcome::TooOften => said(
            "That is enough for today",
            &["So many logins were taken today that no more are. Nothing was changed. Try again tomorrow."],
        ),
        Outcome::Cancelled => {
            said("The login was cancelled", &["Nothing was changed. If you cancelled by mistake, just try again."])
        }
        Outcome::CodeRefused => said(
            "Meta did not accept the login",
            &["Nothing was changed. Try again. A login also fails when it took too long or its page was opened twice."],
        ),
        Outcome::ActivityOff => said(
            "Your activity off Meta technologies is turned off",
            &[
                "Meta lets no service read your posts while it is off, and it also ended existing connections. Nothing was \
                 changed here.",
                "Turn it on: in the Instagram or Facebook app open Settings, Accounts Center, Your information and \
                 permissions, Your activity off Meta technologies, Manage future activity, and choose to connect future \
                 activity. Then try again.",
            ],
        ),
        Outcome::NoAccess => said(
            "Our app may not read this account yet",
            &[
                "You logged in, but Meta gives our app no access to this account. That is ours to mend, not yours: tell us, \
                 with the reference below. Nothing was changed.",
                "For the operator: while the app has not passed App Review (Advanced Access), it may read only the accounts of \
                 its testers. Add this one under App roles, or finish the review.",
            ],
        ),
        Outcome::AppMisconfigured => said(
            "Our app is not set up correctly at Meta",
            &[
                "That is ours to mend, not yours: tell us, with the reference below. Nothing was changed.",
                "For the operator: Meta refuses the app, its id, its secret, the redirect address or the permissions that it \
                 asks for. Instagram Login has an id and a \
                 secret of its own, which are not those of the Facebook app; `relight doctor` checks them.",
            ],
        ),
        Outcome::LoginUnavailable => said(
            "Facebook's login is not available just now",
            &[
                "Facebook ended the login with an error of its own. Nothing was changed. Try again in some minutes.",
                "If it goes on: for the operator, the app may be in development mode, or its login switched off at Meta.",
            ],
        ),
        Outcome::PagesRefused { pages } if pages.iter().all(|page| page.why == Why::TooMany) => said(
            "There are too many Pages",
            &[&format!("{} Nothing was changed.", left_out(pages)), "Try again, and tick only those that you need."],
        ),
        Outcome::PagesRefused { pages } => said(
            "Meta does not let us read your Pages",
            &[
                &format!("{} Nothing was changed.", left_out(pages)),
                "Try again and tick them all. If it goes on, you need a full role on the Page: its owner gives you one in the \
                 Page's settings.",
            ],
        ),
        Outcome::MetaUnavailable => said(
            "Meta could not complete the login",
            &["Nothing was changed and nothing is lost. This is usually over in a few minutes: try again then."],
        ),
        Outcome::Interrupted => said(
            "The login was interrupted",
            &["We were restarted just as you came back. Nothing was changed. Try again."],
        ),
        Outcome::CheckWaits => said(
            "Facebook or Instagram needs you to confirm something",
            &[
                "Until then no service can read your posts. Nothing was changed here.",
                "Open the app, or log in at facebook.com or instagram.com, and follow the instructions. Then try again.",
            ],
        ),
        Outcome::PermissionMissing { missing } if missing.is_empty() => said(
            "A permission is missing",
            &[
                "Meta says that a permission is missing. Nothing was changed.",
                "Try again, and leave all boxes ticked when you are asked what Relight may do.",
            ],
        ),
        Outcome::PermissionMissing { missing } => said(
            "A permission is missing",
            &[
                &format!("Without {} we can't show your posts. Nothing was changed.", permissions(missing)),
                "Try again, and leave all boxes ticked when you are asked what Relight may do.",
            ],
        ),
        Outcome::NotAllowed => said(
            "You may not do that",
            &["Only an owner of the account may switch its connection. Nothing was changed."],
        ),
        Outcome::DataAccessEnded => said(
            "Facebook did not renew the access to your data",
            &[
                "You logged in, but Facebook's 90 days of data access had ended, and this login didn't restart them. \
                 Nothing was changed.",
                "Log in once more with the button below: it asks Facebook for it.",
            ],
        ),
        Outcome::ChoiceExpired => said(
            "The choice has timed out",
            &["A login waits ten minutes for your choice of account. Nothing was changed. Connect again."],
        ),
        Outcome::WrongAccount { meant, reached } => said(
            "That was another Instagram account",
            &[
                &format!("You meant @{meant}, but the login was for {}. Nothing was changed.", names(reached)),
                "Try again: you will be asked whom to log in as.",
                &format!(
                    "If @{meant} was deleted at Instagram, or became this other account, no login reaches it any more: \
                     disconnect it here, and connect the other one."
                ),
            ],
        ),
        Outcome::PageNotChosen { meant, reached, left_out: pages } => said(
            &format!("The login did not reach @{meant}"),
            &[
                format!("It reached {}. {} Nothing was changed.", names(reached), left_out(pages))
                    .replace("  ", " ")
                    .as_str(),
                "Try again, and tick the Page that this Instagram account is linked to. If it isn't listed, another \
                 Facebook user manages it: log in at facebook.com as that user first.",
                &format!(
                    "If @{meant} was deleted at Instagram, or its Page is linked to another account now, no login reaches it \
                     any more: disconnect it here, and connect the other one."
                ),
            ],
        ),
        Outcome::WrongConnection { username, uses } => said(
            &format!("@{username} uses the {uses} connection"),
            &[&format!(
                "You logged in successfully, but this account is connected through {}. Nothing was changed. Use the {} \
                 button, and you are done.",
                uses.login(),
                button(*uses)
            )],
        ),
        Outcome::NeverConnected { reached } => said(
            "Unable to refresh the access token. It seems that this Instagram account was never connected before.",
            &[
                &format!("The login was for {}.", names(reached)),
                "If that is not the account you meant, log in with the other one. If it is, connect it first: sign in to \
                 your dashboard and press Connect an account.",
            ],
        ),
        Outcome::NoPage => said(
            "There is no Facebook Page to read from",
            &[
                "The Facebook user who logged in gave us no Page. Nothing was changed.",
                "Try again and tick your Page. If none is offered, you need a role on the Page that the Instagram account \
                 is linked to: its owner gives you one in the Page's settings.",
            ],
        ),
        Outcome::PageWithoutAccount { pages } => said(
            "No Instagram account is linked to the Page",
            &[
                &format!("{} has no Instagram account. Nothing was changed.", list(pages)),
                "Link it in the Page's settings under Linked accounts, then try again; or use the consumer connection, \
                 which needs no Page.",
            ],
        ),
        Outcome::PersonalAccount { username } => said(
            &format!("@{username} is a personal account"),
            &[
                "Instagram gives the posts of personal accounts to no service. Nothing was changed.",
                "In the Instagram app, open Settings, Account type, and switch to a professional account. It is free. \
                 Then try again.",
            ],
        ),
        Outcome::Disconnected { username } => said(
            &format!("@{username} was disconnected"),
            &["An owner disconnected it here. Sign in and connect it again: its widgets come back by themselves."],
        ),
    }
}

/// How a callback that was refused is told.
pub fn refusal(refusal: Refusal) -> Telling {
    let code = Some(refusal.code());
    match refusal {
        Refusal::UnknownState => {
            Telling::new("We don't know this login", &["Nothing was changed. Start again from the button."], code)
        }
        Refusal::Expired => Telling::new(
            "The login took too long",
            &["A login must be finished within an hour. Nothing was changed. Start again from the button."],
            code,
        ),
        Refusal::OtherBrowser => Telling::new(
            "This login began in another browser",
            &[
                "Nothing was changed. Finish it in the browser where you pressed the button, or start again here.",
                "If you got this address from somebody else, close this page.",
            ],
            code,
        ),
        Refusal::SignedOut => Telling::new(
            "You have been signed out meanwhile",
            &["Nothing was changed. Sign in as before, then press the button again."],
            code,
        ),
    }
}

/// Permissions as Meta calls them, which is how its boxes are found, each with what it is for.
fn permissions(names: &[String]) -> String {
    let told = |name: &String| match name.as_str() {
        "instagram_business_basic" | "instagram_basic" => format!("{name} (your profile and posts)"),
        "pages_show_list" => format!("{name} (the list of your Pages)"),
        "pages_read_engagement" => format!("{name} (what is on your Page)"),
        _ => name.clone(),
    };
    list(&names.iter().map(told).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_1075_has_its_text() {
        let telling = outcome(&Outcome::NeverConnected { reached: vec!["somebody".to_owned()] });
        assert_eq!(telling.code, Some(1075));
        let text =
            "Unable to refresh the access token. It seems that this Instagram account was never connected before.";
        assert_eq!(telling.title, text);
        assert!(telling.text[0].contains("@somebody"));
    }
}
