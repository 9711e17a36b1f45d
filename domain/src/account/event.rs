//! What happened to an account. Facts only: no name, no address, none of Meta's ids.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::{Connection, Evidence, LinkId, ParseError, Right, TokenId, UserId, WidgetId};

/// A widget's plan, which says how often its feed advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Every 6 hours, unless configured otherwise.
    Free,
    /// Every 30 minutes, unless configured otherwise.
    Upgraded,
}

impl Plan {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Upgraded => "upgraded",
        }
    }
}

impl FromStr for Plan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "free" => Ok(Self::Free),
            "upgraded" => Ok(Self::Upgraded),
            _ => Err(ParseError),
        }
    }
}

/// What a notice tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The token expired.
    Expired,
    /// Data access ends soon.
    Reminder,
    /// The token works again.
    Recovered,
    /// Somebody refreshed it in a public way.
    RefreshedByVisitor,
    /// Meta refuses the posts, although the token works.
    ReadingRefused,
    /// The session can't be extended, and ends soon.
    RenewalFailing,
}

impl NoticeKind {
    /// The name in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Reminder => "reminder",
            Self::Recovered => "recovered",
            Self::RefreshedByVisitor => "refreshed_by_visitor",
            Self::ReadingRefused => "reading_refused",
            Self::RenewalFailing => "renewal_failing",
        }
    }
}

impl FromStr for NoticeKind {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let all = [
            Self::Expired,
            Self::Reminder,
            Self::Recovered,
            Self::RefreshedByVisitor,
            Self::ReadingRefused,
            Self::RenewalFailing,
        ];
        all.into_iter().find(|kind| kind.name() == text).ok_or(ParseError)
    }
}

/// What happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// It was connected, the first time or again.
    Connected {
        /// Through which login.
        connection: Connection,
    },
    /// It is connected through the other login from now on.
    ConnectionChanged {
        /// Before.
        from: Connection,
        /// From now on.
        to: Connection,
    },
    /// Somebody got a right, or another one than before.
    AccessGranted {
        /// Who.
        user: UserId,
        /// Which.
        right: Right,
    },
    /// Somebody lost the right.
    AccessRevoked {
        /// Who.
        user: UserId,
    },
    /// A widget shows its posts.
    WidgetAdded {
        /// Which.
        widget: WidgetId,
        /// With which plan.
        plan: Plan,
    },
    /// A widget has another plan.
    WidgetPlanChanged {
        /// Which.
        widget: WidgetId,
        /// The plan before.
        from: Plan,
        /// The new plan.
        plan: Plan,
    },
    /// A widget is gone.
    WidgetRemoved {
        /// Which.
        widget: WidgetId,
        /// The plan that it had.
        plan: Plan,
    },
    /// Somebody was told.
    NoticeSent {
        /// Who.
        user: UserId,
        /// About what.
        kind: NoticeKind,
        /// The position of the event that it tells of.
        cause: i64,
        /// How many days before the end a reminder was for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days_left: Option<u32>,
        /// The reconnect link in it, to which an opening and a refresh refer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<LinkId>,
        /// When.
        at: DateTime<Utc>,
    },
    /// The person changed the password, says Meta.
    PasswordChanged {
        /// The token that died of it.
        token: TokenId,
        /// What Meta answered.
        evidence: Evidence,
    },
    /// All work stopped, by an owner or staff.
    Disconnected,
    /// The person removed the app, says Meta.
    Deauthorized {
        /// When, by Meta's clock.
        issued_at: DateTime<Utc>,
    },
    /// The person asked that everything be erased.
    ErasureRequested,
    /// Everything about the person is gone; only these facts stay.
    Erased {
        /// How many rows of each kind were deleted.
        receipt: BTreeMap<String, u64>,
    },
}

impl AccountEvent {
    /// The types that this program knows, as they stand in the journal.
    pub const TYPES: [&'static str; 13] = [
        "Connected",
        "ConnectionChanged",
        "AccessGranted",
        "AccessRevoked",
        "WidgetAdded",
        "WidgetPlanChanged",
        "WidgetRemoved",
        "NoticeSent",
        "PasswordChanged",
        "Disconnected",
        "Deauthorized",
        "ErasureRequested",
        "Erased",
    ];
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Connected { .. } => "Connected",
            Self::ConnectionChanged { .. } => "ConnectionChanged",
            Self::AccessGranted { .. } => "AccessGranted",
            Self::AccessRevoked { .. } => "AccessRevoked",
            Self::WidgetAdded { .. } => "WidgetAdded",
            Self::WidgetPlanChanged { .. } => "WidgetPlanChanged",
            Self::WidgetRemoved { .. } => "WidgetRemoved",
            Self::NoticeSent { .. } => "NoticeSent",
            Self::PasswordChanged { .. } => "PasswordChanged",
            Self::Disconnected => "Disconnected",
            Self::Deauthorized { .. } => "Deauthorized",
            Self::ErasureRequested => "ErasureRequested",
            Self::Erased { .. } => "Erased",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
