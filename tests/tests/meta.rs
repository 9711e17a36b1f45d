//! The client of Meta's APIs against the sandbox, over HTTP.

use std::time::Duration;

use commands::pages::{Reached, WITHIN, reached};
use meta::{AuthType, Detail, Edge, LongToken, MetaError};
use sandbox::{
    Action, FaultKind,
    person::{Consent, consent},
};
use secrecy::{ExposeSecret, SecretString};
use tests::{clients, sandbox};
use tokio::time::Instant;
use url::Url;

const BACK: &str = "http://127.0.0.1:4000/oauth/x/callback";

fn code(back: &Url) -> SecretString {
    let (_, code) = back.query_pairs().find(|(name, _)| name == "code").expect("a code");
    code.into_owned().into()
}

fn browser() -> reqwest::Client {
    meta::client(PATIENT).expect("a client")
}

async fn consumer_token(sandbox: &sandbox::Sandbox, consumer: &meta::Consumer, username: &str) -> LongToken {
    let id = sandbox.world().account_id(username).expect("in the cast");
    let login = consumer.authorize_url(BACK, "s", &["instagram_business_basic"], false);
    let back = consent(&browser(), &login, &Consent::of(id)).await.expect("sent back");
    let short = consumer.exchange(&code(&back), BACK).await.expect("exchanged");
    assert_eq!(short.permissions, Some(vec!["instagram_business_basic".to_owned()]));
    consumer.extend(&short.token).await.expect("extended")
}

async fn business_token(sandbox: &sandbox::Sandbox, business: &meta::Business, name: &str) -> SecretString {
    let id = sandbox.world().person_id(name).expect("in the cast");
    let scopes = ["instagram_basic", "pages_show_list", "pages_read_engagement"];
    let login = business.authorize_url(BACK, "s", &scopes, AuthType::Usual);
    let back = consent(&browser(), &login, &Consent::of(id)).await.expect("sent back");
    let short = business.exchange(&code(&back), BACK).await.expect("exchanged");
    business.extend(&short.token).await.expect("extended").token
}

/// Longer than an answer takes on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);
/// For answers that don't end.
const IMPATIENT: Duration = Duration::from_millis(700);

fn is_endless(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Timeout | FaultKind::Drip)
}

#[tokio::test]
async fn a_consumer_login_ends_in_posts() {
    let sandbox = sandbox().await;
    let (consumer, _) = clients(&sandbox, PATIENT);
    for _ in 0..3 {
        // The sandbox answers in another shape each time.
        let long = consumer_token(&sandbox, &consumer, "luma.ceramics").await;
        assert_eq!(long.expires_in.map(|lasts| lasts.num_days()), Some(60));
        let me = consumer.me(&long.token, None).await.expect("identified");
        assert_eq!((me.profile.username.as_str(), me.personal), ("luma.ceramics", false));
        let posts = consumer.media(&long.token, &me.profile.instagram_id, 5).await.expect("posts");
        assert_eq!(posts.len(), 5);
        assert!(posts.windows(2).all(|pair| pair[0].timestamp > pair[1].timestamp));
    }
}

#[tokio::test]
async fn pages_of_posts_are_turned_by_their_cursor() {
    let sandbox = sandbox().await;
    let (consumer, _) = clients(&sandbox, PATIENT);
    sandbox.act(Action::AddPosts { holder: "oakandiron".to_owned(), count: 100 }).expect("posted");
    sandbox.act(Action::AddPosts { holder: "oakandiron".to_owned(), count: 100 }).expect("posted");
    let long = consumer_token(&sandbox, &consumer, "oakandiron").await;
    let id = consumer.me(&long.token, None).await.expect("identified").profile.instagram_id;
    let posts = consumer.media(&long.token, &id, 1_000).await.expect("posts");
    let ids: std::collections::HashSet<_> = posts.iter().map(|post| &post.id).collect();
    assert_eq!((posts.len(), ids.len()), (212, 212));
}

#[tokio::test]
async fn where_meta_wants_to_be_asked_for_less_it_is_from_then_on() {
    let sandbox = sandbox().await;
    let (consumer, _) = clients(&sandbox, PATIENT);
    let long = consumer_token(&sandbox, &consumer, "oakandiron").await;
    let id = consumer.me(&long.token, None).await.expect("identified").profile.instagram_id;
    let words = "Please reduce the amount of data you're asking for, then retry your request";
    let body = serde_json::json!({"error": {"message": words, "type": "OAuthException", "code": 1}});
    let path = Some("/media".to_owned());
    sandbox.act(Action::Answer { status: 400, body, calls: Some(2), holder: None, path }).expect("done");
    let calls = || sandbox.world().calls;
    let before = calls();
    // 8, 4, then 2 at once.
    assert_eq!(consumer.media(&long.token, &id, 8).await.expect("posts").len(), 8);
    assert_eq!(calls() - before, 2 + 4);
    let before = calls();
    assert_eq!(consumer.media(&long.token, &id, 4).await.expect("posts").len(), 4);
    assert_eq!(calls() - before, 2);
}

