use std::collections::BTreeMap;

use chrono::DateTime;
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::{AccountCommand as Command, AccountError as Error, AccountEvent as Event, *};
use crate::{Authority, Connection, Evidence, Right, TokenId, UserId, WidgetId, failure::Call};

type Accounts = TestFramework<Account>;

const ANN: UserId = UserId::new(Uuid::from_u128(1));
const BEN: UserId = UserId::new(Uuid::from_u128(2));
const WIDGET: WidgetId = WidgetId::new(Uuid::from_u128(7));

fn connected() -> Vec<Event> {
    vec![Event::Connected { connection: Connection::Business }, Event::AccessGranted { user: ANN, right: Right::Owner }]
}

/// What `command` leads to after the account was connected by Ann and `events` happened.
fn after(events: impl IntoIterator<Item = Event>, command: Command) -> Result<Vec<Event>, Error> {
    let history: Vec<_> = connected().into_iter().chain(events).collect();
    Accounts::with(()).given(history).when(command).inspect_result()
}

fn connect(user: UserId, connection: Connection) -> Command {
    Command::Connect { connection, user }
}

fn developer(user: UserId) -> Event {
    Event::AccessGranted { user, right: Right::Developer }
}

fn added() -> Event {
    Event::WidgetAdded { widget: WIDGET, plan: Plan::Free }
}

fn add(by: Authority) -> Command {
    Command::AddWidget { widget: WIDGET, plan: Plan::Free, by }
}

#[test]
fn who_connects_first_is_the_owner_and_the_next_a_developer() {
    Accounts::with(())
        .given_no_previous_events()
        .when(connect(ANN, Connection::Business))
        .then_expect_events(connected());
    assert_eq!(after([], connect(BEN, Connection::Business)), Ok(vec![developer(BEN)]));
}

#[test]
fn connecting_a_connected_account_again_changes_nothing() {
    assert_eq!(after([], connect(ANN, Connection::Business)), Ok(vec![]));
}

#[test]
fn the_other_login_never_switches_by_itself() {
    let refused = Err(Error::OtherConnection { uses: Connection::Business });
    assert_eq!(after([], connect(ANN, Connection::Consumer)), refused);
    assert_eq!(after([], Command::ConfirmConnection { connection: Connection::Consumer }), refused);
    assert_eq!(after([], Command::ConfirmConnection { connection: Connection::Business }), Ok(vec![]));
}

#[test]
fn a_public_way_knows_neither_strangers_nor_disconnected_accounts() {
    let confirm = Command::ConfirmConnection { connection: Connection::Business };
    Accounts::with(()).given_no_previous_events().when(confirm.clone()).then_expect_error(Error::Missing);
    assert_eq!(after([Event::Disconnected], confirm), Err(Error::Disconnected));
}

#[test]
fn an_owner_switches_the_connection_and_nobody_else() {
    let switch = |by| Command::SwitchConnection { to: Connection::Consumer, by };
    let changed = Event::ConnectionChanged { from: Connection::Business, to: Connection::Consumer };
    assert_eq!(after([], switch(Authority::User(ANN))), Ok(vec![changed.clone()]));
    assert_eq!(after([], switch(Authority::Staff)), Ok(vec![changed.clone()]));
    assert_eq!(after([changed], switch(Authority::User(ANN))), Ok(vec![]));
    assert_eq!(after([developer(BEN)], switch(Authority::User(BEN))), Err(Error::NotOwner));
    assert_eq!(after([], switch(Authority::User(BEN))), Err(Error::NoRight));
    assert_eq!(after([Event::Disconnected], switch(Authority::User(ANN))), Err(Error::Disconnected));
}

#[test]
fn only_an_owner_or_staff_promotes() {
    let promote = |by| Command::GrantAccess { user: BEN, right: Right::Owner, by };
    let promoted = Event::AccessGranted { user: BEN, right: Right::Owner };
    assert_eq!(after([developer(BEN)], promote(Authority::User(ANN))), Ok(vec![promoted.clone()]));
    assert_eq!(after([developer(BEN)], promote(Authority::Staff)), Ok(vec![promoted.clone()]));
    assert_eq!(after([developer(BEN)], promote(Authority::User(BEN))), Err(Error::NotOwner));
    assert_eq!(after([promoted], promote(Authority::User(ANN))), Ok(vec![]));
}

#[test]
fn an_owner_revokes_and_everybody_may_leave() {
    let revoke = |user, by| Command::RevokeAccess { user, by: Authority::User(by) };
    let gone = |user| Ok(vec![Event::AccessRevoked { user }]);
    assert_eq!(after([developer(BEN)], revoke(BEN, ANN)), gone(BEN));
    assert_eq!(after([developer(BEN)], revoke(BEN, BEN)), gone(BEN));
    assert_eq!(after([developer(BEN)], revoke(ANN, BEN)), Err(Error::NotOwner));
    assert_eq!(after([], revoke(BEN, ANN)), Ok(vec![]));
}

#[test]
fn the_last_owner_stays_while_others_have_access() {
    let leave = Command::RevokeAccess { user: ANN, by: Authority::User(ANN) };
    let demote = Command::GrantAccess { user: ANN, right: Right::Developer, by: Authority::User(ANN) };
    assert_eq!(after([developer(BEN)], leave.clone()), Err(Error::LastOwner));
    assert_eq!(after([developer(BEN)], demote), Err(Error::LastOwner));
    assert_eq!(after([], leave.clone()), Ok(vec![Event::AccessRevoked { user: ANN }]));
    let second = Event::AccessGranted { user: BEN, right: Right::Owner };
    assert_eq!(after([second], leave), Ok(vec![Event::AccessRevoked { user: ANN }]));
}

