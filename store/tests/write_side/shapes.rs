//! The states that snapshots keep: where one changes, its number in [`store::SHAPES`] must, too.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate;
use domain::{
    Account, AccountEvent, AttemptId, Connection, Evidence, Reason, Right, Token, TokenEvent, TokenId, UserId,
    WidgetId,
    account::{NoticeKind, Plan},
    failure::Call,
    token::{DataAccess, Grant, Revocation, Way},
};
use uuid::Uuid;

fn at(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
}

fn folded<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> String {
    let mut aggregate = A::default();
    let mut states = Vec::new();
    for event in events {
        aggregate.apply(event);
        states.push(serde_json::to_string(&aggregate).expect("JSON"));
    }
    states.join("\n")
}

fn id<T>(new: fn(Uuid) -> T, number: u128) -> T {
    new(Uuid::from_u128(number))
}

#[test]
fn accounts_have_the_shape_of_their_number() {
    let (ann, ben) = (id(UserId::new, 1), id(UserId::new, 2));
    let (widget, other) = (id(WidgetId::new, 3), id(WidgetId::new, 4));
    let (token, evidence) = (id(TokenId::new, 5), Evidence::of(Call::Check, at(80)));
    let notice = AccountEvent::NoticeSent {
        user: ann,
        kind: NoticeKind::Reminder,
        cause: 7,
        days_left: Some(14),
        link: None,
        at: at(76),
    };
    let states = folded::<Account>([
        AccountEvent::Connected { connection: Connection::Consumer },
        AccountEvent::AccessGranted { user: ann, right: Right::Owner },
        AccountEvent::AccessGranted { user: ben, right: Right::Developer },
        AccountEvent::WidgetAdded { widget, plan: Plan::Free },
        AccountEvent::WidgetAdded { widget: other, plan: Plan::Upgraded },
        AccountEvent::WidgetPlanChanged { widget, from: Plan::Free, plan: Plan::Upgraded },
        AccountEvent::WidgetRemoved { widget: other, plan: Plan::Upgraded },
        notice,
        AccountEvent::PasswordChanged { token, evidence },
        AccountEvent::ConnectionChanged { from: Connection::Consumer, to: Connection::Business },
        AccountEvent::AccessRevoked { user: ben },
        AccountEvent::Disconnected,
    ]);
    assert_eq!((store::SHAPES[0], states.as_str()), (("account", 1), include_str!("shapes/account.txt").trim_end()));
}

#[test]
fn tokens_have_the_shape_of_their_number() {
    let grant = |number, day| Grant {
        token: id(TokenId::new, number),
        attempt: id(AttemptId::new, number),
        connection: Connection::Business,
        way: Way::Account,
        granted_at: at(day),
        expires_at: Some(at(day + 60)),
        data_access: Some(DataAccess { ends_at: at(day + 90), estimated: false }),
        permissions: vec!["instagram_basic".to_owned()],
    };
    let (token, evidence) = (id(TokenId::new, 2), Evidence::of(Call::Check, at(80)));
    let states = folded::<Token>([
        TokenEvent::Issued { generation: 1, grant: grant(1, 0) },
        TokenEvent::Renewed { previous: id(TokenId::new, 1), token, expires_at: Some(at(70)) },
        TokenEvent::RefreshDeclined {
            token,
            attempt: id(AttemptId::new, 9),
            way: Way::Link,
            evidence: evidence.clone(),
        },
        TokenEvent::DeadlinesMoved { token, expires_at: None, data_access: None, evidence: evidence.clone() },
        TokenEvent::DataAccessMoved {
            token,
            data_access: Some(DataAccess { ends_at: at(120), estimated: false }),
            evidence: evidence.clone(),
        },
        TokenEvent::ReadingRefused { token, evidence: evidence.clone() },
        TokenEvent::RenewalFailing { token, since: at(79), evidence: evidence.clone() },
        TokenEvent::Expired { token, reason: Reason::Checkpoint, evidence: Some(evidence.clone()) },
        TokenEvent::Restored {
            previous: token,
            token: id(TokenId::new, 4),
            expires_at: Some(at(90)),
            data_access: None,
            evidence: evidence.clone(),
        },
        TokenEvent::Expired { token: id(TokenId::new, 4), reason: Reason::PasswordChanged, evidence: Some(evidence) },
        TokenEvent::Refreshed { generation: 2, grant: grant(3, 81) },
        TokenEvent::Revoked { token: id(TokenId::new, 3), cause: Revocation::Disconnected },
    ]);
    assert_eq!((store::SHAPES[1], states.as_str()), (("token", 2), include_str!("shapes/token.txt").trim_end()));
}
