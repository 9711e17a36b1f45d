//! The rows that belong to an account, by table.

use domain::AccountId;
use engine::{Query, sql};

/// What belongs to an account: the kind, as receipts name it, and the condition of its rows. What the projections make of the
/// account goes with `Erased`.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("attempt_accounts", "account_id = $1"),
    ("checks", "account_id = $1"),
    ("feeds", "account_id = $1"),
    ("invitations", "account_id = $1"),
    ("lasting_failures", "account_id = $1"),
    ("notices", "account_id = $1"),
    ("profiles", "account_id = $1"),
    ("reconnect_links", "account_id = $1"),
    ("snapshots", "aggregate_type IN ('account', 'token') AND aggregate_id = $1"),
    ("token_errors", "account_id = $1"),
    ("tries", "account_id = $1"),
    ("vault", "account_id = $1"),
    ("verdicts", "account_id = $1"),
    ("widget_accounts", "account_id = $1"),
];

/// What is looked for in whole tables: deleted before the others, so that no other commit waits for it. Attempts that were about
/// other accounts may name this one (`$2`, as JSON) among those that a login reached.
pub(super) const SEARCHED: &[(&str, &str)] = &[
    (
        "attempts",
        "id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1) OR replace(outcome, $2, '') <> outcome \
         OR replace(pending, $2, '') <> pending",
    ),
    ("webhook_deliveries", "account_id = $1"),
];

/// The tables that an erasure deletes from: what is left of it in a server's files goes with `relight erase --scrub`.
pub fn tables() -> impl Iterator<Item = &'static str> {
    ROWS.iter().chain(SEARCHED).map(|(table, _)| *table)
}

/// A statement about an account's rows: its id, and where it is searched for by name, that.
pub(super) fn of(statement: String, its: &str, account: AccountId, quoted: &str) -> Query {
    let query = sql(statement).bind(account.to_string());
    if its.contains("$2") { query.bind(quoted) } else { query }
}
