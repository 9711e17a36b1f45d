//! Any text may be tried as a password: it is taken or refused, and its estimate is bounded however long it is.

use api::sign_in::strength::{PASSWORD_CHARACTERS, check};
use proptest::prelude::*;
use secrecy::SecretString;

use super::{
    json::text,
    running::{FUNCTION, holds},
};

#[test]
fn any_password_is_taken_or_refused() {
    let long = (any::<char>(), 0_usize..5_000).prop_map(|(character, times)| character.to_string().repeat(times));
    let repeated = ("[a-zA-Z0-9ıİßﬁ👍🏽]{1,4}", 0_usize..400).prop_map(|(text, times)| text.repeat(times));
    let random = prop::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter);
    let password = prop_oneof![text(), long, repeated, random, "[a-z]{10,20} [0-9]{4} (1|i|l){3}"];
    let email = prop_oneof![text(), "[a-zİ]{0,9}@[a-z.]{0,9}"];
    holds(FUNCTION, &(password, email), |(password, email)| {
        let is_short = password.chars().count() < PASSWORD_CHARACTERS;
        let is_own = !email.is_empty() && password.to_lowercase() == email.to_lowercase();
        let taken = check(&SecretString::from(password), &email).is_ok();
        prop_assert!(!taken || !is_short && !is_own);
        Ok(())
    });
}