#[tokio::test]
async fn a_business_login_shows_every_page_and_its_account() {
    let sandbox = sandbox().await;
    let (_, business) = clients(&sandbox, PATIENT);
    let token = business_token(&sandbox, &business, "Mia Berg").await;
    let facts = business.debug(&token).await.expect("facts");
    let accounts = reached(&business, &token, &facts, Instant::now() + WITHIN).await.expect("pages").accounts;
    let mut names: Vec<_> = accounts.iter().map(|account| account.username.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["fern.and.fog", "paper.moon.press", "tiny.harbor"]);
    assert!(facts.data_access_ends.at() > facts.session_ends.at());
    assert_eq!(business.permissions(&token).await.expect("permissions").len(), 3);
    assert_eq!(business.media(&token, &accounts[1].instagram_id, 12).await.expect("posts").len(), 12);
}

#[tokio::test]
async fn a_page_without_an_account_and_a_person_without_pages_are_told_apart() {
    let sandbox = sandbox().await;
    let (_, business) = clients(&sandbox, PATIENT);
    let token = business_token(&sandbox, &business, "Tom Unlinked").await;
    let facts = business.debug(&token).await.expect("facts");
    let found = reached(&business, &token, &facts, Instant::now() + WITHIN).await.expect("pages");
    assert_eq!((found.accounts.len(), found.without_account.len()), (0, 1));
    let token = business_token(&sandbox, &business, "Nora Nopage").await;
    let facts = business.debug(&token).await.expect("facts");
    assert_eq!(reached(&business, &token, &facts, Instant::now() + WITHIN).await.expect("pages"), Reached::default());
}

#[tokio::test]
async fn a_code_works_once_and_only_with_its_redirect_uri() {
    let sandbox = sandbox().await;
    let (consumer, _) = clients(&sandbox, PATIENT);
    let id = sandbox.world().account_id("luma.ceramics").expect("in the cast");
    let login = consumer.authorize_url(BACK, "s", &["instagram_business_basic"], false);
    let back = consent(&browser(), &login, &Consent::of(id.clone())).await.expect("sent back");
    assert_eq!(back.fragment(), Some("_"));
    consumer.exchange(&code(&back), BACK).await.expect("the first time");
    let refused = consumer.exchange(&code(&back), BACK).await.expect_err("the second time");
    assert_eq!(refused.answer().and_then(|answer| answer.code), Some(400));
    let back = consent(&browser(), &login, &Consent::of(id)).await.expect("sent back");
    assert!(consumer.exchange(&code(&back), "http://127.0.0.1/other").await.is_err());
}

#[tokio::test]
async fn a_cancelled_login_comes_back_with_an_error_and_the_state() {
    let sandbox = sandbox().await;
    let (consumer, _) = clients(&sandbox, PATIENT);
    let login = consumer.authorize_url(BACK, "the state", &["instagram_business_basic"], true);
    let answer = Consent { cancel: true, ..Consent::of("") };
    let back = consent(&browser(), &login, &answer).await.expect("sent back");
    let query: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!((query["error"].as_str(), query["state"].as_str()), ("access_denied", "the state"));
}

#[tokio::test]
async fn each_way_a_token_dies_is_answered_with_its_subcode() {
    let sandbox = sandbox().await;
    let (consumer, business) = clients(&sandbox, PATIENT);
    let holder = || "luma.ceramics".to_owned();
    for (action, subcode) in [
        (Action::ChangePassword { holder: holder() }, 460),
        (Action::RemoveApp { holder: holder() }, 458),
        (Action::LogOut { holder: holder() }, 467),
        (Action::Checkpoint { holder: holder() }, 459),
        (Action::ExpireToken { holder: holder() }, 463),
    ] {
        let long = consumer_token(&sandbox, &consumer, "luma.ceramics").await;
        consumer.me(&long.token, None).await.expect("works before");
        sandbox.act(action).expect("done");
        let error = consumer.me(&long.token, None).await.expect_err("died");
        let answer = error.answer().expect("Meta's form");
        assert_eq!((answer.code, answer.subcode), (Some(190), Some(subcode)));
    }
    let token = business_token(&sandbox, &business, "Ken Sato").await;
    sandbox.act(Action::ChangePassword { holder: "Ken Sato".to_owned() }).expect("done");
    let error = business.debug(&token).await.expect_err("died");
    assert_eq!(error.answer().and_then(|answer| answer.subcode), Some(460));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_no_secret() {
    let sandbox = sandbox().await;
    let (consumer, _) = clients(&sandbox, PATIENT);
    let (impatient, _) = clients(&sandbox, IMPATIENT);
    let long = consumer_token(&sandbox, &consumer, "luma.ceramics").await;
    for kind in [
        FaultKind::Unavailable,
        FaultKind::BadGateway,
        FaultKind::Timeout,
        FaultKind::Html,
        FaultKind::WrongTypes,
        FaultKind::Truncated,
        FaultKind::Huge,
        FaultKind::Drip,
        FaultKind::Transient,
        FaultKind::AppThrottled,
    ] {
        sandbox.act(Action::Fail { kind, calls: 1, holder: None, path: None }).expect("done");
        let consumer = if is_endless(kind) { &impatient } else { &consumer };
        let error = consumer.me(&long.token, None).await.expect_err("spoiled");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(long.token.expose_secret()) && !shown.contains("http"), "{kind:?}: {shown}");
        match kind {
            FaultKind::Html | FaultKind::WrongTypes | FaultKind::Truncated | FaultKind::Huge => {
                assert!(matches!(error, MetaError::Unreadable { .. }), "{kind:?}: {error}");
            }
            FaultKind::Timeout | FaultKind::Drip => assert_eq!(error, MetaError::Unreachable("timed out")),
            FaultKind::BadGateway => assert_eq!(error, MetaError::Status { call: "me", status: 502 }),
            _ => assert!(error.answer().is_some(), "{kind:?}: {error}"),
        }
    }
    consumer.me(&long.token, None).await.expect("works afterwards");
}

