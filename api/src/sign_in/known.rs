//! Browsers that a person signed in at before: a cookie says so, and their tries are counted apart, so that those of
//! strangers against the same address don't slow them.
//!
//! Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

use axum::{http::HeaderMap, response::Response};
use domain::UserId;
use subtle::{Choice, ConstantTimeEq};

use crate::{app::App, cookie, error::Error};

const NAME: &str = "relight_known";
/// As long as browsers keep a cookie. Source: RFC 6265bis, section 5.5.
const KEPT: time::Duration = time::Duration::days(400);
/// The length of the random part, in characters.
const NONCE_CHARACTERS: usize = 24;

/// Whether a browser says that somebody signed in at it before.
pub fn has_mark(app: &App, headers: &HeaderMap) -> bool {
    cookie::value(app, headers, NAME).is_some()
}

/// The random part of a browser's cookie, if the cookie is this person's.
pub fn known(app: &App, headers: &HeaderMap, user: UserId) -> Option<String> {
    let value = cookie::value(app, headers, NAME)?;
    let (nonce, mark) = value.split_once('.').filter(|(nonce, _)| nonce.len() == NONCE_CHARACTERS)?;
    // A cookie made before a change of keys works on.
    let right = app.commands.vault.one_times(&purpose(user, nonce));
    let right = right.iter().fold(Choice::from(0), |right, known| right | known.as_bytes().ct_eq(mark.as_bytes()));
    bool::from(right).then(|| nonce.to_owned())
}

/// Lets the browser prove at the next sign-in that this person signed in at it.
///
/// # Errors
/// Never: the value is plain text.
pub fn remember(app: &App, user: UserId, response: Response) -> Result<Response, Error> {
    let nonce = commands::attempt::random_text::<18>();
    let value = format!("{nonce}.{}", app.commands.vault.one_time(&purpose(user, &nonce)));
    cookie::keep(app, NAME, value, KEPT, response)
}

/// What the mark is derived for. HKDF's expansion under the vault's key is a pseudorandom function: nobody else can make one.
fn purpose(user: UserId, nonce: &str) -> String {
    format!("known browser {user} {nonce}")
}
