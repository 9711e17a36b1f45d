//! What people read: how outcomes, refusals and states are said.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use commands::{Outcome, attempt::Purpose, callback::Refusal};
use domain::{Connection, Reason};
use projections::accounts::Status;

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
pub fn outcome(outcome: &Outcome) -> Telling {
    let code = outcome.code();
    let said = |title: &str, text: &[&str]| Telling::new(title, text, code);
    match outcome {
        Outcome::Connected { .. } => said("Connected", &[]),
        Outcome::Refreshed { .. } => said("Refreshed", &[]),
        Outcome::Switched { .. } => said("Connection switched", &[]),
        Outcome::Cancelled => {
            said("The login was cancelled", &["Nothing was changed. If you cancelled by mistake, just try again."])
        }
        Outcome::CodeRefused => said(
            "Meta did not accept the login",
            &["Nothing was changed. This happens when a login took too long or a page was opened twice. Try again."],
        ),
        Outcome::MetaUnavailable => said(
            "Meta could not complete the login",
            &["Nothing was changed and nothing is lost. This is usually over in a few minutes: try again then."],
        ),
        Outcome::Interrupted => said(
            "The login was interrupted",
            &["We were restarted just as you came back. Nothing was changed. Try again."],
        ),
        Outcome::PermissionMissing { missing } => said(
            "A permission is missing",
            &[
                &format!("Without {} we can't show your posts. Nothing was changed.", permissions(missing)),
                "Try again, and leave all boxes ticked when you are asked what Relight may do.",
            ],
        ),
        Outcome::WrongAccount { meant, reached } => said(
            "That was another Instagram account",
            &[
                &format!("You meant @{meant}, but the login was for {}. Nothing was changed.", names(reached)),
                "Try again: you will be asked whom to log in as.",
            ],
        ),
        Outcome::PageNotChosen { meant, reached } => said(
            &format!("The login did not reach @{meant}"),
            &[
                &format!("It reached {}. Nothing was changed.", names(reached)),
                "Try again, and tick the Page that this Instagram account is linked to. If it isn't listed, another \
                 Facebook user manages it: log in at facebook.com as that user first.",
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
    }
}

/// From where somebody set out to a login.
pub const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Connect => "Connect an account",
        Purpose::Account => "the account's page",
        Purpose::TokenPage => "the access token page",
        Purpose::Link => "a reconnect link",
        Purpose::Switch => "Switch connection",
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

/// Why a token can't be used, and what to do, in a card on the account's page.
pub fn why(reason: Reason, connection: Connection) -> (&'static str, &'static str) {
    match (reason, connection) {
        (Reason::Lifetime, _) => {
            ("The access token ran out.", "Access tokens live 60 days. Refresh it: log in once more, and it lives on.")
        }
        (Reason::PasswordChanged, _) => (
            "The password was changed.",
            "A changed password ends all access at once. Refresh the token with the new password.",
        ),
        (Reason::AppRemoved, _) => (
            "The app was removed at Meta.",
            "Somebody took our access away in the account's settings. Refresh to give it back.",
        ),
        (Reason::Checkpoint, Connection::Consumer) => (
            "Instagram wants to check that it is you.",
            "Open instagram.com, log in, and follow the steps. Then refresh the token.",
        ),
        (Reason::Checkpoint, Connection::Business) => (
            "Facebook wants to check that it is you.",
            "Open facebook.com, log in, and follow the steps. Then refresh the token.",
        ),
        (Reason::Unconfirmed, _) => (
            "The user isn't confirmed.",
            "Confirm the e-mail address or phone number at Facebook or Instagram. Then refresh the token.",
        ),
        (Reason::Invalidated, _) => (
            "The session was ended: the password was changed, or there was a security reset.",
            "Meta doesn't tell which. Refresh the token: log in once more.",
        ),
        (Reason::PageRoleLost, _) => (
            "The role on the Facebook Page was lost.",
            "Somebody with a role on the Page must refresh the token, or give the role back first.",
        ),
        (Reason::PermissionMissing, _) => {
            ("A permission is missing.", "Refresh the token, and leave all boxes ticked.")
        }
        (Reason::DataAccessEnded, _) => (
            "Access to the data ended.",
            "Meta ends it after 90 days without you. Refresh the token: only a person can do that.",
        ),
        (Reason::Unknown, _) => ("Meta refused the access token and didn't say why.", "Refresh it: log in once more."),
    }
}

/// The status as its pill says it.
pub fn status(status: Status) -> String {
    match status {
        Status::Active => "Active".to_owned(),
        Status::Expired(reason) => format!("Expired — {}", projections::story::reason_words(reason)),
        Status::Disconnected => "Disconnected".to_owned(),
    }
}

/// What the button of a connection is called.
pub const fn button(connection: Connection) -> &'static str {
    match connection {
        Connection::Consumer => "Instagram",
        Connection::Business => "Facebook",
    }
}

/// "14, 7 and 1"; `None` of nothing.
pub fn list_of(numbers: &[u32]) -> Option<String> {
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    (!numbers.is_empty()).then(|| list(&numbers))
}

/// "a, b and c".
fn list(items: &[String]) -> String {
    match items {
        [] => "it".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
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

fn names(usernames: &[String]) -> String {
    if usernames.is_empty() {
        return "no account".to_owned();
    }
    list(&usernames.iter().map(|name| format!("@{name}")).collect::<Vec<_>>())
}

/// An instant as a `<time>`: relative to read, exact to look up. Displays as HTML, of nothing but digits and our words.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The instant.
    pub at: DateTime<Utc>,
    /// The time now.
    pub now: DateTime<Utc>,
}

impl Moment {
    /// The same in words alone, for a text.
    pub fn plain(&self) -> String {
        relative(self.at - self.now)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let title = self.at.format("%e %B %Y, %H:%M:%S UTC");
        let words = relative(self.at - self.now);
        write!(f, "<time datetime=\"{exact}\" title=\"{title}\">{words}</time>")
    }
}

/// "3 minutes ago", "in 2 days".
fn relative(distance: TimeDelta) -> String {
    let seconds = distance.num_seconds().unsigned_abs();
    let unit_seconds = match seconds {
        0..60 => 1,
        60..3_600 => 60,
        3_600..86_400 => 3_600,
        _ => 86_400,
    };
    // What has passed is counted in whole units; what is to come, in the nearest: 60 days are told as 60 from the start.
    let nearest = if distance < TimeDelta::zero() { 0 } else { unit_seconds / 2 };
    let number = (seconds + nearest) / unit_seconds;
    let unit = match unit_seconds {
        1 if seconds < 10 => return if distance <= TimeDelta::zero() { "just now" } else { "now" }.to_owned(),
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    };
    let plural = if number == 1 { "" } else { "s" };
    if distance < TimeDelta::zero() {
        format!("{number} {unit}{plural} ago")
    } else {
        format!("in {number} {unit}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_said_in_the_largest_unit() {
        assert_eq!(relative(TimeDelta::seconds(-4)), "just now");
        assert_eq!(relative(TimeDelta::seconds(-61)), "1 minute ago");
        assert_eq!(relative(TimeDelta::hours(47)), "in 2 days");
        assert_eq!(relative(TimeDelta::seconds(60 * 86_400 - 20)), "in 60 days");
        assert_eq!(relative(TimeDelta::hours(-47)), "1 day ago");
        assert_eq!(relative(TimeDelta::days(-60)), "60 days ago");
    }

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
