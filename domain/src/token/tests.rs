use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::{AttemptId, Connection, Evidence, Reason, TokenId, failure::Call};

type Tokens = TestFramework<Token>;

fn at(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
}

fn token(n: u128) -> TokenId {
    TokenId::new(Uuid::from_u128(n))
}

fn grant(n: u128, day: i64) -> Grant {
    Grant {
        token: token(n),
        attempt: AttemptId::new(Uuid::from_u128(n)),
        connection: Connection::Business,
        way: Way::Account,
        granted_at: at(day),
        expires_at: Some(at(day + 60)),
        data_access: Some(DataAccess { ends_at: at(day + 90), estimated: false }),
        permissions: vec!["instagram_basic".to_owned()],
    }
}

fn accept(grant: Grant, instead_of: Option<u128>) -> TokenCommand {
    TokenCommand::Accept { grant, instead_of: instead_of.map(token) }
}

fn issued(n: u128, day: i64) -> TokenEvent {
    TokenEvent::Issued { generation: 1, grant: grant(n, day) }
}

fn evidence() -> Evidence {
    Evidence { code: Some(190), subcode: Some(460), ..Evidence::of(Call::Pull, at(5)) }
}

fn failure(n: u128) -> TokenCommand {
    TokenCommand::ReportFailure { token: token(n), reason: Reason::PasswordChanged, evidence: evidence() }
}

fn expired(n: u128) -> TokenEvent {
    TokenEvent::Expired { token: token(n), reason: Reason::PasswordChanged, evidence: Some(evidence()) }
}

#[test]
fn the_first_grant_issues_a_token() {
    Tokens::with(()).given_no_previous_events().when(accept(grant(1, 0), None)).then_expect_events(vec![issued(1, 0)]);
}

#[test]
fn a_grant_for_a_connected_account_is_a_refresh_and_a_new_generation() {
    for before in [vec![issued(1, 0)], vec![issued(1, 0), expired(1)]] {
        Tokens::with(())
            .given(before)
            .when(accept(grant(2, 9), Some(1)))
            .then_expect_events(vec![TokenEvent::Refreshed { generation: 2, grant: grant(2, 9) }]);
    }
}

#[test]
fn the_same_grant_again_changes_nothing() {
    let refreshed = TokenEvent::Refreshed { generation: 2, grant: grant(2, 9) };
    for again in [grant(1, 0), grant(2, 9), Grant { token: token(77), ..grant(2, 9) }] {
        Tokens::with(())
            .given(vec![issued(1, 0), refreshed.clone()])
            .when(accept(again, Some(1)))
            .then_expect_events(vec![]);
    }
}

#[test]
fn a_grant_that_has_run_out_is_refused() {
    let grant = Grant { expires_at: Some(at(0)), ..grant(1, 0) };
    Tokens::with(()).given_no_previous_events().when(accept(grant, None)).then_expect_error(TokenError::GrantRanOut);
}

#[test]
fn a_failure_of_the_current_token_expires_it_once() {
    Tokens::with(()).given(vec![issued(1, 0)]).when(failure(1)).then_expect_events(vec![expired(1)]);
    Tokens::with(()).given(vec![issued(1, 0), expired(1)]).when(failure(1)).then_expect_events(vec![]);
}

#[test]
fn a_late_failure_of_an_old_token_changes_nothing() {
    let refreshed = TokenEvent::Refreshed { generation: 2, grant: grant(2, 9) };
    Tokens::with(()).given(vec![issued(1, 0), refreshed]).when(failure(1)).then_expect_events(vec![]);
    let renewed = TokenEvent::Renewed { previous: token(1), token: token(2), expires_at: Some(at(100)) };
    Tokens::with(()).given(vec![issued(1, 0), renewed]).when(failure(1)).then_expect_events(vec![]);
}

fn renewal(previous: u128) -> TokenCommand {
    TokenCommand::RecordRenewal { previous: token(previous), token: token(9), expires_at: Some(at(100)), at: at(40) }
}

