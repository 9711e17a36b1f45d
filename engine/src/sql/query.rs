//! A statement and its parameters.

use std::{borrow::Cow, panic::Location};

use sqlx::{Error, postgres::PgArguments, sqlite::SqliteArguments};

use super::{
    On, Row, Value,
    run::{self, Parameters},
    value,
};

/// A statement and its parameters: see [`sql`].
#[derive(Debug, Clone)]
#[must_use = "a query does nothing before it runs"]
pub struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
    is_guarded: bool,
    is_kept: bool,
    site: &'static Location<'static>,
}

/// A statement with parameters `$1`, `$2`, …, which are bound in their order.
///
/// It runs on a [`crate::Database`], in a transaction ([`crate::Tx`]), or is added to a unit ([`crate::Unit::write`]).
///
/// ```no_run
/// # async fn run(database: engine::Database) -> Result<(), engine::sqlx::Error> {
/// use engine::sql;
///
/// let has: i64 = sql("SELECT has FROM balances WHERE id = $1").bind("ann").scalar(&database).await?;
/// let mut tx = database.begin().await?;
/// sql("UPDATE balances SET has = $1 WHERE id = $2").bind(has - 30).bind("ann").execute(&mut tx).await?;
/// tx.commit().await
/// # }
/// ```
#[track_caller]
pub fn sql(text: impl Into<Cow<'static, str>>) -> Query {
    Query { text: text.into(), values: Vec::new(), is_guarded: false, is_kept: true, site: Location::caller() }
}

impl Query {
    /// The next parameter's value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Refuses the whole unit ([`crate::CommitError::Refused`]) unless the statement touches a row.
    pub fn guarded(mut self) -> Self {
        self.is_guarded = true;
        self
    }

    /// Lets the engine plan it for its values each time. Without it a statement is planned once a connection.
    pub fn planned_anew(mut self) -> Self {
        self.is_kept = false;
        self
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.is_guarded
    }

    /// All rows.
    ///
    /// # Errors
    /// When the database fails, or a row can't be read.
    pub async fn fetch_all<T: Row>(&self, on: impl Into<On<'_>>) -> Result<Vec<T>, Error> {
        run::fetch_all(&self.text, self, on.into()).await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// When the database fails, or the row can't be read.
    pub async fn fetch_optional<T: Row>(&self, on: impl Into<On<'_>>) -> Result<Option<T>, Error> {
        run::fetch_optional(&self.text, self, on.into()).await
    }

    /// The first row.
    ///
    /// # Errors
    /// [`Error::RowNotFound`] if there is none; when the database fails, or the row can't be read.
    pub async fn fetch_one<T: Row>(&self, on: impl Into<On<'_>>) -> Result<T, Error> {
        self.fetch_optional(on).await?.ok_or(Error::RowNotFound)
    }

    /// The first column of all rows.
    ///
    /// # Errors
    /// As [`Self::fetch_all`].
    pub async fn scalars<T>(&self, on: impl Into<On<'_>>) -> Result<Vec<T>, Error>
    where
        (T,): Row,
    {
        Ok(self.fetch_all(on).await?.into_iter().map(|(value,)| value).collect())
    }

    /// The first column of the first row, if there is one.
    ///
    /// # Errors
    /// As [`Self::fetch_optional`].
    pub async fn scalar_optional<T>(&self, on: impl Into<On<'_>>) -> Result<Option<T>, Error>
    where
        (T,): Row,
    {
        Ok(self.fetch_optional(on).await?.map(|(value,)| value))
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// As [`Self::fetch_one`].
    pub async fn scalar<T>(&self, on: impl Into<On<'_>>) -> Result<T, Error>
    where
        (T,): Row,
    {
        self.fetch_one(on).await.map(|(value,)| value)
    }

    /// Executes it; how many rows it touched.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn execute(&self, on: impl Into<On<'_>>) -> Result<u64, Error> {
        run::execute(&self.text, self, on.into()).await
    }
}

impl Parameters for Query {
    fn sqlite(&self) -> Result<SqliteArguments<'_>, Error> {
        value::sqlite(&self.values)
    }

    fn postgres(&self) -> Result<PgArguments, Error> {
        value::postgres(&self.values)
    }

    fn is_kept(&self) -> bool {
        self.is_kept
    }

    fn site(&self) -> &'static Location<'static> {
        self.site
    }
}
