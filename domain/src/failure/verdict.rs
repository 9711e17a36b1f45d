//! What an answer of Meta's means for a connection.

use serde::{Deserialize, Serialize};

use super::Call;
use crate::Reason;

/// What an answer means for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The token can't be used, explicitly: expired at once.
    Expired(Reason),
    /// It may be the token or the app: held until it is known that the app works for others and a second check of
    /// this token fails too.
    Unclear(Reason),
    /// The app's matter, certainly: an incident, and nobody expires.
    AppRefused,
    /// The app's matter if no other account of it has worked lately; otherwise unclear, for this reason.
    AppOrAccount(Reason),
    /// Not the token's matter and over soon: try again with backoff, change nothing.
    Passing,
    /// Too much was asked for at once: ask for less.
    TooMuch,
    /// The whole app is throttled: all its calls pause.
    AppThrottled,
    /// This account's user is throttled: only this account waits.
    AccountThrottled,
    /// A limit of a business use case: wait as long as the header says.
    UseCaseThrottled,
    /// Meta blocks an action for longer: long backoff, and somebody should know.
    Blocked,
    /// The fault may be ours (a broken stored token, an error that nobody documented): somebody should know, and nothing
    /// changes until it has gone on for a day. Then it is unclear.
    Alarm,
    /// A bad request: somebody should know, and nothing changes until a check, the simplest of calls, meets it as well.
    BadRequest,
    /// About media or publishing: not a matter of the token.
    NotTheToken,
}

/// Whose matter an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The token's: only this ends one.
    Token,
    /// The account's: its token works, and reading is refused, or a limit is its own.
    Account,
    /// A permission's that the token lacks.
    Permission,
    /// The app's: for the operator to mend.
    App,
    /// Meta's: it passes.
    Meta,
}

/// How sure Meta's answer is of its reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// It names one reason.
    #[default]
    Certain,
    /// It names another one beside it.
    Likely,
}

impl Certainty {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
        }
    }

    /// Whether it is certain.
    pub const fn is_certain(&self) -> bool {
        matches!(self, Self::Certain)
    }
}

impl Verdict {
    /// Whether the answer says that the token is or may be dead.
    pub const fn against_the_token(self) -> Option<Reason> {
        match self {
            Self::Expired(reason) | Self::Unclear(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether another call must show that the token works before it is known that the failure is no matter of the token.
    pub const fn may_mean_the_token(self) -> bool {
        matches!(
            self,
            Self::Expired(_)
                | Self::Unclear(_)
                | Self::AppOrAccount(_)
                | Self::BadRequest
                | Self::Alarm
                | Self::NotTheToken
        )
    }

    /// Whether Meta refuses what was asked for, to this token.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Expired(_) | Self::Unclear(_) | Self::BadRequest)
    }

    /// Whether Meta limits how often it answers.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::AppThrottled | Self::AccountThrottled | Self::UseCaseThrottled)
    }

    /// Whether it passes: the same call may succeed later.
    pub const fn is_temporary(self) -> bool {
        self.is_limit() || matches!(self, Self::Passing | Self::TooMuch | Self::Blocked)
    }

    /// What it means when it was met by this call.
    #[must_use]
    pub const fn met_by(self, call: Call) -> Self {
        match (self, call) {
            (Self::BadRequest, Call::Check) => Self::Unclear(Reason::Unknown),
            _ => self,
        }
    }

    /// Whose matter it is.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Unclear(Reason::PermissionMissing) => Scope::Permission,
            Self::Expired(_) | Self::Unclear(_) => Scope::Token,
            Self::AppRefused | Self::AppOrAccount(_) => Scope::App,
            Self::AccountThrottled | Self::UseCaseThrottled | Self::Blocked | Self::BadRequest | Self::NotTheToken => {
                Scope::Account
            }
            Self::Passing | Self::TooMuch | Self::AppThrottled | Self::Alarm => Scope::Meta,
        }
    }
}
