//! Group append: units that share a commit, and what each of them is told.

use std::collections::{BTreeMap, HashSet};

use chrono::DateTime;
use domain::{
    Account, AccountCommand, AccountError, AccountId, Authority, Connection, UserId, WidgetId, account::Plan,
};
use engine::{CommitError, Decision, ExecuteError, Store, StoreError, Unit, on_both_engines, sql};
use futures::future::join_all;
use store::Metadata;
use store::testing::{self, TestDatabase};
use uuid::Uuid;

fn account() -> AccountId {
    AccountId::new(Uuid::now_v7())
}

fn metadata() -> Metadata {
    testing::metadata(DateTime::from_timestamp(1_790_000_000, 0).expect("a time"))
}

fn connect() -> AccountCommand {
    AccountCommand::Connect { connection: Connection::Consumer, user: UserId::new(Uuid::from_u128(1)) }
}

fn widget() -> WidgetId {
    WidgetId::new(Uuid::now_v7())
}

fn add(widget: WidgetId) -> AccountCommand {
    AccountCommand::AddWidget { widget, plan: Plan::Free, by: Authority::Staff }
}

async fn unit(store: &Store, id: AccountId, command: AccountCommand) -> Unit {
    let mut unit = store.unit(metadata());
    unit.execute::<Account>(id, command).await.expect("decides");
    unit
}

async fn connected(store: &Store) -> AccountId {
    let id = account();
    unit(store, id, connect()).await.commit().await.expect("commits");
    id
}

/// Gives one command to one account, as a use case does.
struct Give(AccountId, AccountCommand);

impl Decision for Give {
    type Output = Result<(), AccountError>;
    type Error = StoreError;

    async fn decide(&self, unit: &mut Unit) -> Result<Result<(), AccountError>, StoreError> {
        match unit.execute::<Account>(self.0, self.1.clone()).await {
            Ok(()) => Ok(Ok(())),
            Err(ExecuteError::Rule(rule)) => Ok(Err(rule)),
            Err(ExecuteError::Store(error)) => Err(error),
        }
    }
}

/// How many events each account has; the sequences have no gap.
async fn streams(store: &Store) -> BTreeMap<String, i64> {
    let mut streams = BTreeMap::new();
    for event in store.events_after(0, 100_000).await.expect("reads") {
        let last = streams.entry(event.aggregate_id).or_insert(0);
        assert_eq!(event.sequence, *last + 1, "a gap in a stream");
        *last = event.sequence;
    }
    streams
}

