//! What Meta sends signed: `base64url(signature).base64url(payload)`, the signature an HMAC-SHA256 over the payload as it
//! is encoded, with the app's secret. Source: Meta's "Parsing the Signed Request" and "Data Deletion Request Callback".

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;

use crate::shape::{id, possible};

/// Padding is seen both ways.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longer ones are none of Meta's.
const LONGEST: usize = 8_192;

/// A request that was signed with the app's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The app-scoped id of whom it is about.
    pub user_id: String,
    /// When it was made, to the second.
    pub issued_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Payload {
    algorithm: String,
    #[serde(deserialize_with = "id")]
    user_id: String,
    issued_at: i64,
}

/// Reads a signed request; `None` if it is none, or not signed with this secret.
pub(crate) fn verify(secret: &SecretString, text: &str) -> Option<SignedRequest> {
    let (signature, encoded) = text.split_once('.').filter(|_| text.len() <= LONGEST)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(encoded.as_bytes());
    mac.verify_slice(&BASE64.decode(signature).ok()?).ok()?;
    let payload: Payload = serde_json::from_slice(&BASE64.decode(encoded).ok()?).ok()?;
    let issued_at = DateTime::from_timestamp(payload.issued_at, 0).and_then(possible)?;
    payload
        .algorithm
        .eq_ignore_ascii_case("HMAC-SHA256")
        .then_some(SignedRequest { user_id: payload.user_id, issued_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with another implementation: Python's `hmac`, `hashlib` and `base64`.
    const SIGNED: &str = "39bskENAWdGIPV-iHRxCermXG38YfFqp7xOhlfOI4Gw.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MTc5MDAwMDAwMCwidXNlcl9pZCI6IjI0MDAwMDAwMDAwMDAwMDAxIn0";

    fn of(text: &str) -> Option<SignedRequest> {
        verify(&"a secret".to_owned().into(), text)
    }

    #[test]
    fn what_meta_signed_is_read_with_and_without_padding() {
        let issued_at = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let read = SignedRequest { user_id: "24000000000000001".to_owned(), issued_at };
        assert_eq!(of(SIGNED), Some(read.clone()));
        let (signature, payload) = SIGNED.split_once('.').expect("two parts");
        assert_eq!(of(&format!("{signature}=.{payload}")), Some(read));
    }

    #[test]
    fn anything_else_is_not() {
        let (signature, payload) = SIGNED.split_once('.').expect("two parts");
        for text in
            ["", ".", "a.b", signature, payload, &format!("{payload}.{signature}"), &format!("{signature}.{payload}A")]
        {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(verify(&"another secret".to_owned().into(), SIGNED), None);
        assert_eq!(of(&format!("{signature}.{}", "A".repeat(10_000))), None);
    }
}
