//! What can be asked of an account.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{NoticeKind, Plan};
use crate::{Authority, Connection, Evidence, LinkId, Right, TokenId, UserId, WidgetId};

/// What can be asked of an account. Each `by` says in whose power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCommand {
    /// A signed-in person completed a grant for it: connects it, and grants that person rights.
    Connect {
        /// Through which login.
        connection: Connection,
        /// Who connected it.
        user: UserId,
    },
    /// A grant for it was completed in a way that gives no rights: it must be connected, and this way.
    ConfirmConnection {
        /// Through which login the grant was made.
        connection: Connection,
    },
    /// A complete grant through the other login replaces the connection.
    SwitchConnection {
        /// The new connection.
        to: Connection,
        /// An owner or staff.
        by: Authority,
    },
    /// Gives somebody a right, or another one than before.
    GrantAccess {
        /// To whom.
        user: UserId,
        /// Which.
        right: Right,
        /// An owner or staff.
        by: Authority,
    },
    /// Takes somebody's right away.
    RevokeAccess {
        /// From whom.
        user: UserId,
        /// An owner, staff, or that person.
        by: Authority,
    },
    /// Adds a widget.
    AddWidget {
        /// Its id.
        widget: WidgetId,
        /// Its plan.
        plan: Plan,
        /// Anybody with a right, or staff.
        by: Authority,
    },
    /// Changes a widget's plan.
    ChangeWidgetPlan {
        /// Which.
        widget: WidgetId,
        /// The new plan.
        plan: Plan,
        /// Anybody with a right, or staff.
        by: Authority,
    },
    /// Removes a widget.
    RemoveWidget {
        /// Which.
        widget: WidgetId,
        /// Anybody with a right, or staff.
        by: Authority,
    },
    /// Meta said that the password was changed, of this token.
    RecordPasswordChange {
        /// The token that died of it.
        token: TokenId,
        /// What Meta answered.
        evidence: Evidence,
    },
    /// A notice was sent.
    RecordNotice {
        /// To whom.
        user: UserId,
        /// About what.
        kind: NoticeKind,
        /// The event that it tells of: its position in the journal.
        cause: i64,
        /// How many days before the end, for a reminder.
        days_left: Option<u32>,
        /// The reconnect link in it.
        link: Option<LinkId>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Stops all work. Widgets stay and come back with a reconnect.
    Disconnect {
        /// An owner or staff.
        by: Authority,
    },
    /// Meta said that the person removed the app.
    RecordDeauthorization {
        /// When, by Meta's clock.
        issued_at: DateTime<Utc>,
    },
    /// The person, or staff for the person, asked that everything be erased.
    RequestErasure,
    /// Everything was erased.
    RecordErasure {
        /// How many rows of each kind were deleted.
        receipt: BTreeMap<String, u64>,
    },
}
