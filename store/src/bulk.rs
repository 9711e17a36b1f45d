//! Many rows as one parameter each column: set-based writes whose text is the same for any number of rows.
//!
//! PostgreSQL takes an array a column; SQLite takes all of it as one JSON array. Both give a `SELECT` to insert or join.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value as Json;
use sqlx::{FromRow, Postgres, postgres::PgRow, query::Query, sqlite::SqliteRow};

use crate::Tx;

/// Rows, column by column.
#[derive(Debug, Default)]
pub struct Bulk<'a> {
    names: Vec<&'static str>,
    columns: Vec<Column<'a>>,
}

#[derive(Debug)]
enum Column<'a> {
    Text(Vec<Option<&'a str>>),
    Int(Vec<i64>),
    Time(Vec<Option<DateTime<Utc>>>),
    Bool(Vec<bool>),
}

impl<'a> Bulk<'a> {
    /// A column of texts.
    #[must_use]
    pub fn text<T: Into<Option<&'a str>>>(self, name: &'static str, values: impl Iterator<Item = T>) -> Self {
        self.column(name, Column::Text(values.map(Into::into).collect()))
    }

    /// A column of numbers.
    #[must_use]
    pub fn int(self, name: &'static str, values: impl Iterator<Item = i64>) -> Self {
        self.column(name, Column::Int(values.collect()))
    }

    /// A column of instants.
    #[must_use]
    pub fn time<T: Into<Option<DateTime<Utc>>>>(self, name: &'static str, values: impl Iterator<Item = T>) -> Self {
        self.column(name, Column::Time(values.map(Into::into).collect()))
    }

    /// A column of yes and no.
    #[must_use]
    pub fn bool(self, name: &'static str, values: impl Iterator<Item = bool>) -> Self {
        self.column(name, Column::Bool(values.collect()))
    }

    fn column(mut self, name: &'static str, column: Column<'a>) -> Self {
        self.names.push(name);
        self.columns.push(column);
        self
    }

    /// The columns' names, for the list of an `INSERT`.
    pub fn names(&self) -> String {
        self.names.join(", ")
    }

    fn len(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// Runs a statement around the rows: `statement` is given the `SELECT` that yields them. No rows: nothing is done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(self, tx: &mut Tx, statement: impl FnOnce(&str) -> String) -> Result<u64, sqlx::Error> {
        if self.len() == 0 {
            return Ok(0);
        }
        match tx {
            Tx::Sqlite(tx) => {
                let values = self.names.iter().enumerate().map(|(index, name)| format!("value ->> {index} AS {name}"));
                // Without the WHERE, SQLite would take an ON CONFLICT for the condition of a join.
                let select = format!("SELECT {} FROM json_each($1) WHERE true", values.collect::<Vec<_>>().join(", "));
                let rows: Vec<Json> =
                    (0..self.len()).map(|row| self.columns.iter().map(|c| c.json(row)).collect()).collect();
                let sql = statement(&select);
                Ok(sqlx::query(&sql).bind(Json::Array(rows).to_string()).execute(&mut **tx).await?.rows_affected())
            }
            Tx::Postgres(tx) => {
                let types =
                    self.columns.iter().enumerate().map(|(index, c)| format!("${}::{}[]", index + 1, c.postgres()));
                let types = types.collect::<Vec<_>>().join(", ");
                let names = self.names();
                let sql = statement(&format!("SELECT {names} FROM unnest({types}) AS rows ({names})"));
                let query = self.columns.into_iter().fold(sqlx::query(&sql), |query, column| column.bind(query));
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
        }
    }
}

impl<'a> Column<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Time(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    fn json(&self, row: usize) -> Json {
        match self {
            Self::Text(values) => values[row].into(),
            Self::Int(values) => values[row].into(),
            // The form in which sqlx writes an instant, so that all of them compare as texts.
            Self::Time(values) => values[row].map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, false)).into(),
            Self::Bool(values) => values[row].into(),
        }
    }

    fn postgres(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Int(_) => "bigint",
            Self::Time(_) => "timestamptz",
            Self::Bool(_) => "boolean",
        }
    }

    fn bind<'q>(
        self,
        query: Query<'q, Postgres, sqlx::postgres::PgArguments>,
    ) -> Query<'q, Postgres, sqlx::postgres::PgArguments>
    where
        'a: 'q,
    {
        match self {
            Self::Text(values) => query.bind(values),
            Self::Int(values) => query.bind(values),
            Self::Time(values) => query.bind(values),
            Self::Bool(values) => query.bind(values),
        }
    }
}

/// Fetches the rows whose key is among `keys`: `select` ends with the key's name, such as `… WHERE account_id`.
///
/// # Errors
/// When the database fails.
pub async fn fetch_among<T>(tx: &mut Tx, select: &str, keys: &[&str]) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    match tx {
        Tx::Sqlite(tx) => {
            let sql = format!("{select} IN (SELECT value FROM json_each($1))");
            sqlx::query_as(&sql).bind(serde_json::json!(keys).to_string()).fetch_all(&mut **tx).await
        }
        Tx::Postgres(tx) => sqlx::query_as(&format!("{select} = ANY($1)")).bind(keys).fetch_all(&mut **tx).await,
    }
}