#[test]
fn a_renewal_that_has_run_out_is_refused() {
    let renewal =
        TokenCommand::RecordRenewal { previous: token(1), token: token(9), expires_at: Some(at(40)), at: at(40) };
    Tokens::with(()).given(vec![issued(1, 0)]).when(renewal).then_expect_error(TokenError::RenewalRanOut);
}

#[test]
fn a_renewal_moves_the_session_and_not_data_access() {
    let renewed = TokenEvent::Renewed { previous: token(1), token: token(9), expires_at: Some(at(100)) };
    Tokens::with(()).given(vec![issued(1, 0)]).when(renewal(1)).then_expect_events(vec![renewed.clone()]);
    Tokens::with(()).given(vec![issued(1, 0), renewed]).when(TokenCommand::Expire { at: at(90) }).then_expect_events(
        vec![TokenEvent::Expired { token: token(9), reason: Reason::DataAccessEnded, evidence: None }],
    );
}

#[test]
fn a_renewal_of_a_token_that_is_not_current_or_not_active_is_dropped() {
    let refreshed = TokenEvent::Refreshed { generation: 2, grant: grant(2, 9) };
    Tokens::with(()).given(vec![issued(1, 0), refreshed]).when(renewal(1)).then_expect_events(vec![]);
    Tokens::with(()).given(vec![issued(1, 0), expired(1)]).when(renewal(1)).then_expect_events(vec![]);
}

#[test]
fn a_clock_that_ran_out_expires_the_token_and_not_a_moment_earlier() {
    let end = TokenEvent::Expired { token: token(1), reason: Reason::Lifetime, evidence: None };
    let expire = |at| TokenCommand::Expire { at };
    Tokens::with(())
        .given(vec![issued(1, 0)])
        .when(expire(at(60) - TimeDelta::microseconds(1)))
        .then_expect_events(vec![]);
    Tokens::with(()).given(vec![issued(1, 0)]).when(expire(at(60))).then_expect_events(vec![end.clone()]);
    Tokens::with(()).given(vec![issued(1, 0), end]).when(expire(at(70))).then_expect_events(vec![]);
}

#[test]
fn meta_is_asked_before_time_decides_unless_it_was_heard_lately_and_in_time() {
    let current = Current::of(&grant(1, 0));
    let hours = TimeDelta::hours;
    let asked = |now, heard: Option<_>| current.is_to_be_asked_about(now, heard);
    assert!(!asked(at(60) - hours(1), None), "its time is still to come");
    assert!(asked(at(60), None));
    assert!(!asked(at(60), Some(at(60) - hours(26))));
    assert!(asked(at(60), Some(at(60) - hours(27))));
    assert!(asked(at(60) + hours(6), Some(at(60) + hours(1))), "it worked when its time was over already");
}

