//! A token as an exchange or a renewal answers it.

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::MetaError;

/// Longer than any life that Meta documents (60 days): an end beyond it is no end, but a bad answer.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// A token as an exchange or a renewal answers it. One that is empty, or has run out, is a bad answer: it would take a good
/// token's place.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Answer")]
pub struct LongToken {
    /// The token string. Meta sets no length.
    pub token: SecretString,
    /// How long the session lasts from now on; `None` if the answer doesn't say, which means for ever.
    pub expires_in: Option<TimeDelta>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    /// Seconds.
    expires_in: Option<i64>,
}

impl TryFrom<Answer> for LongToken {
    type Error = &'static str;

    fn try_from(Answer { access_token: token, expires_in }: Answer) -> Result<Self, Self::Error> {
        if token.expose_secret().trim().is_empty() {
            return Err("an empty token");
        }
        let lasting = |seconds| {
            let lasts =
                TimeDelta::try_seconds(seconds).filter(|lasts| (TimeDelta::seconds(1)..LONGEST).contains(lasts));
            lasts.ok_or("a token's life that can't be")
        };
        Ok(Self { token, expires_in: expires_in.map(lasting).transpose()? })
    }
}

impl LongToken {
    /// Instagram's own tokens all end: an answer that doesn't say when would never be renewed again.
    pub(crate) fn that_ends(self) -> Result<Self, MetaError> {
        if self.expires_in.is_none() {
            Err(MetaError::unreadable("access_token", "a token without its end"))
        } else {
            Ok(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Option<LongToken> {
        serde_json::from_str(answer).ok()
    }

    #[test]
    fn a_token_that_would_replace_a_good_one_with_nothing_is_a_bad_answer() {
        for answer in [
            r#"{"access_token":"","expires_in":5183944}"#,
            r#"{"access_token":" ","expires_in":5183944}"#,
            r#"{"access_token":"IGAA","expires_in":0}"#,
            r#"{"access_token":"IGAA","expires_in":-1}"#,
            r#"{"access_token":"IGAA","expires_in":10000000000000}"#,
            r#"{"access_token":"IGAA","expires_in":9223372036854775807}"#,
            r#"{"expires_in":5183944}"#,
        ] {
            assert!(read(answer).is_none(), "{answer}");
        }
        let good = read(r#"{"access_token":"IGAA","expires_in":5183944}"#).expect("a token");
        assert_eq!(good.expires_in, Some(TimeDelta::seconds(5_183_944)));
    }

    #[test]
    fn only_facebook_may_leave_the_end_out() {
        let endless = read(r#"{"access_token":"EAA"}"#).expect("a token");
        assert!(endless.that_ends().is_err());
    }
}