#[test]
fn widgets_need_a_right_and_adding_one_again_changes_nothing() {
    assert_eq!(after([], add(Authority::User(ANN))), Ok(vec![added()]));
    assert_eq!(after([], add(Authority::Staff)), Ok(vec![added()]));
    assert_eq!(after([], add(Authority::User(BEN))), Err(Error::NoRight));
    assert_eq!(after([added()], add(Authority::User(ANN))), Ok(vec![]));
}

#[test]
fn a_widgets_plan_changes_once() {
    let change = Command::ChangeWidgetPlan { widget: WIDGET, plan: Plan::Upgraded, by: Authority::User(ANN) };
    let changed = Event::WidgetPlanChanged { widget: WIDGET, from: Plan::Free, plan: Plan::Upgraded };
    assert_eq!(after([added()], change.clone()), Ok(vec![changed.clone()]));
    assert_eq!(after([added(), changed], change.clone()), Ok(vec![]));
    assert_eq!(after([], change), Err(Error::NoWidget));
}

#[test]
fn a_removed_widget_does_not_come_back() {
    let remove = Command::RemoveWidget { widget: WIDGET, by: Authority::User(ANN) };
    let removed = Event::WidgetRemoved { widget: WIDGET, plan: Plan::Free };
    assert_eq!(after([added()], remove.clone()), Ok(vec![removed.clone()]));
    assert_eq!(after([added(), removed.clone()], remove.clone()), Ok(vec![]));
    assert_eq!(after([], remove), Err(Error::NoWidget));
    assert_eq!(after([added(), removed], add(Authority::User(ANN))), Err(Error::WidgetWasRemoved));
}

#[test]
fn widgets_are_bounded() {
    let many = (100..1_100).map(|n| Event::WidgetAdded { widget: WidgetId::new(Uuid::from_u128(n)), plan: Plan::Free });
    assert_eq!(after(many, add(Authority::Staff)), Err(Error::TooManyWidgets { limit: 1_000 }));
}

#[test]
fn a_disconnected_account_keeps_widgets_and_rights_for_its_return() {
    let disconnect = |by| Command::Disconnect { by };
    assert_eq!(after([], disconnect(Authority::User(ANN))), Ok(vec![Event::Disconnected]));
    assert_eq!(after([Event::Disconnected], disconnect(Authority::User(ANN))), Ok(vec![]));
    assert_eq!(after([developer(BEN)], disconnect(Authority::User(BEN))), Err(Error::NotOwner));
    let again = after([added(), Event::Disconnected], connect(ANN, Connection::Consumer));
    assert_eq!(again, Ok(vec![Event::Connected { connection: Connection::Consumer }]));
    let change = Command::ChangeWidgetPlan { widget: WIDGET, plan: Plan::Free, by: Authority::User(ANN) };
    let back = [added(), Event::Disconnected, Event::Connected { connection: Connection::Consumer }];
    assert_eq!(after(back, change), Ok(vec![]));
}

#[test]
fn a_password_change_is_recorded_once_a_token() {
    let token = TokenId::new(Uuid::from_u128(5));
    let evidence = Evidence { code: Some(190), subcode: Some(460), ..Evidence::of(Call::Check, DateTime::UNIX_EPOCH) };
    let record = Command::RecordPasswordChange { token, evidence: evidence.clone() };
    let changed = Event::PasswordChanged { token, evidence };
    assert_eq!(after([], record.clone()), Ok(vec![changed.clone()]));
    assert_eq!(after([changed], record), Ok(vec![]));
}

#[test]
fn a_notice_is_recorded_once_a_person_and_cause() {
    let (at, kind, link) = (DateTime::UNIX_EPOCH, NoticeKind::Reminder, None);
    let record = |cause, days_left| Command::RecordNotice { user: ANN, kind, cause, days_left, link, at };
    let sent = Event::NoticeSent { user: ANN, kind, cause: 9, days_left: Some(7), link, at };
    assert_eq!(after([], record(9, Some(7))), Ok(vec![sent.clone()]));
    assert_eq!(after([sent.clone()], record(9, Some(7))), Ok(vec![]));
    assert_eq!(after([sent.clone()], record(9, Some(1))).map(|events| events.len()), Ok(1));
    assert_eq!(after([sent], record(10, Some(7))).map(|events| events.len()), Ok(1));
}

#[test]
fn an_older_or_repeated_deauthorization_is_quiet() {
    let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
    let record = |seconds| Command::RecordDeauthorization { issued_at: at(seconds) };
    let deauthorized = Event::Deauthorized { issued_at: at(10) };
    assert_eq!(after([], record(10)), Ok(vec![deauthorized.clone()]));
    assert_eq!(after([deauthorized.clone()], record(10)), Ok(vec![]));
    assert_eq!(after([deauthorized], record(9)), Ok(vec![]));
}

#[test]
fn an_erased_account_is_gone_for_everybody() {
    assert_eq!(after([], Command::RequestErasure), Ok(vec![Event::ErasureRequested]));
    assert_eq!(after([Event::ErasureRequested], Command::RequestErasure), Ok(vec![]));
    let receipt = BTreeMap::from([("profiles".to_owned(), 1)]);
    let record = Command::RecordErasure { receipt: receipt.clone() };
    let gone = Event::Erased { receipt };
    assert_eq!(after([Event::ErasureRequested], record.clone()), Ok(vec![gone.clone()]));
    let erased = [Event::ErasureRequested, gone];
    assert_eq!(after(erased.clone(), record), Ok(vec![]));
    assert_eq!(after(erased.clone(), connect(ANN, Connection::Business)), Err(Error::Missing));
    assert_eq!(after(erased, add(Authority::Staff)), Err(Error::Missing));
}
