//! Very many accounts, connected without a login.

use chrono::TimeDelta;
use domain::{
    Account, AccountCommand, AccountId, AttemptId, Connection, Token, TokenCommand, TokenId, UserId,
    token::{Grant, Way},
};
use futures::{StreamExt, stream};
use projections::accounts::{Viewer, counts};
use store::{Store, testing::metadata};
use uuid::Uuid;

use crate::relight::Relight;

impl Relight {
    /// Connects so many accounts at this moment, by the store alone, with tokens for 60 days that no Meta knows; returns
    /// when the view shows them.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn connect_crowd(&self, accounts: u32) {
        let at = self.clock.now();
        let all = stream::iter(0..accounts).map(|_| connect(self.store(), at));
        all.buffer_unordered(256).collect::<Vec<()>>().await;
        while self.counts().await[0] < i64::from(accounts) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// How many accounts the view shows as active, expired, not connected.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn counts(&self) -> [i64; 3] {
        counts(self.store().database(), Viewer::Staff).await.expect("counted")
    }
}

async fn connect(store: &Store, at: chrono::DateTime<chrono::Utc>) {
    let id = AccountId::new(Uuid::now_v7());
    let mut unit = store.unit(metadata(at));
    let connect = AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(Uuid::now_v7()) };
    unit.execute::<Account>(id, connect).await.expect("connected");
    let grant = Grant {
        token: TokenId::new(Uuid::now_v7()),
        attempt: AttemptId::new(Uuid::now_v7()),
        connection: Connection::Consumer,
        way: Way::Connect,
        granted_at: at,
        expires_at: Some(at + TimeDelta::days(60)),
        data_access: None,
        permissions: vec!["instagram_business_basic".to_owned()],
    };
    unit.execute::<Token>(id, TokenCommand::Accept(grant)).await.expect("accepted");
    unit.commit().await.expect("committed");
}
