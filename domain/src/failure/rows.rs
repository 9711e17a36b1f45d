//! The table of Meta's answers: what each means, and where that is written.
//!
//! Rows are read from top to bottom, and the first that matches counts. Sources: *G*, Meta's "Handle errors" (Graph API);
//! *I*, Meta's "Error codes" (Instagram Platform); *L*, Meta's "Rate limits"; *S*, lists of codes in public SDKs; *P*, answers in
//! public reports.

use super::{
    Certainty::{self, Certain, Likely},
    Verdict::{
        self, AccountThrottled, Alarm, AppOrAccount, AppRefused, AppThrottled, BadRequest, Blocked, Expired,
        NotTheToken, Passing, TooMuch, Unclear, UseCaseThrottled,
    },
};
use crate::Reason::{
    AppRemoved, Checkpoint, DataAccessEnded, Invalidated, Lifetime, PageRoleLost, PasswordChanged, PermissionMissing,
    Unconfirmed, Unknown,
};

/// A row: which answers it is about, and what they mean.
#[derive(Debug)]
pub struct Row {
    /// Its name, as evidence keeps it.
    pub name: &'static str,
    /// `error.code`: ranges, both ends included; none: any, also an answer without one.
    pub codes: &'static [(i64, i64)],
    /// `error.error_subcode`: one of these; none: any.
    pub subcodes: &'static [i64],
    /// The message has one of these in it, in lower case; none: any.
    pub words: &'static [&'static str],
    /// What else marks it.
    pub sign: Sign,
    /// What it means.
    pub verdict: Verdict,
    /// How sure Meta's answer is of the verdict's reason.
    pub certainty: Certainty,
    /// Whether a token that expired by it may be found to work again.
    pub may_return: bool,
    /// Where that is written: the letters above.
    pub source: &'static str,
}

/// What marks an answer besides its codes and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Nothing.
    Any,
    /// HTTP status 429.
    TooManyRequests,
    /// It was asked with the app's own token.
    AppToken,
    /// `is_transient`, an HTTP status of 500 or more, or no error of Meta's form at all.
    Transient,
}

const fn row(name: &'static str, codes: &'static [(i64, i64)], verdict: Verdict, source: &'static str) -> Row {
    Row {
        name,
        codes,
        subcodes: &[],
        words: &[],
        sign: Sign::Any,
        verdict,
        certainty: Certain,
        may_return: true,
        source,
    }
}

impl Row {
    const fn sub(self, subcodes: &'static [i64]) -> Self {
        Self { subcodes, ..self }
    }

    const fn says(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    const fn marked(self, sign: Sign) -> Self {
        Self { sign, ..self }
    }

    const fn likely(self) -> Self {
        Self { certainty: Likely, ..self }
    }

    const fn for_good(self) -> Self {
        Self { may_return: false, ..self }
    }
}

/// The row about the app's own token, which reads no posts: only a call with that token shows that it works again.
pub const APP_TOKEN_REFUSED: &str = "app_token_refused";

/// One code.
macro_rules! code {
    ($($code:expr),+) => { &[$(($code, $code)),+] };
}

const SESSION: &[(i64, i64)] = code!(190, 102);
/// Every code from 3 on, except 341 and 368 (blocks).
const NOT_TEMPORARY: &[(i64, i64)] = &[(3, 340), (342, 367), (369, i64::MAX)];

/// The rows, in their order.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    // Publishing, which Relight doesn't do: its subcodes stand under codes that mean something else without them.
    row("account_restricted", code!(25), Unclear(Checkpoint), "I").sub(&[2_207_050]),
    row("publishing_restricted", code!(4), NotTheToken, "I").sub(&[2_207_051]),
    row("publishing_limit", code!(9), NotTheToken, "I").sub(&[2_207_042]),
    row("publishing", code!(-2, -1, 1, 24, 100, 352, 9004, 9007), NotTheToken, "I").sub(&[
        2_207_001, 2_207_003, 2_207_006, 2_207_008, 2_207_020, 2_207_023, 2_207_026, 2_207_027, 2_207_028, 2_207_032,
        2_207_035, 2_207_036, 2_207_037, 2_207_040, 2_207_052, 2_207_053, 2_207_057,
    ]),
    row("media", &[(9004, 9004), (9007, 9007), (36_000, 36_999), (352, 352), (506, 506), (1_609_005, 1_609_005)], NotTheToken, "G I"),

    // Limits, before anything that says "for the moment": calling on would lengthen them.
    row("app_limit", code!(4), AppThrottled, "G L"),
    row("account_limit", code!(9, 17, 32), AccountThrottled, "G L S"),
    row("use_case_limit", &[(613, 613), (80_000, 80_014)], UseCaseThrottled, "L"),
    row("too_many_requests", &[], AppThrottled, "P").marked(Sign::TooManyRequests),

    row("passing_by_its_signs", &[], Passing, "G").marked(Sign::Transient),

