//! Answers of Meta as its servers send them (ids and names replaced), with the verdict that each must have.

use std::collections::BTreeSet;

use domain::failure::{Answer, Certainty, ROWS, Verdict, judge};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    row: String,
    verdict: String,
    #[serde(default)]
    certainty: Certainty,
    source: String,
    status: u16,
    /// It was asked with the app's own token.
    #[serde(default)]
    by_app: bool,
    body: Value,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("meta_answers.json")).expect("the answers")
}

fn name(verdict: Verdict) -> String {
    match verdict {
        Verdict::Expired(reason) => format!("expired:{}", reason.name()),
        Verdict::Unclear(reason) => format!("unclear:{}", reason.name()),
        Verdict::AppRefused => "app_refused".to_owned(),
        Verdict::AppOrAccount(_) => "app_or_account".to_owned(),
        Verdict::Passing => "passing".to_owned(),
        Verdict::TooMuch => "too_much".to_owned(),
        Verdict::AppThrottled => "app_throttled".to_owned(),
        Verdict::AccountThrottled => "account_throttled".to_owned(),
        Verdict::UseCaseThrottled => "use_case_throttled".to_owned(),
        Verdict::Blocked => "blocked".to_owned(),
        Verdict::Alarm => "alarm".to_owned(),
        Verdict::BadRequest => "bad_request".to_owned(),
        Verdict::NotTheToken => "not_the_token".to_owned(),
    }
}

#[test]
fn each_answer_has_its_row_and_its_verdict() {
    let cases = cases();
    assert!(cases.len() >= 80, "{}", cases.len());
    for case in &cases {
        // The Graph API's form, or that of api.instagram.com; else it is no error of Meta's.
        let error = case.body.get("error").or_else(|| case.body.get("error_type").map(|_| &case.body));
        let of = |key: &str| error.and_then(|error| error.get(key));
        let answer = Answer {
            status: Some(case.status),
            code: of("code").and_then(Value::as_i64),
            subcode: of("error_subcode").and_then(Value::as_i64),
            transient: of("is_transient").and_then(Value::as_bool).unwrap_or_default(),
            by_app: case.by_app,
            message: of("message").or_else(|| of("error_message")).and_then(Value::as_str).unwrap_or_default(),
        };
        let row = judge(&answer);
        let is = (row.name, name(row.verdict), row.certainty);
        assert_eq!(is, (&*case.row, case.verdict.clone(), case.certainty), "{answer:?} ({})", case.source);
    }
}

#[test]
fn each_row_has_an_answer_and_a_name_of_its_own() {
    let met: BTreeSet<_> = cases().into_iter().map(|case| case.row).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(rows.len(), ROWS.len(), "two rows have one name");
    assert_eq!(met, rows);
}
