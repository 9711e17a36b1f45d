//! Which passwords are taken.

use secrecy::{ExposeSecret, SecretString};
use zxcvbn::{Score, zxcvbn};

use super::passwords::PASSWORD_BYTES;
use crate::error::Error;

/// The shortest password that is taken. Source: NIST SP 800-63B-4, section 3.1.1.2: 15 characters where the password is the
/// only factor.
pub const PASSWORD_CHARACTERS: usize = 15;
/// How much of it is estimated. The estimate takes longer than linear time, and of a longer row of keys it counts ways in 64
/// bits that don't hold them: five neighbours of a key, to the power of the turns.
const ESTIMATED_CHARACTERS: usize = 27;

/// Refuses a password that is too short, too long, the address itself, or easy to guess: a common one, a repetition, a row
/// of the keyboard.
///
/// # Errors
/// [`Error::Rule`], in words for the person who chose it.
pub fn check(password: &SecretString, email: &str) -> Result<(), Error> {
    let text = password.expose_secret();
    let refuse = |text: String| Err(Error::Rule(text));
    if text.chars().count() < PASSWORD_CHARACTERS {
        return refuse(format!(
            "A password needs at least {PASSWORD_CHARACTERS} characters. Four random words are easy to remember."
        ));
    }
    if text.len() > PASSWORD_BYTES {
        return refuse(format!("A password has at most {PASSWORD_BYTES} bytes."));
    }
    // A browser's form can't send it: whoever had such a password could never sign in.
    if text.contains('\0') {
        return refuse("A password must not contain a NUL character.".to_owned());
    }
    let lower = text.to_lowercase();
    let email = email.to_lowercase();
    let (name, host) = email.split_once('@').unwrap_or((&email, ""));
    if lower.contains(&email) || lower == name {
        return refuse("The password must not be your e-mail address.".to_owned());
    }
    let start: String = text.chars().take(ESTIMATED_CHARACTERS).collect();
    if zxcvbn(&start, &[&email, name, host, "relight", "correcthorsebatterystaple"]).score() < Score::Three {
        return refuse("This password is easy to guess. Try four random words.".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_short_and_own_passwords_are_refused() {
        let email = "ann.summers@example.com";
        for bad in [
            "short",
            "fourteen chars",
            "passwordpassword",
            "correcthorsebatterystaple",
            "1234567890123456",
            "qwertyuiopasdfghjkl",
            "aaaaaaaaaaaaaaaaaaaa",
            "ann.summers@example.com",
            "ANN.SUMMERS@EXAMPLE.COM1",
            "Password123456789",
            // A row on the keypad with more turns than 64 bits can count.
            "474747474747474747474747474747474747",
            "violet-tractor\0-moon-77xx",
        ] {
            assert!(check(&bad.to_owned().into(), email).is_err(), "{bad}");
        }
        for good in ["correct horse battery", "Wohnzimmer-Tulpe-37-Nordwind", "ひらがなで長い合言葉を作ってみました"]
        {
            assert!(check(&good.to_owned().into(), email).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_long_password_is_checked_quickly() {
        let long = "x7#kQ".repeat(204);
        let _ = check(&long.into(), "ann@example.com");
    }
}