#[tokio::test]
async fn at_every_call_a_bad_answer_is_an_error_that_passes() {
    let sandbox = sandbox().await;
    let (consumer, business) = clients(&sandbox, PATIENT);
    let impatient = clients(&sandbox, IMPATIENT);
    let theirs = consumer_token(&sandbox, &consumer, "luma.ceramics").await.token;
    let ours = business_token(&sandbox, &business, "Ken Sato").await;
    let id = sandbox.world().account_id("luma.ceramics").expect("an account");
    let page = sandbox.world().account_id("hoshi.tea").expect("an account");
    let code = || "a code that waits".to_owned().into();
    let bad = [
        FaultKind::Html,
        FaultKind::WrongTypes,
        FaultKind::Truncated,
        FaultKind::Huge,
        FaultKind::Drip,
        FaultKind::BadGateway,
    ];
    for kind in bad {
        let (consumer, business) = if is_endless(kind) { (&impatient.0, &impatient.1) } else { (&consumer, &business) };
        let calls: Vec<(&str, futures::future::BoxFuture<'_, Option<MetaError>>)> = vec![
            ("code, consumer", Box::pin(async { consumer.exchange(&code(), "http://127.0.0.1/back").await.err() })),
            ("long token", Box::pin(async { consumer.extend(&theirs).await.err() })),
            ("renew", Box::pin(async { consumer.renew(&theirs).await.err() })),
            ("me", Box::pin(async { consumer.me(&theirs, None).await.err() })),
            ("media, consumer", Box::pin(async { consumer.media(&theirs, &id, 5).await.err() })),
            ("code, business", Box::pin(async { business.exchange(&code(), "http://127.0.0.1/back").await.err() })),
            ("extend", Box::pin(async { business.extend(&ours).await.err() })),
            ("debug", Box::pin(async { business.debug(&ours).await.err() })),
            ("pages", Box::pin(async { business.list_pages(&ours, Edge::Person, Detail::Accounts).await.err() })),
            ("businesses", Box::pin(async { business.businesses(&ours).await.err() })),
            ("page", Box::pin(async { business.page(&ours, "7").await.err() })),
            ("permissions", Box::pin(async { business.permissions(&ours).await.err() })),
            ("media, business", Box::pin(async { business.media(&ours, &page, 5).await.err() })),
        ];
        for (name, call) in calls {
            sandbox.act(Action::Fail { kind, calls: 1, holder: None, path: None }).expect("done");
            let error = call.await.unwrap_or_else(|| panic!("{name} takes {kind:?} for an answer"));
            assert!(error.answer().is_none(), "{name}, {kind:?}: {error}");
            sandbox.act(Action::StopFailing).expect("done");
        }
    }
}

#[tokio::test]
async fn the_controls_refuse_other_hosts_and_origins() {
    let sandbox = sandbox().await;
    let action = serde_json::json!({"action": "change_password", "holder": "luma.ceramics"});
    let post = |host: &str, origin: &str| {
        let request = browser().post(format!("{}/control", sandbox.url())).header("host", host);
        request.header("origin", origin).json(&action).send()
    };
    let ours = sandbox.url().replace("http://", "");
    assert_eq!(post("evil.example", &sandbox.url()).await.expect("answers").status(), 403);
    assert_eq!(post(&ours, "http://evil.example").await.expect("answers").status(), 403);
    assert_eq!(post(&ours, &sandbox.url()).await.expect("answers").status(), 204);
}
