//! Very many accounts, connected without a login.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use commands::Commands;
use domain::{
    Account, AccountCommand, AccountId, AttemptId, Connection, Token, TokenCommand, TokenId, UserId,
    token::{Grant, Way},
};
use engine::sql;
use futures::{StreamExt, stream};
use projections::accounts::{Viewer, counts};
use secrecy::SecretString;
use store::testing::metadata;
use uuid::Uuid;

use crate::relight::Relight;

impl Relight {
    /// Connects so many accounts at this moment, by the store alone, for 60 days, all with this token; returns when the view
    /// shows them.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn connect_crowd(&self, accounts: u32, token: &str) {
        let (at, token) = (self.clock.now(), token.into());
        let all = stream::iter(0..accounts).map(|_| connect(self.commands(), at, &token));
        all.buffer_unordered(256).collect::<Vec<()>>().await;
        engine::testing::until("the view of all", async || self.counts().await[0] >= i64::from(accounts)).await;
    }

    /// How each account is shown: `active`, `expired`, `disconnected`.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn statuses(&self) -> BTreeMap<String, String> {
        let rows: Vec<(String, String)> = sql("SELECT account_id, status FROM account_status_v1")
            .fetch_all(self.store().database())
            .await
            .expect("there");
        rows.into_iter().collect()
    }

    /// What is due for an account, and what was told against it: to understand a failure.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn work_of(&self, account: &str) -> String {
        let id = account.parse().expect("an id");
        let waiting = projections::jobs::waiting_for(self.store().database(), id, 20).await.expect("read");
        let held: Vec<(String, i64)> = sql("SELECT reason, failures FROM verdicts WHERE account_id = $1")
            .bind(account)
            .fetch_all(self.store().database())
            .await
            .expect("read");
        let journal = self.journal(account).await;
        let events: Vec<_> = journal.iter().map(|event| format!("{} {}", event.at, event.payload)).collect();
        format!("now {}, {waiting:#?}, held {held:?}, {events:#?}", self.clock.now())
    }

    /// Forgets the mails that were over before a time; how many mails and notices there are then.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn told_and_forgotten(&self, before: DateTime<Utc>) -> [i64; 2] {
        self.commands().forget_told(before).await.expect("forgotten");
        let (mails, notices) = sql("SELECT (SELECT count(*) FROM mails), (SELECT count(*) FROM notices)")
            .fetch_one(self.store().database())
            .await
            .expect("counted");
        [mails, notices]
    }

    /// What an account is called.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn username(&self, account: &str) -> String {
        sql("SELECT username FROM profiles WHERE account_id = $1")
            .bind(account)
            .scalar(self.store().database())
            .await
            .expect("there")
    }

    /// Whether something is held against a token that will be looked at again soon.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn is_looking_again(&self) -> bool {
        let open = self.commands().open_incidents().await.expect("read");
        open.is_empty() && self.commands().held().await.expect("counted") > 0
    }

    /// Whether mails about what just happened still wait for more that would go into them.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn is_gathering_mail(&self) -> bool {
        const SOON: &str = "SELECT count(*) FROM jobs WHERE kind = 'notify' AND due_at <= $1";
        let soon = self.clock.now() + TimeDelta::minutes(2);
        sql(SOON).bind(soon).scalar::<i64>(self.store().database()).await.expect("counted") > 0
    }

    /// How many accounts the view shows as active, expired, not connected.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn counts(&self) -> [i64; 3] {
        counts(self.store().database(), Viewer::Staff).await.expect("counted")
    }
}

async fn connect(commands: &Commands, at: DateTime<Utc>, token: &SecretString) {
    let id = AccountId::new(Uuid::now_v7());
    let mut unit = commands.store.unit(metadata(at));
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
    unit.write(commands.vault.keep(id, grant.token, token, at).expect("sealed"));
    unit.execute::<Token>(id, TokenCommand::Accept { grant, instead_of: None }).await.expect("accepted");
    unit.commit().await.expect("committed");
}
