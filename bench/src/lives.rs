//! A journal as long lives of accounts leave it: logins, and passwords that were changed.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountId, AttemptId, Authority, Connection, Evidence, Reason, Token, TokenCommand,
    TokenId, UserId, WidgetId,
    account::Plan,
    failure::Call,
    token::{Grant, Way},
};
use engine::Store;
use futures::{StreamExt, TryStreamExt, stream};
use store::testing::metadata;
use uuid::Uuid;

/// How many events an account has in its life.
const LIFE: u32 = 50;

/// Writes so many events: all accounts live side by side, and in each round each of them has ten events.
pub(crate) async fn write(store: &Store, events: u32) -> Result<()> {
    let accounts: Vec<_> = (0..events / LIFE).map(|_| AccountId::new(Uuid::now_v7())).collect();
    for round in 0..LIFE / 10 {
        let at = start() + TimeDelta::days(60 * i64::from(round));
        let lives = stream::iter(&accounts).map(|id| ten_events(store, *id, round == 0, at));
        lives.buffer_unordered(128).try_collect::<Vec<()>>().await?;
    }
    Ok(())
}

/// Writes one account's life of so many events.
pub(crate) async fn write_one(store: &Store, events: u32) -> Result<AccountId> {
    let id = AccountId::new(Uuid::now_v7());
    for round in 0..events / 10 {
        ten_events(store, id, round == 0, start()).await?;
    }
    Ok(id)
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default()
}

async fn ten_events(store: &Store, id: AccountId, first: bool, at: DateTime<Utc>) -> Result<()> {
    let mut unit = store.unit(metadata(at));
    let mut logins = 5;
    if first {
        let user = UserId::new(Uuid::now_v7());
        let command = AccountCommand::Connect { connection: Connection::Consumer, user };
        unit.execute::<Account>(id, command).await?;
        for plan in [Plan::Free, Plan::Upgraded] {
            let widget = WidgetId::new(Uuid::now_v7());
            let command = AccountCommand::AddWidget { widget, plan, by: Authority::Staff };
            unit.execute::<Account>(id, command).await?;
        }
        logins = 3;
    }
    let mut current = unit.load::<Token>(id).await?.current().map(|current| current.id);
    for _ in 0..logins {
        let grant = grant(at);
        let token = grant.token;
        unit.execute::<Token>(id, TokenCommand::Accept { grant, instead_of: current.replace(token) }).await?;
        let evidence = Evidence { code: Some(190), subcode: Some(460), ..Evidence::of(Call::Pull, at) };
        let report = TokenCommand::ReportFailure { token, reason: Reason::PasswordChanged, evidence };
        unit.execute::<Token>(id, report).await?;
    }
    unit.commit().await?;
    Ok(())
}

/// A login's grant.
pub(crate) fn grant(at: DateTime<Utc>) -> Grant {
    Grant {
        token: TokenId::new(Uuid::now_v7()),
        attempt: AttemptId::new(Uuid::now_v7()),
        connection: Connection::Consumer,
        way: Way::Account,
        granted_at: at,
        expires_at: Some(at + TimeDelta::days(60)),
        data_access: None,
        permissions: vec!["instagram_business_basic".to_owned()],
    }
}
