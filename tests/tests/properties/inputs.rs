//! What stands in queries and forms.

use std::fmt::Write;

use proptest::prelude::*;

use super::json::text;

/// Parameters of queries.
const PARAMETERS: [&str; 20] = [
    "limit",
    "after",
    "status",
    "q",
    "at",
    "from",
    "to",
    "type",
    "account",
    "reference",
    "next",
    "widget",
    "shown",
    "state",
    "code",
    "error",
    "error_reason",
    "csrf",
    "step",
    "",
];

/// Values that mean something to one of the routes.
const MEANINGFUL: [&str; 28] = [
    "active",
    "expired",
    "disconnected",
    "free",
    "upgraded",
    "owner",
    "developer",
    "yes",
    "on",
    "consumer",
    "business",
    "luma",
    "l",
    "%_",
    "\"",
    "Refreshed",
    "ann@example.com",
    "https://hooks.example.com/x",
    "/accounts",
    "//evil.example",
    "~2026-11-23T10:00:00.000000Z~01900000-0000-7000-8000-000000000000",
    "~+262142-12-31T23:59:59.999999Z~x",
    "~-262143-01-01T00:00:00Z~x",
    "luma~01900000-0000-7000-8000-000000000000",
    "2026-11-23T10:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z",
    "access_denied",
];

/// Percent-encodes all but letters and digits.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("texts take all");
        }
    }
    text
}

/// A value of a field.
pub(crate) fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(&MEANINGFUL[..]).prop_map(str::to_owned),
        2 => text(),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (0..300_u32).prop_map(|number| number.to_string()),
        1 => any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string()),
    ]
}

/// Fields as a query or a form writes them.
pub(crate) fn fields(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let field = (prop::sample::select(names), value());
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields).finish()
    })
}

/// A query. A position that the views never reach is waited for a second: few ask for one.
pub(crate) fn query() -> impl Strategy<Value = String> {
    let position = |number: String| format!("min_position={number}");
    prop_oneof![
        400 => fields(&PARAMETERS),
        30 => (-3..3_i64).prop_map(move |number| position(number.to_string())),
        30 => "[a-z+]{0,5}".prop_map(position),
        1 => prop::sample::select(vec![i64::MAX, 1_000_000]).prop_map(move |number| position(number.to_string())),
        30 => "[a-z0-9&=+;?%]{0,20}",
        10 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| encoded(&bytes)),
    ]
}