on_both_engines! {
    async fn each_unit_is_told_its_own_position(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let commits = (0..300).map(|_| async {
            let id = account();
            (id, unit(&store, id, connect()).await.commit().await.expect("commits").position.expect("a position"))
        });
        let told: BTreeMap<_, _> = join_all(commits).await.into_iter().collect();
        let mut last = BTreeMap::new();
        let mut positions = Vec::new();
        for event in store.events_after(0, 10_000).await.expect("reads") {
            positions.push(event.position);
            last.insert(store::account(&event).expect("an id"), event.position);
        }
        assert_eq!(told, last);
        assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
    }

    async fn of_rivals_one_wins_and_nobody_else_notices(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let contested = connected(&store).await;
        let mut units = Vec::new();
        for _ in 0..10 {
            units.push(unit(&store, contested, add(widget())).await);
            units.push(unit(&store, account(), connect()).await);
        }
        let answers = join_all(units.into_iter().map(Unit::commit)).await;
        let (rivals, others): (Vec<_>, Vec<_>) = answers.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
        assert!(others.iter().all(|(_, answer)| answer.is_ok()));
        assert_eq!(rivals.iter().filter(|(_, answer)| answer.is_ok()).count(), 1);
        assert!(rivals.iter().all(|(_, answer)| matches!(answer, Ok(_) | Err(CommitError::Conflict))));
        assert_eq!(streams(&store).await[&contested.to_string()], 3);
    }

    async fn of_nodes_that_meet_on_a_stream_each_gets_through(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let nodes = [database.store().await, database.store().await];
        let contested = connected(&nodes[0]).await;
        let gives = (0..8).map(|number| {
            let store = nodes[number % 2].clone();
            tokio::spawn(async move {
                let mut given = 0;
                while given < 5 {
                    match store.run(&metadata(), &Give(contested, add(widget()))).await {
                        Ok((decided, _)) => {
                            decided.expect("allowed");
                            given += 1;
                        }
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        for give in gives.collect::<Vec<_>>() {
            give.await.expect("no panic");
        }
        assert_eq!(streams(&nodes[0]).await[&contested.to_string()], 2 + 8 * 5);
    }

    async fn a_hot_aggregate_that_is_stale_misleads_nobody(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let (here, there) = (database.store().await, database.store().await);
        let id = connected(&here).await;
        let widget = widget();
        here.run(&metadata(), &Give(id, add(widget))).await.expect("runs").0.expect("added");
        let remove = AccountCommand::RemoveWidget { widget, by: Authority::Staff };
        there.run(&metadata(), &Give(id, remove.clone())).await.expect("runs").0.expect("removed");
        // Here the widget is still there: nothing would be to do, or something that there is no more.
        let added = here.run(&metadata(), &Give(id, add(widget))).await.expect("runs").0;
        assert_eq!(added, Err(AccountError::WidgetWasRemoved));
        there.run(&metadata(), &Give(id, add(self::widget()))).await.expect("runs").0.expect("added");
        here.run(&metadata(), &Give(id, add(self::widget()))).await.expect("runs").0.expect("added after a conflict");
        let state: Account = here.unit(metadata()).load(id).await.expect("loads");
        assert_eq!(state.widgets().len(), 2);
    }

    async fn a_caller_that_goes_away_neither_loses_nor_doubles_anything(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let mut kept = HashSet::new();
        for round in 0..20 {
            let calls: Vec<_> = (0..20)
                .map(|_| {
                    let (store, id) = (store.clone(), account());
                    let call = tokio::spawn(async move { unit(&store, id, connect()).await.commit().await });
                    (id, call)
                })
                .collect();
            // At other moments in each round.
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            for (index, (id, call)) in calls.into_iter().enumerate() {
                if index % 2 == 0 {
                    call.abort();
                } else {
                    call.await.expect("not aborted").expect("commits");
                    kept.insert(id.to_string());
                }
            }
        }
        // One more goes through after all that was handed over before.
        connected(&store).await;
        let streams = streams(&store).await;
        assert!(kept.iter().all(|id| streams.contains_key(id)), "an answered unit is lost");
        assert!(streams.values().all(|events| *events == 2), "a unit is there in part or twice");
    }

    async fn when_too_much_waits_callers_hear_so_and_nothing_is_lost(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let mut units = Vec::new();
        for _ in 0..5_000 {
            units.push(unit(&store, account(), connect()).await);
        }
        // Somebody keeps the database from writing for a while.
        let mut slow = store.database().begin().await.expect("begins");
        if store.database().is_shared() {
            sql("LOCK TABLE events IN EXCLUSIVE MODE").execute(&mut slow).await.expect("locked");
        }
        let commits: Vec<_> = units.into_iter().map(|unit| tokio::spawn(unit.commit())).collect();
        while !commits.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        drop(slow);
        let mut committed = 0;
        for commit in commits {
            match commit.await.expect("no panic") {
                Ok(_) => committed += 1,
                Err(error) => assert!(matches!(error, CommitError::Busy), "{error}"),
            }
        }
        assert!((4_000..5_000).contains(&committed), "{committed}");
        assert_eq!(streams(&store).await.len(), committed);
    }

    async fn a_unit_that_the_database_refuses_fails_alone(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let mut units = Vec::new();
        for _ in 0..5 {
            units.push(unit(&store, account(), connect()).await);
        }
        let mut odd = unit(&store, account(), connect()).await;
        odd.write(sql("INSERT INTO there_is_no_such_table VALUES ($1)").bind("x"));
        units.insert(2, odd);
        let mut guarded = unit(&store, account(), connect()).await;
        guarded.write(sql("UPDATE vault SET key_id = $1 WHERE account_id = 'nobody'").bind("x").guarded());
        units.insert(4, guarded);
        let answers = join_all(units.into_iter().map(Unit::commit)).await;
        assert!(matches!(answers[2], Err(CommitError::Database(_))), "{:?}", answers[2]);
        assert!(matches!(answers[4], Err(CommitError::Refused)), "{:?}", answers[4]);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
        assert_eq!(streams(&store).await.len(), 5);
    }
}
