use super::*;
use crate::Reason;

fn answer(code: i64, subcode: Option<i64>) -> Answer<'static> {
    Answer { status: Some(400), code: Some(code), subcode, transient: false, by_app: false, message: "" }
}

fn judge(answer: &Answer<'_>) -> Verdict {
    super::judge(answer).verdict
}

fn message(code: i64, message: &str) -> Verdict {
    judge(&Answer { message, ..answer(code, None) })
}

#[test]
fn each_subcode_of_190_expires_with_its_reason() {
    for (subcode, reason) in [
        (460, Reason::PasswordChanged),
        (463, Reason::Lifetime),
        (458, Reason::AppRemoved),
        (459, Reason::Checkpoint),
        (464, Reason::Unconfirmed),
        (467, Reason::Invalidated),
        (492, Reason::PageRoleLost),
    ] {
        assert_eq!(judge(&answer(190, Some(subcode))), Verdict::Expired(reason), "190/{subcode}");
    }
}

#[test]
fn a_190_or_102_without_a_known_subcode_is_read_from_its_message() {
    for code in [190, 102] {
        assert_eq!(message(code, "The user has changed their password."), Verdict::Expired(Reason::PasswordChanged));
        assert_eq!(
            message(code, "Session has expired on Friday, 14-Nov-26 08:00:00 PST."),
            Verdict::Expired(Reason::Lifetime)
        );
        assert_eq!(
            message(code, "The user has not authorized application 1234."),
            Verdict::Expired(Reason::AppRemoved)
        );
        assert_eq!(message(code, "Invalid OAuth access token."), Verdict::Unclear(Reason::Unknown));
    }
    assert_eq!(judge(&answer(190, Some(999))), Verdict::Unclear(Reason::Unknown));
}

#[test]
fn a_message_that_leaves_the_cause_open_is_told_as_open() {
    let text = "Error validating access token: The session has been invalidated because the user changed their \
                password or Facebook has changed the session for security reasons.";
    assert_eq!(message(190, text), Verdict::Expired(Reason::Invalidated));
}

#[test]
fn a_token_that_meta_cannot_parse_is_our_alarm_and_changes_nothing() {
    assert_eq!(message(190, "Cannot parse access token"), Verdict::Alarm);
    assert_eq!(message(190, "Malformed access token AQ"), Verdict::Alarm);
}

#[test]
fn a_missing_permission_is_unclear_until_the_app_is_seen_to_work() {
    for code in [3, 10] {
        assert_eq!(judge(&answer(code, None)), Verdict::AppOrAccount(Reason::PermissionMissing), "{code}");
    }
    for code in [200, 250, 299] {
        assert_eq!(judge(&answer(code, None)), Verdict::Unclear(Reason::PermissionMissing), "{code}");
    }
}

#[test]
fn passing_errors_never_touch_the_token() {
    for code in [1, 2, -1, -2] {
        assert_eq!(judge(&answer(code, None)), Verdict::Passing, "{code}");
    }
    assert_eq!(judge(&Answer { transient: true, ..answer(190, None) }), Verdict::Passing);
    assert_eq!(judge(&Answer { status: Some(503), ..answer(10, None) }), Verdict::Passing);
    assert_eq!(judge(&Answer { transient: true, ..answer(190, Some(460)) }), Verdict::Passing);
    assert_eq!(judge(&Answer { status: Some(500), ..answer(190, Some(463)) }), Verdict::Passing);
    let nothing =
        Answer { status: None, code: None, subcode: None, transient: false, by_app: false, message: "timed out" };
    assert_eq!(judge(&nothing), Verdict::Passing);
    assert_eq!(judge(&Answer { status: Some(502), ..nothing }), Verdict::Passing);
}

#[test]
fn throttling_is_told_apart_by_whom_it_hits() {
    assert_eq!(judge(&answer(4, None)), Verdict::AppThrottled);
    for code in [17, 32] {
        assert_eq!(judge(&answer(code, None)), Verdict::AccountThrottled, "{code}");
    }
    for code in [613, 80001, 80002] {
        assert_eq!(judge(&answer(code, None)), Verdict::UseCaseThrottled, "{code}");
    }
    for code in [341, 368] {
        assert_eq!(judge(&answer(code, None)), Verdict::Blocked, "{code}");
    }
}

#[test]
fn a_bad_request_changes_nothing_until_a_check_meets_it() {
    let verdict = judge(&answer(100, Some(33)));
    for call in [Call::Pull, Call::Renew] {
        assert_eq!(verdict.met_by(call).against_the_token(), None, "{call:?}");
    }
    assert_eq!(verdict.met_by(Call::Check), Verdict::Unclear(Reason::Unknown));
}

#[test]
fn what_nobody_documented_alarms_and_changes_nothing() {
    assert_eq!(judge(&answer(424_242, None)), Verdict::Alarm);
    assert_eq!(judge(&answer(24, None)), Verdict::Alarm);
}

#[test]
fn media_and_publishing_errors_are_not_the_tokens_matter() {
    for code in [9004, 9007, 36000, 36003] {
        assert_eq!(judge(&answer(code, None)), Verdict::NotTheToken, "{code}");
    }
    assert_eq!(judge(&answer(24, Some(2_207_006))), Verdict::NotTheToken);
}
