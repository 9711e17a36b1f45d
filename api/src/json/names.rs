//! The names that stand in JSON for states, as the API's description lists them.

use serde::Deserialize;
use utoipa::ToSchema;

/// How an account is connected: `consumer` through Instagram Login, `business` through Facebook Login.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of domain::Connection")]
pub enum ConnectionName {
    Consumer,
    Business,
}

/// The state of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusName {
    /// Its posts can be read.
    Active,
    /// Its token can't be used.
    Expired,
    /// Its owner disconnected it.
    Disconnected,
}

impl StatusName {
    /// The name in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Disconnected => "disconnected",
        }
    }
}

/// Why a token can't be used.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of domain::Reason")]
pub enum ReasonName {
    Lifetime,
    PasswordChanged,
    AppRemoved,
    Checkpoint,
    Unconfirmed,
    Invalidated,
    PageRoleLost,
    PermissionMissing,
    DataAccessEnded,
    Unknown,
}

/// How sure Meta's answer is of its reason.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertaintyName {
    /// It names that one alone.
    Certain,
    /// It names another one beside it.
    Likely,
}

/// Whether Meta lets us read the posts.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadingName {
    /// As far as is known.
    Ok,
    /// Not now, although the token works.
    Refused,
}

/// Whether Meta extends the session.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RenewalName {
    /// As far as is known.
    Ok,
    /// Not for a day: a person must log in before it ends.
    Failing,
}

/// One of the two deadlines of a token.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineName {
    /// The session ends; a machine can extend it.
    Session,
    /// Data access ends; only a person can restart it.
    DataAccess,
}

/// A widget's plan.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanName {
    /// New posts every 6 hours, unless configured otherwise.
    Free,
    /// New posts every 30 minutes, unless configured otherwise.
    Upgraded,
}

/// What an event belongs to.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the aggregates")]
pub enum AggregateName {
    Account,
    Token,
}

/// A kind of job.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobName {
    /// Fetches an account's posts.
    Pull,
    /// Asks Meta whether a token works.
    Check,
    /// Extends a token's session.
    Renew,
    /// Marks a token expired when one of its deadlines has passed.
    Expire,
    /// Reminds people before data access ends.
    Remind,
    /// Sends people a notification.
    Notify,
}

/// What a web hook is about.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "docs/webhooks.md describes them")]
pub enum MessageType {
    #[serde(rename = "account.expired")]
    AccountExpired,
    #[serde(rename = "account.recovered")]
    AccountRecovered,
    #[serde(rename = "account.expiring")]
    AccountExpiring,
    #[serde(rename = "account.reading_refused")]
    AccountReadingRefused,
    #[serde(rename = "account.reading_resumed")]
    AccountReadingResumed,
    #[serde(rename = "token.refreshed")]
    TokenRefreshed,
    #[serde(rename = "token.renewed")]
    TokenRenewed,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// The endpoint took it.
    Delivered,
    /// It was given up.
    Failed,
}

#[cfg(test)]
mod tests {
    use domain::{Connection, Reason};
    use serde_json::Value;

    use super::*;

    /// A name that the description lacks would be an answer outside of it.
    #[test]
    fn the_description_knows_every_name() {
        for reason in Reason::ALL {
            assert!(serde_json::from_value::<ReasonName>(Value::from(reason.name())).is_ok(), "{reason:?}");
        }
        for connection in Connection::ALL {
            assert!(serde_json::from_value::<ConnectionName>(Value::from(connection.name())).is_ok());
        }
        for status in [StatusName::Active, StatusName::Expired, StatusName::Disconnected] {
            assert_eq!(serde_json::from_value::<StatusName>(Value::from(status.name())).ok(), Some(status));
        }
    }
}
