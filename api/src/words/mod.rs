//! What people read: how outcomes, refusals and states are said.

mod kept;
mod login;
mod moment;

use commands::attempt::Purpose;
use domain::{Connection, Reason, failure::Certainty};
use projections::accounts::Status;

pub use kept::besides;
pub use login::{Telling, outcome, refusal};
pub use moment::Moment;

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

/// Why a token can't be used, and what to do, in a card on the account's page.
pub fn why(reason: Reason, certainty: Certainty, connection: Connection) -> (&'static str, &'static str) {
    match (reason, connection) {
        (Reason::PasswordChanged, _) if matches!(certainty, Certainty::Likely) => (
            "The password was changed, or there was a security reset.",
            "Meta doesn't tell which. Refresh the token: log in once more, with the new password if it was changed.",
        ),
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
            "Open instagram.com, log in, and follow the steps. We ask again by ourselves; if it stays so, refresh the token.",
        ),
        (Reason::Checkpoint, Connection::Business) => (
            "Facebook wants to check that it is you.",
            "Open facebook.com, log in, and follow the steps. We ask again by ourselves; if it stays so, refresh the token.",
        ),
        (Reason::Unconfirmed, _) => (
            "The user isn't confirmed.",
            "Confirm the e-mail address or phone number at Facebook or Instagram. We ask again by ourselves; if it stays so, refresh the token.",
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
        (Reason::Unknown, _) => (
            "Meta refused the access token and didn't say why.",
            "Refresh it: log in once more. If that fails too, look whether your activity off Meta technologies is turned off: that \
             ends connections as well.",
        ),
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

/// "@luma and @mira".
fn names(usernames: &[String]) -> String {
    if usernames.is_empty() {
        return "no account".to_owned();
    }
    list(&usernames.iter().map(|name| format!("@{name}")).collect::<Vec<_>>())
}

/// "a, b and c".
fn list(items: &[String]) -> String {
    match items {
        [] => "it".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
