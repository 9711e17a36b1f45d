//! What Meta documents as answers to each call, and what it may answer instead.

use proptest::{prelude::*, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{
    answering::Answer,
    json::{TOKEN, changed, tree, written},
};

/// A call of one of the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    ConsumerExchange,
    ConsumerExtend,
    ConsumerRenew,
    ConsumerMe,
    ConsumerMedia,
    BusinessExchange,
    BusinessRenew,
    BusinessDebug,
    BusinessPermissions,
    BusinessPages,
    BusinessMedia,
}

const CALLS: [Call; 11] = [
    Call::ConsumerExchange,
    Call::ConsumerExtend,
    Call::ConsumerRenew,
    Call::ConsumerMe,
    Call::ConsumerMedia,
    Call::BusinessExchange,
    Call::BusinessRenew,
    Call::BusinessDebug,
    Call::BusinessPermissions,
    Call::BusinessPages,
    Call::BusinessMedia,
];

fn documented(call: Call) -> Vec<Value> {
    let paging = json!({"cursors": {"before": "abc", "after": "xyz"}, "next": "https://graph.example/next"});
    let post = json!({"id": "1", "caption": "Tea\u{0}", "media_type": "IMAGE", "media_url": "https://cdn.example/a.jpg",
        "thumbnail_url": "https://cdn.example/b.jpg", "permalink": "https://example.com/p/1",
        "timestamp": "2026-11-23T10:00:00+0000"});
    let facts = json!({"data": {"app_id": "1", "type": "USER", "is_valid": true, "expires_at": 1_790_000_000_i64,
        "data_access_expires_at": 1_795_000_000_i64, "scopes": ["instagram_basic"], "user_id": "24"}});
    let long = json!({"access_token": TOKEN, "token_type": "bearer", "expires_in": 5_183_944});
    match call {
        Call::ConsumerExchange => vec![
            json!({"data": [{"access_token": TOKEN, "user_id": "1784", "permissions": "a,b\u{0}"}]}),
            json!({"access_token": TOKEN, "user_id": 1784, "permissions": ["a", "b"]}),
        ],
        Call::ConsumerExtend | Call::ConsumerRenew | Call::BusinessExchange => vec![long],
        Call::BusinessRenew => vec![long, json!({"access_token": TOKEN}), facts],
        Call::ConsumerMe => vec![
            json!({"user_id": "1784", "id": "24", "username": "luma\u{0}", "account_type": "BUSINESS"}),
            json!({"data": [{"user_id": 1784, "id": null, "username": "luma", "account_type": null}]}),
        ],
        Call::ConsumerMedia | Call::BusinessMedia => {
            vec![json!({"data": [post, post], "paging": paging}), json!({"data": []})]
        }
        Call::BusinessDebug => vec![
            facts,
            json!({"data": {"is_valid": false, "scopes": [], "error": {"code": 190, "message": TOKEN, "subcode": 460}}}),
        ],
        Call::BusinessPermissions => {
            vec![json!({"data": [{"permission": "instagram_basic\u{0}", "status": "granted"}]})]
        }
        Call::BusinessPages => vec![
            json!({"data": [{"id": "1", "name": "Luma\u{0}"}, {"id": 2}], "paging": paging}),
            json!({"instagram_business_account": {"id": "1784", "username": "luma\u{0}"}, "id": "1"}),
            json!({"id": "1"}),
        ],
    }
}

fn errors() -> Vec<Value> {
    vec![
        json!({"error": {"message": TOKEN, "type": "OAuthException", "code": 190, "error_subcode": 460,
            "is_transient": false, "fbtrace_id": "AbC-1"}}),
        json!({"error_type": "OAuthException", "code": "400", "error_message": "Matching code was not found"}),
    ]
}

/// The usage headers, as Meta writes them and not.
fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let app = json!({"call_count": 20, "total_time": 25, "total_cputime": 1e300});
    let business = json!({"1784": [{"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 19}]});
    let header = prop_oneof![
        written(changed(app)).prop_map(|value| ("x-app-usage", value)),
        written(changed(business)).prop_map(|value| ("x-business-use-case-usage", value)),
    ];
    prop::collection::vec(header, 0..2)
}

fn answer(call: Call) -> impl Strategy<Value = Answer> {
    let shape = prop_oneof![4 => prop::sample::select(documented(call)), 1 => prop::sample::select(errors())];
    let body = prop_oneof![
        8 => written(shape.prop_flat_map(changed)),
        1 => written(tree()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let status = prop_oneof![4 => Just(200), 1 => prop::sample::select(vec![204, 302, 400, 401, 403, 429, 500, 503])];
    (status, headers(), body).prop_map(|(status, headers, body)| Answer { status, headers, body })
}

/// A call, and what is answered to the requests that it makes.
pub(crate) fn calls() -> BoxedStrategy<(Call, Vec<Answer>)> {
    let call = prop::sample::select(&CALLS[..]);
    call.prop_flat_map(|call| (Just(call), prop::collection::vec(answer(call), 1..5))).boxed()
}
