//! What the tests of the read side share: things that happen to accounts, and what the views show of them.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountId, AttemptId, Authority, Connection, Evidence, Reason, Right, Token, TokenCommand,
    TokenId, UserId, WidgetId,
    account::Plan,
    failure::Call,
    token::{Grant, Revocation, Way},
};
use engine::{Registry, Store, sql};
use store::Metadata;
use store::testing;
use uuid::Uuid;

pub(crate) fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time") + TimeDelta::minutes(minutes)
}

pub(crate) fn metadata(minutes: i64) -> Metadata {
    testing::metadata(at(minutes))
}

pub(crate) fn grant(minutes: i64, instead_of: Option<TokenId>) -> TokenCommand {
    let grant = Grant {
        token: TokenId::new(Uuid::now_v7()),
        attempt: AttemptId::new(Uuid::now_v7()),
        connection: Connection::Consumer,
        way: Way::Connect,
        granted_at: at(minutes),
        expires_at: Some(at(minutes) + TimeDelta::days(60)),
        data_access: None,
        permissions: vec!["instagram_business_basic".to_owned()],
    };
    TokenCommand::Accept { grant, instead_of }
}

/// Lets something happen to an account: `choice` chooses what.
pub(crate) async fn happen(store: &Store, id: AccountId, minutes: i64, choice: u32) {
    let mut unit = store.unit(metadata(minutes));
    let account: Account = unit.load(id).await.expect("loads");
    let token: Token = unit.load(id).await.expect("loads");
    let user = UserId::new(Uuid::from_u128(u128::from(choice % 3) + 1));
    let by = Authority::Staff;
    let widget = account.widgets().keys().nth(choice as usize % 3).copied();
    let command = match (choice % 10, widget) {
        (0, _) => Some(AccountCommand::Connect { connection: Connection::Consumer, user }),
        (1, _) => Some(AccountCommand::GrantAccess { user, right: Right::Developer, by }),
        (2, _) => Some(AccountCommand::RevokeAccess { user, by }),
        (3, Some(widget)) => Some(AccountCommand::RemoveWidget { widget, by }),
        (4, Some(widget)) => Some(AccountCommand::ChangeWidgetPlan { widget, plan: Plan::Upgraded, by }),
        (5, Some(widget)) => Some(AccountCommand::ChangeWidgetPlan { widget, plan: Plan::Free, by }),
        (6, _) if choice % 70 == 6 => Some(AccountCommand::Disconnect { by }),
        (6..=9, _) => None,
        _ => Some(AccountCommand::AddWidget { widget: WidgetId::new(Uuid::now_v7()), plan: Plan::Free, by }),
    };
    let disconnects = matches!(command, Some(AccountCommand::Disconnect { .. }));
    // What the domain refuses doesn't happen.
    match command {
        Some(command) => drop(unit.execute::<Account>(id, command).await),
        None if choice % 10 == 7 => {
            if let Some(current) = token.active() {
                let evidence = Evidence::of(Call::Pull, at(minutes));
                let command = TokenCommand::ReportFailure { token: current.id, reason: Reason::AppRemoved, evidence };
                drop(unit.execute::<Token>(id, command).await);
            }
        }
        None => {
            let current = token.current().map(|current| current.id);
            drop(unit.execute::<Token>(id, grant(minutes, current)).await);
        }
    }
    if disconnects {
        drop(unit.execute::<Token>(id, TokenCommand::Revoke(Revocation::Disconnected)).await);
    }
    drop(unit.commit().await);
}

pub(crate) const TABLES: [(&str, &str); 6] = [
    ("account_status_v1", "account_id"),
    ("account_rights_v1", "account_id, user_id"),
    ("widgets_v1", "widget_id"),
    ("account_counts_v1", "status"),
    ("widget_counts_v1", "account_id"),
    ("jobs", "kind, key"),
];

/// All views' rows as text.
pub(crate) async fn views(store: &Store) -> String {
    let mut all = String::new();
    for (table, order) in TABLES {
        let rows = engine::testing::rows(store.database(), table, order).await;
        all.extend([table.to_owned()].into_iter().chain(rows).map(|line| line + "\n"));
    }
    all
}

/// The views, with the times at which things are due by default.
pub(crate) fn registry() -> Registry {
    projections::registry(domain::schedule::Schedule::default())
}

pub(crate) async fn do_sql(store: &Store, text: &str) {
    let mut tx = store.database().begin().await.expect("begins");
    sql(text.to_owned()).execute(&mut tx).await.expect(text);
    tx.commit().await.expect("commits");
}

pub(crate) async fn until_all_follow(store: &Store) {
    let head = store.head().await.expect("a head");
    let all_are_there = async || {
        let states = registry().states(store).await.expect("states");
        let all = states.len() == 2 && states.iter().all(|state| state.position == head);
        if all { Ok(()) } else { Err(format!("{states:?} and not {head}")) }
    };
    engine::testing::found("the views", all_are_there).await;
}
