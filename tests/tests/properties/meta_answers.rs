//! Whatever Meta answers, a call ends with a value that the program can hold, or with an error that it can judge.

use chrono::{DateTime, Datelike, Utc};
use commands::pages::WITHIN;
use domain::failure;
use meta::{End, Granted, LongToken, MetaError, Post, Target, TokenFacts};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use url::Url;

use super::{
    answering::Clients,
    json::TOKEN,
    meta_shapes::{Call, calls},
    running::{Held, SERVICE, holds_async},
};

const CALLS_THAT_MEET_ERRORS: [failure::Call; 4] =
    [failure::Call::Pull, failure::Call::Check, failure::Call::Renew, failure::Call::Deauthorization];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_answer_is_a_value_without_harm_or_an_error_with_a_verdict() {
    let clients = Clients::start().await;
    holds_async(SERVICE, &calls(), async |(call, answers)| {
        clients.will_hear(answers);
        match made(&clients, call).await {
            Ok(Value { texts, links, instants }) => {
                for text in texts.iter().chain(&links) {
                    prop_assert!(!text.contains('\0'), "NUL in {text:?}");
                }
                for link in links {
                    let scheme = Url::parse(&link).map(|url| url.scheme().to_owned()).unwrap_or_default();
                    prop_assert!(["http", "https"].contains(&scheme.as_str()), "{link}");
                }
                for instant in instants {
                    prop_assert!((1..=9999).contains(&instant.year()), "{instant}");
                }
            }
            Err(error) => judged(&error)?,
        }
        for budget in [clients.consumer.budget(), clients.business.budget()] {
            let paused = budget.usage().paused_until;
            prop_assert!(paused.is_none_or(|until| (1..=9999).contains(&until.year())));
            let _ = (budget.wait(Some("1784"), false), budget.is_short());
        }
        Ok(())
    });
}

/// What a call gave.
#[derive(Default)]
struct Value {
    texts: Vec<String>,
    links: Vec<String>,
    instants: Vec<DateTime<Utc>>,
}

impl Value {
    fn of_texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self { texts: texts.into_iter().collect(), ..Self::default() }
    }

    fn of_token(long: &LongToken) -> Self {
        let instants = long.expires_in.map(|lasts| DateTime::UNIX_EPOCH + lasts);
        Self { instants: instants.into_iter().collect(), ..Self::of_texts([long.token.expose_secret().to_owned()]) }
    }

    fn of_posts(posts: Vec<Post>) -> Self {
        let mut value = Self::default();
        for Post { id, caption, media_url, thumbnail_url, permalink, timestamp, .. } in posts {
            value.texts.extend([id, caption]);
            value.links.extend([media_url, thumbnail_url, permalink].into_iter().flatten());
            value.instants.push(timestamp);
        }
        value
    }
}

async fn made(Clients { consumer, business, .. }: &Clients, call: Call) -> Result<Value, MetaError> {
    let (token, redirect) = (TOKEN.into(), "https://relight.example/callback");
    Ok(match call {
        Call::ConsumerExchange => {
            let short = consumer.exchange(&token, redirect).await?;
            Value::of_texts(short.permissions.into_iter().flatten().chain([short.token.expose_secret().to_owned()]))
        }
        Call::ConsumerExtend => Value::of_token(&consumer.extend(&token).await?),
        Call::ConsumerRenew => Value::of_token(&consumer.renew(&token).await?),
        Call::ConsumerMe => {
            let me = consumer.me(&token, None).await?;
            Value::of_texts([me.profile.instagram_id, me.profile.username].into_iter().chain(me.app_scoped_id))
        }
        Call::ConsumerMedia => Value::of_posts(consumer.media(&token, "1784", 5).await?),
        Call::BusinessExchange => Value::of_token(&business.exchange(&token, redirect).await?),
        Call::BusinessRenew => {
            let (token, ends) = business.renew(&token, DateTime::UNIX_EPOCH).await?;
            Value { instants: ends.into_iter().collect(), ..Value::of_texts([token.expose_secret().to_owned()]) }
        }
        Call::BusinessDebug => {
            let facts = business.debug(&token).await?;
            let instants = [facts.session_ends, facts.data_access_ends].into_iter().filter_map(End::at).collect();
            Value { instants, ..Value::of_texts(facts.scopes.into_iter().chain(facts.user_id)) }
        }
        Call::BusinessPermissions => Value::of_texts(business.permissions(&token).await?),
        Call::BusinessPages => {
            let granted = ["pages_show_list", "pages_read_engagement"]
                .map(|scope| Granted { scope: scope.to_owned(), target_ids: Some(vec![Target("7".to_owned())]) });
            let facts = TokenFacts {
                session_ends: End::Never,
                data_access_ends: End::Never,
                scopes: vec!["business_management".to_owned()],
                granted: granted.to_vec(),
                user_id: None,
            };
            let reached =
                commands::pages::reached(business, &token, &facts, tokio::time::Instant::now() + WITHIN).await?;
            let left_out = reached.left_out.into_iter().filter_map(|left_out| left_out.page);
            let accounts = reached.accounts.into_iter().flat_map(|account| [account.instagram_id, account.username]);
            Value::of_texts(accounts.chain(reached.without_account).chain(left_out))
        }
        Call::BusinessMedia => Value::of_posts(business.media(&token, "1784", 5).await?),
    })
}

/// An error gets a verdict from each call that may meet it, has no NUL in what is kept of it, and never shows the token.
fn judged(error: &MetaError) -> Held {
    let shown = format!("{error} {error:?}");
    prop_assert!(!shown.contains(TOKEN), "{shown}");
    let answer = error.answer();
    let message = answer.map_or("", |answer| answer.message());
    prop_assert!(!message.contains('\0'));
    let judge = failure::judge(&failure::Answer {
        status: error.status(),
        code: answer.and_then(|answer| answer.code),
        subcode: answer.and_then(|answer| answer.subcode),
        by_app: answer.is_some_and(|answer| answer.by_app),
        transient: answer.is_some_and(|answer| answer.transient),
        message,
    });
    for call in CALLS_THAT_MEET_ERRORS {
        let verdict = judge.verdict.met_by(call);
        prop_assert!(answer.is_some() || verdict.against_the_token().is_none(), "{verdict:?} without a word of Meta's");
    }
    Ok(())
}
