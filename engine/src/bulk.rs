//! Many rows as one parameter each column: set-based writes whose text is the same for any number of rows.
//!
//! PostgreSQL takes an array a column; SQLite takes all of it as one JSON array, or one row as it is. Each gives a `SELECT`
//! to insert or join.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{
    Arguments as _, FromRow, PgConnection, Postgres, Row, SqliteConnection,
    error::BoxDynError,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow},
};

use crate::Tx;

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

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
    Json(Vec<&'a str>),
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

    /// A column of JSON texts.
    #[must_use]
    pub fn json(self, name: &'static str, values: impl Iterator<Item = &'a str>) -> Self {
        self.column(name, Column::Json(values.collect()))
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
            Tx::Sqlite(tx) => Ok(self.run_sqlite(tx, statement).await?.rows_affected()),
            Tx::Postgres(tx) => {
                let sql = statement(&self.postgres());
                Ok(self.bind(sqlx::query(&sql)).execute(&mut **tx).await?.rows_affected())
            }
        }
    }

    /// The same for a statement that returns rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fetch<T>(self, tx: &mut Tx, statement: impl FnOnce(&str) -> String) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        if self.len() == 0 {
            return Ok(Vec::new());
        }
        match tx {
            Tx::Sqlite(tx) => {
                let sql = statement(&self.sqlite());
                sqlx::query_as_with(&sql, self.sqlite_arguments()?).fetch_all(&mut **tx).await
            }
            Tx::Postgres(tx) => {
                let sql = statement(&self.postgres());
                let rows = self.bind(sqlx::query(&sql)).fetch_all(&mut **tx).await?;
                rows.iter().map(T::from_row).collect()
            }
        }
    }

    pub(crate) async fn run_sqlite(
        self,
        on: &mut SqliteConnection,
        statement: impl FnOnce(&str) -> String,
    ) -> Result<SqliteQueryResult, sqlx::Error> {
        sqlx::query_with(&statement(&self.sqlite()), self.sqlite_arguments()?).execute(on).await
    }

    /// The rows, from one JSON array; a single one from a parameter each, which costs half as much.
    fn sqlite(&self) -> String {
        // Without the WHERE, SQLite would take an ON CONFLICT for the condition of a join; without the LIMIT, it might read
        // the JSON again for each row of a table that the rows are joined with.
        let select = |value: fn(usize) -> String, from: &str| {
            let values = self.names.iter().enumerate().map(|(index, name)| format!("{} AS {name}", value(index)));
            format!("SELECT {}{from} WHERE true LIMIT -1", values.collect::<Vec<_>>().join(", "))
        };
        match self.len() {
            1 => select(|index| format!("${}", index + 1), ""),
            _ => select(|index| format!("value ->> {index}"), " FROM json_each($1)"),
        }
    }

    fn sqlite_arguments<'q>(&self) -> Result<SqliteArguments<'q>, sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        let added = match self.len() {
            1 => self.columns.iter().try_for_each(|column| column.add_first(&mut arguments)),
            _ => {
                let rows = (0..self.len()).map(|row| self.columns.iter().map(|column| column.value(row)).collect());
                arguments.add(Value::Array(rows.collect()).to_string())
            }
        };
        added.map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }

    /// Runs a statement that answers with one number.
    pub(crate) async fn run_postgres(
        self,
        on: &mut PgConnection,
        statement: impl FnOnce(&str) -> String,
    ) -> Result<i64, sqlx::Error> {
        let sql = statement(&self.postgres());
        self.bind(sqlx::query(&sql)).fetch_one(on).await?.try_get(0)
    }

    /// The rows, from one array a column.
    fn postgres(&self) -> String {
        let types = self.columns.iter().enumerate().map(|(index, c)| format!("${}::{}[]", index + 1, c.postgres()));
        let types = types.collect::<Vec<_>>().join(", ");
        let names = self.names();
        format!("SELECT {names} FROM unnest({types}) AS rows ({names})")
    }

    fn bind<'q>(self, query: PgQuery<'q>) -> PgQuery<'q>
    where
        'a: 'q,
    {
        self.columns.into_iter().fold(query, |query, column| column.bind(query))
    }
}

impl<'a> Column<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Time(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Json(values) => values.len(),
        }
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Text(values) => values[row].into(),
            Self::Int(values) => values[row].into(),
            // The form in which sqlx writes an instant, so that all of them compare as texts.
            Self::Time(values) => values[row].map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, false)).into(),
            Self::Bool(values) => values[row].into(),
            Self::Json(values) => values[row].into(),
        }
    }

    fn add_first(&self, arguments: &mut SqliteArguments<'_>) -> Result<(), BoxDynError> {
        match self {
            Self::Text(values) => arguments.add(values[0].map(ToOwned::to_owned)),
            Self::Int(values) => arguments.add(values[0]),
            Self::Time(values) => arguments.add(values[0]),
            Self::Bool(values) => arguments.add(values[0]),
            Self::Json(values) => arguments.add(values[0].to_owned()),
        }
    }

    fn postgres(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Int(_) => "bigint",
            Self::Time(_) => "timestamptz",
            Self::Bool(_) => "boolean",
            Self::Json(_) => "json",
        }
    }

    fn bind<'q>(self, query: PgQuery<'q>) -> PgQuery<'q>
    where
        'a: 'q,
    {
        match self {
            Self::Text(values) => query.bind(values),
            Self::Int(values) => query.bind(values),
            Self::Time(values) => query.bind(values),
            Self::Bool(values) => query.bind(values),
            Self::Json(values) => query.bind(values),
        }
    }
}

/// Fetches the rows whose key is among `keys`: `select` is given the condition that follows the key's name.
///
/// # Errors
/// When the database fails.
pub async fn fetch_among<T>(
    tx: &mut Tx,
    keys: &[&str],
    select: impl FnOnce(&str) -> String,
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    match tx {
        Tx::Sqlite(tx) => {
            let sql = select("IN (SELECT value FROM json_each($1))");
            sqlx::query_as(&sql).bind(serde_json::json!(keys).to_string()).fetch_all(&mut **tx).await
        }
        Tx::Postgres(tx) => sqlx::query_as(&select("= ANY($1)")).bind(keys).fetch_all(&mut **tx).await,
    }
}
