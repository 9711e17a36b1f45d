//! A write to a row that belongs to a unit's events, as data.

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::Arguments;

use crate::Tx;

/// A write to a row that belongs to a unit's events, as data.
#[derive(Debug, Clone)]
pub struct Write {
    sql: &'static str,
    values: Vec<Value>,
    pub(crate) guarded: bool,
}

impl Write {
    /// A statement with parameters `$1`, `$2`, …
    pub fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new(), guarded: false }
    }

    /// The next parameter's value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Refuses the whole unit ([`CommitError::Refused`]) unless the statement touches a row.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// Runs it; how many rows it touched.
    pub(crate) async fn run(&self, tx: &mut Tx) -> Result<u64, sqlx::Error> {
        macro_rules! run {
            ($tx:expr, $arguments:ty) => {{
                let mut arguments = <$arguments>::default();
                for value in &self.values {
                    match value {
                        Value::Text(text) => arguments.add(text.as_deref()),
                        Value::Int(number) => arguments.add(number),
                        Value::Time(at) => arguments.add(at),
                        Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
                    }
                    .map_err(sqlx::Error::Encode)?;
                }
                sqlx::query_with(self.sql, arguments).execute(&mut **$tx).await.map(|done| done.rows_affected())
            }};
        }
        match tx {
            Tx::Sqlite(tx) => run!(tx, sqlx::sqlite::SqliteArguments<'_>),
            Tx::Postgres(tx) => run!(tx, sqlx::postgres::PgArguments),
        }
    }
}

/// A parameter of a [`Write`].
#[derive(Debug, Clone)]
pub enum Value {
    /// A text, or an id as text.
    Text(Option<String>),
    /// A number.
    Int(Option<i64>),
    /// An instant, cut to microseconds.
    Time(Option<DateTime<Utc>>),
    /// Bytes, such as a ciphertext.
    Bytes(Vec<u8>),
}

macro_rules! value {
    ($($from:ty => |$value:ident| $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}

value! {
    &str => |text| Self::Text(Some(text.to_owned()));
    String => |text| Self::Text(Some(text));
    Option<String> => |text| Self::Text(text);
    i64 => |number| Self::Int(Some(number));
    Option<i64> => |number| Self::Int(number);
    DateTime<Utc> => |at| Self::Time(Some(at.trunc_subsecs(6)));
    Option<DateTime<Utc>> => |at| Self::Time(at.map(|at| at.trunc_subsecs(6)));
    Vec<u8> => |bytes| Self::Bytes(bytes);
}
