//! Only what is signed with the app's secret passes as Meta's.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Datelike;
use hmac::{Hmac, Mac};
use proptest::{prelude::*, sample::Index};
use serde_json::json;
use sha2::Sha256;

use super::{
    answering::{APP_SECRET, Clients},
    json::{changed, text, written},
    running::{FUNCTION, holds},
};

/// A request as Meta signs it.
pub(crate) fn signed(payload: &[u8], secret: &str) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(payload.as_bytes());
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// What is signed: as documented, and with something wrong about it.
pub(crate) fn payloads() -> impl Strategy<Value = Vec<u8>> {
    written(changed(json!({"algorithm": "HMAC-SHA256", "user_id": "24", "issued_at": 1_790_000_000})))
}

#[tokio::test]
async fn a_request_with_the_right_signature_is_read_or_refused_as_a_whole() {
    let clients = Clients::start().await;
    holds(FUNCTION, &(payloads(), "={0,3}"), |(payload, padding)| {
        let request = signed(&payload, APP_SECRET);
        let (signature, rest) = request.split_once('.').expect("two parts");
        for request in [request.clone(), format!("{signature}{padding}.{rest}")] {
            if let Some(read) = clients.consumer.verify(&request) {
                prop_assert!((1..=9999).contains(&read.issued_at.year()));
                prop_assert!(read.user_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            }
        }
        prop_assert_eq!(clients.consumer.verify(&request), clients.business.verify(&request));
        Ok(())
    });
}

#[tokio::test]
async fn a_request_without_the_right_signature_is_none_of_metas() {
    let clients = Clients::start().await;
    let good = br#"{"algorithm":"HMAC-SHA256","user_id":"24","issued_at":1790000000}"#;
    let mine = signed(good, APP_SECRET);
    assert!(clients.consumer.verify(&mine).is_some());
    let forged = (any::<Index>(), "[A-Za-z0-9_.=-]", any::<bool>()).prop_map(move |(place, character, cut)| {
        let mut text = mine.clone();
        let place = place.index(text.len());
        if cut {
            text.truncate(place);
        } else {
            text.replace_range(place..=place, &character);
        }
        if text == mine { String::new() } else { text }
    });
    let others = (payloads(), "[a-z ]{0,30}").prop_map(|(payload, secret)| signed(&payload, &secret));
    let odd = prop_oneof![text(), "[A-Za-z0-9_=-]{0,60}\\.[A-Za-z0-9_=-]{0,60}", "\\.{0,5}"];
    holds(FUNCTION, &prop_oneof![forged, others, odd], |text| {
        prop_assert_eq!(clients.consumer.verify(&text), None);
        prop_assert_eq!(clients.business.verify(&text), None);
        Ok(())
    });
}