    // The app's own matter.
    row("app_info_unavailable", code!(101, 190), Passing, "P").says(&["due to a system error"]),
    row("app_deactivated", &[(200, 299), (190, 190), (10, 10), (1, 3)], AppRefused, "P").says(&[
        "api access deactivated", "api access disabled", "api access blocked", "app is inactive", "app not active",
        "application is disabled", "application has been disabled", "app has been disabled", "non-active apps",
    ]),
    row("app_deleted", code!(190, 101, 100, 10, 200), AppRefused, "P").says(&["application has been deleted", "app has been deleted"]),
    row("app_unknown", code!(190, 100), AppRefused, "P").says(&["error validating application", "invalid application id", "invalid client_id"]),
    row("secret_wrong", &[], AppRefused, "P").says(&["error validating client secret", "invalid client secret", "invalid platform app", "invalid client_secret"]),
    row("app_id_wrong", code!(101), AppRefused, "S P"),
    row("proof_wrong", &[], AppRefused, "P").says(&["appsecret_proof"]),
    row("signature_wrong", code!(104), AppRefused, "S"),
    row("address_not_allowed", code!(5), AppRefused, "S").says(&["ip"]),
    row("version_gone", code!(12, 2635), AppRefused, "S P"),

    // The token.
    row("app_removed", SESSION, Expired(AppRemoved), "G").sub(&[458]).for_good(),
    row("checkpoint", SESSION, Expired(Checkpoint), "G S").sub(&[459, 490]),
    row("password_or_security", SESSION, Expired(PasswordChanged), "P").sub(&[460]).says(&["security", "changed their password or"]).likely().for_good(),
    row("password_changed", SESSION, Expired(PasswordChanged), "G").sub(&[460]).for_good(),
    row("session_expired", SESSION, Expired(Lifetime), "G").sub(&[463]).for_good(),
    row("unconfirmed", SESSION, Expired(Unconfirmed), "G").sub(&[464]),
    row("token_invalid", SESSION, Expired(Invalidated), "G S").sub(&[452, 456, 457, 461, 462, 465, 466, 467, 468]),
    row("page_role_lost", SESSION, Expired(PageRoleLost), "G").sub(&[492]),
    row("data_access_ended", SESSION, Expired(DataAccessEnded), "P").sub(&[493]),
    row("app_removed_by_code", code!(412), Expired(AppRemoved), "S").for_good(),
    row("checkpoint_by_code", code!(415), Expired(Checkpoint), "S"),

    // The token, by the message alone.
    row("said_data_access_ended", SESSION, Expired(DataAccessEnded), "P").says(&["longer than 90 days"]),
    row("said_checkpoint", SESSION, Expired(Checkpoint), "P").says(&["checkpoint", "till you log in to", "until you log in to"]),
    row("said_unconfirmed", SESSION, Expired(Unconfirmed), "P").says(&["not a confirmed user"]),
    row("said_session_mismatch", SESSION, Expired(Invalidated), "P").says(&["does not match current stored session"]),
    row("said_password_or_security", SESSION, Expired(Invalidated), "P").says(&["changed their password or", "changed the password or"]).likely(),
    row("said_password_changed", SESSION, Expired(PasswordChanged), "P").says(&["changed their password", "changed the password"]).for_good(),
    row("said_session_expired", SESSION, Expired(Lifetime), "P").says(&["session has expired on"]).for_good(),
    row("said_app_removed", SESSION, Expired(AppRemoved), "P").says(&["not authorized application"]).for_good(),
    row("said_session_ended", SESSION, Expired(Invalidated), "P").says(&["invalidated explicitly", "user logged out"]),
    row("said_page_role_lost", SESSION, Expired(PageRoleLost), "P").says(&["in order to impersonate it"]),
    // Of another app, as after a change of the app's id: no use to this one.
    row("other_apps_token", code!(100), Unclear(Unknown), "P").says(&["did not match the viewing app"]),

    // About the app's own token, where nothing says that it is about a person's.
    row(APP_TOKEN_REFUSED, NOT_TEMPORARY, AppRefused, "P").marked(Sign::AppToken),

    row("token_unparsable", SESSION, Alarm, "P").says(&["cannot parse access token", "malformed"]),
    row("token_refused", SESSION, Unclear(Unknown), "G"),

    // The app's, if no other account of it works.
    row("capability", code!(3), AppOrAccount(PermissionMissing), "G"),
    row("permission_denied", code!(10), AppOrAccount(PermissionMissing), "G"),
    row("unsupported_request", code!(100), AppOrAccount(PermissionMissing), "P").says(&["unsupported request - method type"]),

    row("permission_missing", &[(200, 299)], Unclear(PermissionMissing), "G"),
    row("too_much_data", code!(1, -3), TooMuch, "P S").says(&["reduce the amount of data"]),
    row("passing", code!(1, 2, -1, -2), Passing, "G I"),
    row("blocked", code!(341, 368), Blocked, "G"),
    row("no_token_used", code!(2500), Alarm, "P").says(&["active access token"]),
    row("object_not_readable", code!(100), BadRequest, "P").sub(&[33]),
    row("object_unknown", code!(803, 21, 110), BadRequest, "P S"),
    row("bad_request", code!(100, 2500), BadRequest, "G P"),
    row("undocumented", &[], Alarm, "-"),
];
