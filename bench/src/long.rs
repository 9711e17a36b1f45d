//! A command on an account with a long story, beside one with a short one: hot, and loaded by a node that knows neither.

use std::time::{Duration, Instant};

use anyhow::Result;
use domain::{Account, AccountCommand, AccountId, Authority, Connection, UserId, WidgetId, account::Plan};
use engine::{Database, Options, Store, sql, testing::Engine};
use store::testing::TestDatabase;
use uuid::Uuid;

use crate::{
    append::metadata,
    bench::Bench,
    figure::{Figure, median, number},
};

/// So many events the long story has.
const LONG: u32 = 100_000;
/// So many at once.
const AT_ONCE: u32 = 1_000;
/// So many commands each are timed.
const TIMED: u32 = 300;

/// An account whose widget changes its plan to and fro.
struct Story {
    account: AccountId,
    widget: WidgetId,
    is_upgraded: bool,
}

impl Story {
    async fn begin(store: &Store) -> Result<Self> {
        let new =
            Self { account: AccountId::new(Uuid::now_v7()), widget: WidgetId::new(Uuid::now_v7()), is_upgraded: false };
        let mut unit = store.unit(metadata());
        let connect = AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(Uuid::now_v7()) };
        unit.execute::<Account>(new.account, connect).await?;
        let add = AccountCommand::AddWidget { widget: new.widget, plan: Plan::Free, by: Authority::Staff };
        unit.execute::<Account>(new.account, add).await?;
        unit.commit().await?;
        Ok(new)
    }

    /// Changes it so often, in one commit.
    async fn change(&mut self, store: &Store, times: u32) -> Result<()> {
        let mut unit = store.unit(metadata());
        for _ in 0..times {
            self.is_upgraded = !self.is_upgraded;
            let plan = if self.is_upgraded { Plan::Upgraded } else { Plan::Free };
            let change = AccountCommand::ChangeWidgetPlan { widget: self.widget, plan, by: Authority::Staff };
            unit.execute::<Account>(self.account, change).await?;
        }
        unit.commit().await?;
        Ok(())
    }
}

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let database = TestDatabase::new(engine).await;
    let opened = Database::open(database.url(), Options::default()).await?;
    let store = store::of(opened.clone());
    let (mut short, mut long) = (Story::begin(&store).await?, Story::begin(&store).await?);
    let events = bench.size(LONG);
    for _ in 0..events / AT_ONCE {
        long.change(&store, AT_ONCE).await?;
    }
    if let Database::Postgres(_) = opened {
        sql("ANALYZE").execute(&opened).await?;
    }
    let events = number(f64::from(events));
    let hot = in_turns(&mut short, &mut long, || store.clone()).await?;
    let name = format!("a command on a stream of {events} events, median latency, beside a short one");
    bench.figure(Figure::alone(name, hot[1], "ms", "ratio ≤ 1.2").beside(hot[0]));
    let cold = in_turns(&mut short, &mut long, || store::of(opened.clone())).await?;
    let name = format!("the same by a node that knows neither stream yet, {events} events beside a short one");
    bench.figure(Figure::alone(name, cold[1], "ms", "").beside(cold[0]).in_table());
    Ok(())
}

/// The median milliseconds of a command on each.
async fn in_turns(short: &mut Story, long: &mut Story, store: impl Fn() -> Store) -> Result<[f64; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..TIMED {
        for (story, took) in [&mut *short, &mut *long].into_iter().zip(&mut took) {
            let store = store();
            let begun = Instant::now();
            story.change(&store, 1).await?;
            took.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        // The writer's other work, such as a snapshot, is no part of the next command.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(took.map(median))
}
