//! What differs between the engines' SQL.

/// An engine's SQL, where it differs from the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

impl Dialect {
    /// The engine's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// What follows a `SELECT` of rows that this transaction alone shall work on; those of others are passed over.
    /// On SQLite a transaction that writes is alone already.
    pub const fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// What follows a `SELECT` of rows that nobody else shall change before the transaction ends; it waits for those who do.
    pub const fn locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// What follows a `SELECT` of rows that nobody else shall delete before the transaction ends.
    pub const fn kept(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR KEY SHARE",
        }
    }

    /// The database's own clock, which all nodes share: so many seconds from now.
    pub fn clock(self, seconds: i64) -> String {
        match self {
            Self::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '+{seconds} seconds')"),
            Self::Postgres => format!("CURRENT_TIMESTAMP + interval '{seconds} seconds'"),
        }
    }

    /// The condition that nobody holds a table's row whose leases last so many seconds. One that lasts longer than any is of a time at
    /// which the database's clock was wrong.
    pub fn is_free(self, table: &str, seconds: i64) -> String {
        let (now, longest) = (self.clock(0), self.clock(2 * seconds));
        let until = format!("{table}.leased_until");
        format!("({until} IS NULL OR {until} < {now} OR {until} > {longest})")
    }

    /// An expression whose type is an instant, where the engine can't see that, as of a `NULL`.
    pub fn instant(self, expression: &str) -> String {
        match self {
            Self::Sqlite => expression.to_owned(),
            Self::Postgres => format!("CAST({expression} AS TIMESTAMPTZ)"),
        }
    }

    /// A column that lets the transaction's commit not wait for the disk. For what can be made again from the journal: a
    /// crash loses the last of it together with its checkpoint. (SQLite can't say so for one transaction.)
    pub const fn unhurried(self) -> &'static str {
        match self {
            Self::Sqlite => "''",
            Self::Postgres => "set_config('synchronous_commit', 'off', true)",
        }
    }

    /// What follows a column whose value is among the texts of a parameter ([`crate::Value::Texts`]).
    pub fn among(self, parameter: &str) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each({parameter}))"),
            Self::Postgres => format!("= ANY({parameter})"),
        }
    }

    /// Where a text begins in another, from 1; 0 if it isn't in it.
    pub fn place(self, within: &str, text: &str) -> String {
        match self {
            Self::Sqlite => format!("instr({within}, {text})"),
            Self::Postgres => format!("strpos({within}, {text})"),
        }
    }

    /// A column of JSON as its text.
    pub(crate) fn text_of_json(self, column: &str) -> String {
        match self {
            Self::Sqlite => column.to_owned(),
            Self::Postgres => format!("{column}::text"),
        }
    }

    /// Empties a table.
    pub(crate) fn empty(self, table: &str) -> String {
        match self {
            Self::Sqlite => format!("DELETE FROM {table}"),
            Self::Postgres => format!("TRUNCATE {table}"),
        }
    }
}
