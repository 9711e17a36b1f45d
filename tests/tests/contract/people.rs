//! A service with something of each kind that the API describes.

use api::sign_in::Role;
use domain::{Connection, account::Plan};
use engine::testing::{Engine, found};
use reqwest::StatusCode;
use sandbox::Action;
use serde_json::json;
use tests::relight::Relight;

/// The roles that keys have.
pub(crate) const KEYS: [Role; 4] = [Role::Service, Role::Support, Role::Auditor, Role::Admin];

/// Starts Relight with accounts of both connections that are active, expired and disconnected, with widgets of both plans,
/// and an endpoint of web hooks.
pub(crate) async fn inhabited(engine: Engine) -> Relight {
    let relight = Relight::start(engine).await;
    let ann = relight.signed_in("ann@example.com", Role::Owner).await;
    relight.connected(&ann, "luma.ceramics").await;
    let oak = relight.connected(&ann, "oakandiron").await;
    // Several, for some are deleted.
    for plan in [Plan::Free, Plan::Upgraded, Plan::Free, Plan::Upgraded] {
        ann.add_widget(&oak, plan).await;
    }
    let bike = relight.connected(&ann, "bluebird.bikes").await;
    ann.connect(Connection::Business, relight.holder("Ken Sato")).await;
    let gone = ann.connect(Connection::Consumer, relight.holder("alta.climbing")).await;
    assert_eq!(ann.press(&format!("/accounts/{gone}/disconnect"), &[]).await.status(), StatusCode::SEE_OTHER);

    relight.act(Action::ChangePassword { holder: "bluebird.bikes".to_owned() });
    let key = relight.api_key(Role::Service).await;
    let api = format!("{}/api/v1", relight.base);
    let post = async |path: &str, body: serde_json::Value| {
        let request = ann.client.post(format!("{api}{path}")).bearer_auth(&key).json(&body);
        request.send().await.expect("an answer").status()
    };
    assert_eq!(post(&format!("/accounts/{bike}/check"), json!({})).await, StatusCode::ACCEPTED);
    assert_eq!(post("/webhooks", json!({"url": "https://hooks.example/relight"})).await, StatusCode::CREATED);
    found("an expired account", async || match relight.statuses().await.get(&bike).map(String::as_str) {
        Some("expired") => Ok(()),
        status => Err(format!("{status:?}")),
    })
    .await;
    relight
}
