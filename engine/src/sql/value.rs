//! Parameters of queries.

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::{Arguments, postgres::PgArguments, sqlite::SqliteArguments};

/// A parameter of a [`Query`](crate::Query).
#[derive(Debug, Clone)]
pub enum Value {
    /// A text, or an id as text.
    Text(Option<String>),
    /// Several, for [`Dialect::among`](crate::Dialect::among).
    Texts(Vec<String>),
    /// A number.
    Int(Option<i64>),
    /// Yes or no.
    Bool(bool),
    /// An instant, cut to microseconds.
    Time(Option<DateTime<Utc>>),
    /// Bytes, such as a ciphertext.
    Bytes(Option<Vec<u8>>),
}

macro_rules! arguments {
    ($name:ident, $arguments:ty, |$texts:ident| $array:expr) => {
        pub(super) fn $name(values: &[Value]) -> Result<$arguments, sqlx::Error> {
            let mut arguments = <$arguments>::default();
            for value in values {
                match value {
                    Value::Text(text) => arguments.add(text.as_deref()),
                    Value::Texts($texts) => arguments.add($array),
                    Value::Int(number) => arguments.add(number),
                    Value::Bool(is_so) => arguments.add(is_so),
                    Value::Time(at) => arguments.add(at),
                    Value::Bytes(bytes) => arguments.add(bytes.as_deref()),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            Ok(arguments)
        }
    };
}

arguments!(sqlite, SqliteArguments<'_>, |texts| serde_json::json!(texts).to_string());
arguments!(postgres, PgArguments, |texts| texts);

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
    &String => |text| Self::Text(Some(text.clone()));
    String => |text| Self::Text(Some(text));
    Option<&str> => |text| Self::Text(text.map(ToOwned::to_owned));
    Option<String> => |text| Self::Text(text);
    &Option<String> => |text| Self::Text(text.clone());
    &[&str] => |texts| Self::Texts(texts.iter().map(|&text| text.to_owned()).collect());
    Vec<String> => |texts| Self::Texts(texts);
    i64 => |number| Self::Int(Some(number));
    i32 => |number| Self::Int(Some(number.into()));
    u32 => |number| Self::Int(Some(number.into()));
    Option<i64> => |number| Self::Int(number);
    bool => |is_so| Self::Bool(is_so);
    DateTime<Utc> => |at| Self::Time(Some(at.trunc_subsecs(6)));
    Option<DateTime<Utc>> => |at| Self::Time(at.map(|at| at.trunc_subsecs(6)));
    Vec<u8> => |bytes| Self::Bytes(Some(bytes));
    &Vec<u8> => |bytes| Self::Bytes(Some(bytes.clone()));
    &[u8] => |bytes| Self::Bytes(Some(bytes.to_vec()));
    Option<Vec<u8>> => |bytes| Self::Bytes(bytes);
}
