//! Every table with sealed rows: what they are sealed under, and what they are bound to.
//!
//! A new one is one more line in [`ALL`]. A test holds the list against the columns of the migrations.

use chrono::{DateTime, Utc};

/// A table with sealed rows.
#[derive(Debug)]
pub struct SealedTable {
    /// Its name.
    pub name: &'static str,
    /// The column with the id of the key that sealed the row.
    pub key_id: &'static str,
    /// The column with nonce and ciphertext.
    pub sealed: &'static str,
    /// What a row is bound to begins with these words.
    words: &'static str,
    /// Then come the values of these columns: one or two, which tell its row from all others of the same key.
    columns: &'static [&'static str],
    /// What needs the key in truth is outside of the database until the instant in this column, so that sealing the row anew
    /// helps nothing.
    pub ends: Option<&'static str>,
}

/// The tokens of accounts.
pub const TOKENS: SealedTable = SealedTable {
    name: "vault",
    key_id: "key_id",
    sealed: "sealed",
    words: "token",
    columns: &["account_id", "token_id"],
    ends: None,
};
/// Grants that wait for the choice of an account, to be tried again, or while Meta is asked about their accounts.
pub const GRANTS: SealedTable = SealedTable {
    name: "attempts",
    key_id: "sealed_key",
    sealed: "sealed",
    words: "grant",
    columns: &["id"],
    ends: None,
};
/// Answers to requests with an `Idempotency-Key`; written by `api`.
pub const ANSWERS: SealedTable = SealedTable {
    name: "answers",
    key_id: "key_id",
    sealed: "sealed",
    words: "answer",
    columns: &["caller_id", "key"],
    ends: None,
};
/// The secrets of web hooks; written by `api`.
pub const WEBHOOKS: SealedTable = SealedTable {
    name: "webhook_endpoints",
    key_id: "key_id",
    sealed: "secret",
    words: "webhook endpoint",
    columns: &["id"],
    ends: None,
};
/// Keys that signed reconnect links. The links themselves are in mails: they die with their key.
pub const LINKS: SealedTable = SealedTable {
    name: "reconnect_links",
    key_id: "key_id",
    sealed: "sealed",
    words: "reconnect link",
    columns: &["account_id"],
    ends: Some("ends_at"),
};

/// All of them.
pub const ALL: [&SealedTable; 5] = [&TOKENS, &GRANTS, &ANSWERS, &WEBHOOKS, &LINKS];

/// A sealed row: its key's id, nonce and ciphertext, and the values that it is bound to (the second may be empty).
pub(super) type Row = (String, Vec<u8>, String, String);

impl SealedTable {
    /// What a row with these values is bound to.
    pub fn bound_to(&self, values: &[&str]) -> String {
        debug_assert_eq!(values.len(), self.columns.len());
        [self.words].iter().chain(values).copied().collect::<Vec<_>>().join(" ")
    }

    /// The same of a row that was read.
    pub(super) fn bound_to_row(&self, row: &Row) -> String {
        let values = [row.2.as_str(), row.3.as_str()];
        self.bound_to(&values[..self.columns.len().min(values.len())])
    }

    /// Its rows, as SQL.
    pub(super) fn select(&self) -> String {
        let Self { name, key_id, sealed, .. } = self;
        let (first, second) = self.pair();
        format!("SELECT {key_id}, {sealed}, {first}, {second} FROM {name}")
    }

    /// The columns that its rows are bound to, as SQL; where there is one, the second is an empty text.
    pub(super) fn pair(&self) -> (&'static str, &'static str) {
        match self.columns {
            [first, second, ..] => (first, second),
            [first] => (first, "''"),
            [] => ("''", "''"),
        }
    }

    /// As SQL: the row counts at the instant that is parameter `$1`.
    pub(super) fn counts(&self) -> String {
        self.ends.map_or_else(|| "$1 IS NOT NULL".to_owned(), |ends| format!("{ends} > $1"))
    }

    /// As SQL: until when the row counts.
    pub(super) fn until(&self) -> &'static str {
        self.ends.unwrap_or("NULL")
    }
}

/// How many rows of a table a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The table's name.
    pub table: &'static str,
    /// Rows.
    pub rows: i64,
    /// Until when they need the key, where that ends by itself.
    pub until: Option<DateTime<Utc>>,
}
