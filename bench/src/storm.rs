//! Very many tokens run out at one moment: how long until all of them are shown so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::TimeDelta;
use domain::{
    Account, AccountCommand, AccountId, AttemptId, Connection, Token, TokenCommand, TokenId, UserId,
    token::{Grant, Way},
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::accounts::{Viewer, counts};
use store::testing::{Engine, metadata};
use tests::relight::Relight;
use uuid::Uuid;

use crate::{figure::Figure, serve::memory_mib};

const WITHIN: Duration = Duration::from_mins(5);

pub(crate) async fn measure(accounts: u32) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for engine in [Engine::Postgres, Engine::Sqlite] {
        figures.extend(on(engine, accounts).await?);
    }
    Ok(figures)
}

async fn on(engine: Engine, accounts: u32) -> Result<Vec<Figure>> {
    // Nothing is called: it is about time alone.
    let relight = Relight::start_with(engine, |config| {
        config.pull.workers = 0;
        config.database.connections = 16;
    })
    .await;
    let all = stream::iter(0..accounts).map(|_| connected(&relight));
    all.buffer_unordered(256).try_collect::<Vec<()>>().await?;
    until(&relight, |[active, ..]| active == i64::from(accounts)).await?;
    let before = memory_mib(std::process::id())?;
    relight.clock.forward(TimeDelta::days(61));
    let begun = Instant::now();
    until(&relight, |[_, expired, _]| expired == i64::from(accounts)).await?;
    let took = begun.elapsed().as_secs_f64();
    let grown = memory_mib(std::process::id())? - before;
    let name = format!("{engine:?}: {accounts} tokens run out at one moment");
    Ok(vec![
        Figure::alone(format!("{name}, all shown expired"), took, "s", "≤ 30"),
        Figure::alone(format!("{name}, memory (VmRSS) grew by"), grown, "MiB", "flat"),
    ])
}

async fn connected(relight: &Relight) -> Result<()> {
    let (id, at) = (AccountId::new(Uuid::now_v7()), relight.clock.now());
    let mut unit = relight.store().unit(metadata(at));
    let connect = AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(Uuid::now_v7()) };
    unit.execute::<Account>(id, connect).await?;
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
    unit.execute::<Token>(id, TokenCommand::Accept(grant)).await?;
    unit.commit().await?;
    Ok(())
}

async fn until(relight: &Relight, is_so: impl Fn([i64; 3]) -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so(counts(relight.store().database(), Viewer::Staff).await?) {
        ensure!(begun.elapsed() < WITHIN, "the view doesn't come there in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