#[test]
fn what_meta_says_of_a_token_moves_its_deadlines() {
    let check = |now| Evidence::of(Call::Check, now);
    let said = |now, session_ends, data_access| TokenCommand::RecordDeadlines {
        token: token(1),
        session_ends,
        data_access,
        evidence: check(now),
    };
    let session = |now, end| said(now, Told::At(end), Told::Never);
    let moved = |now, end| TokenEvent::DeadlinesMoved {
        token: token(1),
        expires_at: Some(end),
        data_access: None,
        evidence: check(now),
    };
    let given = |command, then| Tokens::with(()).given(vec![issued(1, 0)]).when(command).then_expect_events(then);
    // Whether its time is over or not, and to an earlier end as well.
    for (now, end) in [(at(61), at(100)), (at(59), at(100)), (at(20), at(30)), (at(20), at(19))] {
        given(session(now, end), vec![moved(now, end)]);
    }
    // Not where that is much the same, nor where Meta says what time says already, or nothing; nor of a token that is gone.
    let minutes = TimeDelta::minutes;
    given(said(at(20), Told::At(at(60) + minutes(59)), Told::Nothing), vec![]);
    given(said(at(20), Told::At(at(60) - minutes(59)), Told::Nothing), vec![]);
    given(session(at(61), at(61)), vec![]);
    given(said(at(20), Told::Nothing, Told::Nothing), vec![]);
    Tokens::with(()).given(vec![issued(1, 0), expired(1)]).when(session(at(61), at(100))).then_expect_events(vec![]);
    // Data access alone leaves the session as it is.
    let ends = |day, estimated| DataAccess { ends_at: at(day), estimated };
    let access =
        |now, end| TokenEvent::DataAccessMoved { token: token(1), data_access: Some(end), evidence: check(now) };
    given(said(at(20), Told::Nothing, Told::At(ends(90, false))), vec![]);
    given(said(at(20), Told::Nothing, Told::At(ends(95, false))), vec![access(at(20), ends(95, false))]);
    given(said(at(20), Told::At(at(60)), Told::At(ends(80, false))), vec![access(at(20), ends(80, false))]);
    let known = vec![issued(1, 0), access(at(20), ends(90, true))];
    let told = said(at(21), Told::Nothing, Told::At(ends(90, false)));
    let then = vec![access(at(21), ends(90, false))];
    Tokens::with(()).given(known.clone()).when(told).then_expect_events(then);
    Tokens::with(()).given(known).when(said(at(21), Told::Nothing, Told::Nothing)).then_expect_events(vec![]);
    // Data access that was over and isn't any more, with the session as it was.
    let known = vec![issued(1, 0), access(at(20), ends(30, false))];
    let told = said(at(31), Told::At(at(60)), Told::At(ends(120, false)));
    Tokens::with(()).given(known).when(told).then_expect_events(vec![access(at(31), ends(120, false))]);
    let expire = |now| TokenCommand::Expire { at: now };
    let end = TokenEvent::Expired { token: token(1), reason: Reason::Lifetime, evidence: None };
    let known = vec![issued(1, 0), moved(at(61), at(100))];
    Tokens::with(()).given(known.clone()).when(expire(at(99))).then_expect_events(vec![]);
    Tokens::with(()).given(known).when(expire(at(100))).then_expect_events(vec![end]);
}

#[test]
fn the_clock_that_ends_first_decides() {
    let [early, late] = [Some(at(60)), Some(at(90))];
    assert_eq!(Clock::first(None, None), None);
    assert_eq!(Clock::first(early, late), Some(Clock::Session));
    assert_eq!(Clock::first(late, early), Some(Clock::DataAccess));
    assert_eq!((Clock::first(early, None), Clock::first(None, late)), (Some(Clock::Session), Some(Clock::DataAccess)));
}

#[test]
fn an_estimated_end_of_data_access_never_expires_a_token() {
    let grant =
        Grant { expires_at: None, data_access: Some(DataAccess { ends_at: at(90), estimated: true }), ..grant(1, 0) };
    Tokens::with(())
        .given(vec![TokenEvent::Issued { generation: 1, grant }])
        .when(TokenCommand::Expire { at: at(400) })
        .then_expect_events(vec![]);
}

#[test]
fn after_a_revocation_the_next_grant_issues_the_next_generation() {
    let revoked = TokenEvent::Revoked { token: token(1), cause: Revocation::Disconnected };
    let revoke = TokenCommand::Revoke(Revocation::Disconnected);
    Tokens::with(()).given(vec![issued(1, 0)]).when(revoke.clone()).then_expect_events(vec![revoked.clone()]);
    Tokens::with(()).given(vec![issued(1, 0), revoked.clone()]).when(revoke).then_expect_events(vec![]);
    Tokens::with(())
        .given(vec![issued(1, 0), revoked])
        .when(accept(grant(2, 9), None))
        .then_expect_events(vec![TokenEvent::Issued { generation: 2, grant: grant(2, 9) }]);
}

#[test]
fn a_grant_takes_the_place_of_that_token_alone_for_which_it_was_decided() {
    let renewed = TokenEvent::Renewed { previous: token(1), token: token(9), expires_at: Some(at(100)) };
    let late = accept(grant(2, 9), Some(1));
    Tokens::with(()).given(vec![issued(1, 0), renewed]).when(late).then_expect_error(TokenError::Changed);
    let none = accept(grant(2, 9), None);
    Tokens::with(()).given(vec![issued(1, 0)]).when(none).then_expect_error(TokenError::Changed);
    let revoked = TokenEvent::Revoked { token: token(1), cause: Revocation::Disconnected };
    let gone = accept(grant(2, 9), Some(1));
    Tokens::with(()).given(vec![issued(1, 0), revoked]).when(gone).then_expect_error(TokenError::Changed);
}

