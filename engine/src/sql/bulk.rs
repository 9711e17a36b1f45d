//! Many rows as one parameter each column: set-based writes whose text is the same for any number of rows.
//!
//! PostgreSQL takes an array a column; SQLite takes all of it as one JSON array, or one row as it is. Each gives a `SELECT`
//! to insert or join.

use std::panic::Location;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{
    Arguments as _, Error, SqliteConnection, error::BoxDynError, postgres::PgArguments, sqlite::SqliteArguments,
};

use super::{
    Dialect, On, Row,
    run::{self, Parameters},
};

/// Rows, column by column.
#[derive(Debug)]
#[must_use = "rows do nothing before a statement runs with them"]
pub struct Bulk<'a> {
    names: Vec<&'static str>,
    columns: Vec<Column<'a>>,
    site: &'static Location<'static>,
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
    /// Rows without columns.
    #[expect(clippy::new_without_default, reason = "a default would not know where it was called")]
    #[track_caller]
    pub fn new() -> Self {
        Self { names: Vec::new(), columns: Vec::new(), site: Location::caller() }
    }

    /// A column of texts.
    pub fn text<T: Into<Option<&'a str>>>(self, name: &'static str, values: impl Iterator<Item = T>) -> Self {
        self.column(name, Column::Text(values.map(Into::into).collect()))
    }

    /// A column of numbers.
    pub fn int(self, name: &'static str, values: impl Iterator<Item = i64>) -> Self {
        self.column(name, Column::Int(values.collect()))
    }

    /// A column of instants.
    pub fn time<T: Into<Option<DateTime<Utc>>>>(self, name: &'static str, values: impl Iterator<Item = T>) -> Self {
        self.column(name, Column::Time(values.map(Into::into).collect()))
    }

    /// A column of yes and no.
    pub fn bool(self, name: &'static str, values: impl Iterator<Item = bool>) -> Self {
        self.column(name, Column::Bool(values.collect()))
    }

    /// A column of JSON texts.
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

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Executes a statement around the rows: `statement` is given the `SELECT` that yields them. How many rows it touched;
    /// without rows, nothing is done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn execute(self, on: impl Into<On<'_>>, statement: impl FnOnce(&str) -> String) -> Result<u64, Error> {
        if self.is_empty() {
            return Ok(0);
        }
        let on = on.into();
        run::execute(&statement(&self.select(on.dialect())), &self, on).await
    }

    /// The same for a statement that returns rows.
    ///
    /// # Errors
    /// When the database fails, or a row can't be read.
    pub async fn fetch_all<T: Row>(
        self,
        on: impl Into<On<'_>>,
        statement: impl FnOnce(&str) -> String,
    ) -> Result<Vec<T>, Error> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let on = on.into();
        run::fetch_all(&statement(&self.select(on.dialect())), &self, on).await
    }

    /// Executes an `INSERT` on SQLite; the id of the last row.
    pub(crate) async fn insert_sqlite(
        self,
        on: &mut SqliteConnection,
        statement: impl FnOnce(&str) -> String,
    ) -> Result<i64, Error> {
        #[cfg(feature = "testing")]
        super::sites::note(self.site, Dialect::Sqlite);
        let sql = statement(&self.select(Dialect::Sqlite));
        let done = sqlx::query_with(&sql, self.sqlite()?).execute(on).await?;
        Ok(done.last_insert_rowid())
    }

    fn select(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Sqlite => self.select_sqlite(),
            Dialect::Postgres => self.select_postgres(),
        }
    }

    /// The rows, from one JSON array; a single one from a parameter each, which costs half as much.
    fn select_sqlite(&self) -> String {
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

    /// The rows, from one array a column.
    fn select_postgres(&self) -> String {
        let types = self.columns.iter().enumerate().map(|(index, c)| format!("${}::{}[]", index + 1, c.postgres()));
        let types = types.collect::<Vec<_>>().join(", ");
        let names = self.names();
        format!("SELECT {names} FROM unnest({types}) AS rows ({names})")
    }
}

impl Parameters for Bulk<'_> {
    fn sqlite(&self) -> Result<SqliteArguments<'_>, Error> {
        let mut arguments = SqliteArguments::default();
        let added = match self.len() {
            1 => self.columns.iter().try_for_each(|column| column.add_first(&mut arguments)),
            _ => {
                let rows = (0..self.len()).map(|row| self.columns.iter().map(|column| column.value(row)).collect());
                arguments.add(Value::Array(rows.collect()).to_string())
            }
        };
        added.map(|()| arguments).map_err(Error::Encode)
    }

    fn postgres(&self) -> Result<PgArguments, Error> {
        let mut arguments = PgArguments::default();
        let added = self.columns.iter().try_for_each(|column| column.add_all(&mut arguments));
        added.map(|()| arguments).map_err(Error::Encode)
    }

    fn site(&self) -> &'static Location<'static> {
        self.site
    }
}

impl Column<'_> {
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

    fn add_all(&self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Text(values) => arguments.add(values),
            Self::Int(values) => arguments.add(values),
            Self::Time(values) => arguments.add(values),
            Self::Bool(values) => arguments.add(values),
            Self::Json(values) => arguments.add(values),
        }
    }
}