fn decline(n: u128, hours: i64) -> TokenCommand {
    let evidence = Evidence::of(Call::Check, at(3) + TimeDelta::hours(hours));
    TokenCommand::DeclineRefresh {
        token: token(n),
        attempt: AttemptId::new(Uuid::from_u128(77)),
        way: Way::Link,
        evidence,
    }
}

fn declined(hours: i64) -> TokenEvent {
    let TokenCommand::DeclineRefresh { token, attempt, way, evidence } = decline(1, hours) else { unreachable!() };
    TokenEvent::RefreshDeclined { token, attempt, way, evidence }
}

#[test]
fn a_declined_refresh_is_noted_once_a_day_and_changes_nothing() {
    Tokens::with(()).given(vec![issued(1, 0)]).when(decline(1, 0)).then_expect_events(vec![declined(0)]);
    for (hours, noted) in [(1, vec![]), (23, vec![]), (24, vec![declined(24)])] {
        Tokens::with(()).given(vec![issued(1, 0), declined(0)]).when(decline(1, hours)).then_expect_events(noted);
    }
    let renewed = TokenEvent::Renewed { previous: token(1), token: token(9), expires_at: Some(at(100)) };
    let given = vec![issued(1, 0), declined(0)];
    Tokens::with(()).given(given).when(renewal(1)).then_expect_events(vec![renewed]);
}

#[test]
fn a_refresh_is_declined_for_the_sake_of_the_current_token_alone() {
    let refreshed = TokenEvent::Refreshed { generation: 2, grant: grant(2, 9) };
    for before in [vec![issued(1, 0), refreshed], vec![issued(1, 0), expired(1)], vec![]] {
        Tokens::with(()).given(before).when(decline(1, 0)).then_expect_error(TokenError::Changed);
    }
}

#[test]
fn a_token_is_guarded_from_strangers_until_one_of_its_deadlines_is_near() {
    use cqrs_es::Aggregate;
    let of = |grant: Grant| {
        let mut state = Token::default();
        state.apply(TokenEvent::Issued { generation: 1, grant });
        state
    };
    let stranger = |day| Candidate { entitled: false, same_grantor: false, window: TimeDelta::days(14), at: at(day) };
    let usual = of(grant(1, 0));
    let guarded = |token: &Token, candidate| token.guarded_from(candidate).is_some();
    assert!(guarded(&usual, stranger(45)), "the session ends on day 60");
    assert!(!guarded(&usual, stranger(46)));
    assert!(!guarded(&usual, Candidate { entitled: true, ..stranger(1) }));
    assert!(!guarded(&usual, Candidate { same_grantor: true, ..stranger(1) }));
    let estimate = Some(DataAccess { ends_at: at(90), estimated: true });
    let estimated = of(Grant { expires_at: None, data_access: estimate, ..grant(1, 0) });
    assert!(guarded(&estimated, stranger(75)));
    assert!(!guarded(&estimated, stranger(76)), "an estimate counts as well");
    let endless = of(Grant { expires_at: None, data_access: None, ..grant(1, 0) });
    assert!(guarded(&endless, stranger(10_000)));
    let mut dead = usual;
    dead.apply(expired(1));
    assert!(!guarded(&dead, stranger(1)) && !guarded(&Token::default(), stranger(1)));
}

#[test]
fn only_what_meta_refuses_makes_room_for_a_strangers_token() {
    for (answer, replacement) in [
        (Present::Works, Replacement::Declined),
        (Present::Refused, Replacement::Allowed),
        (Present::Unclear { suspected: false }, Replacement::Undecided),
        (Present::Unclear { suspected: true }, Replacement::Allowed),
        (Present::NoAnswer, Replacement::Undecided),
    ] {
        assert_eq!(answer.replacement(), replacement, "{answer:?}");
    }
}
