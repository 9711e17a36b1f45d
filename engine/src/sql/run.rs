//! Runs statements of sqlx wherever they are to run.

use std::panic::Location;

use sqlx::{Error, FromRow, postgres::PgArguments, postgres::PgRow, sqlite::SqliteArguments, sqlite::SqliteRow};

use super::On;
use crate::{Database, away};

/// A row that is read on either engine: what derives `sqlx::FromRow`, or a tuple.
pub trait Row: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin> Row for T {}

/// What is bound to a statement.
pub(super) trait Parameters {
    /// As SQLite takes it.
    fn sqlite(&self) -> Result<SqliteArguments<'_>, Error>;
    /// As PostgreSQL takes it.
    fn postgres(&self) -> Result<PgArguments, Error>;
    /// Whether the prepared statement is kept by the connection.
    fn is_kept(&self) -> bool {
        true
    }
    /// Where the statement was built.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "a test sees by it which engines ran it"))]
    fn site(&self) -> &'static Location<'static>;
}

macro_rules! run {
    ($parameters:ident, $on:expr, |$arguments:ident, $connection:ident| $run:expr) => {{
        let ran = async {
            let on: On<'_> = $on;
            #[cfg(feature = "testing")]
            super::sites::note($parameters.site(), on.dialect());
            match on {
                On::Database(Database::Sqlite(pools)) => {
                    let ($arguments, $connection) = ($parameters.sqlite()?, &pools.read);
                    $run.await
                }
                On::Writing(Database::Sqlite(pools)) => {
                    let mut turn = pools.writer.turn().await?;
                    let ($arguments, $connection) = ($parameters.sqlite()?, &mut *turn);
                    $run.await
                }
                On::Sqlite($connection) => {
                    let $arguments = $parameters.sqlite()?;
                    $run.await
                }
                On::Database(Database::Postgres($connection)) | On::Writing(Database::Postgres($connection)) => {
                    let $arguments = $parameters.postgres()?;
                    $run.await
                }
                On::Postgres($connection) => {
                    let $arguments = $parameters.postgres()?;
                    $run.await
                }
            }
        };
        ran.await.inspect_err(away::note)
    }};
}

pub(super) async fn fetch_all<T: Row>(text: &str, with: &impl Parameters, on: On<'_>) -> Result<Vec<T>, Error> {
    run!(with, on, |arguments, on| sqlx::query_as_with::<_, T, _>(text, arguments)
        .persistent(with.is_kept())
        .fetch_all(on))
}

pub(super) async fn fetch_optional<T: Row>(text: &str, with: &impl Parameters, on: On<'_>) -> Result<Option<T>, Error> {
    run!(with, on, |arguments, on| sqlx::query_as_with::<_, T, _>(text, arguments)
        .persistent(with.is_kept())
        .fetch_optional(on))
}

/// How many rows it touched.
pub(super) async fn execute(text: &str, with: &impl Parameters, on: On<'_>) -> Result<u64, Error> {
    let on = match on {
        On::Database(database) => On::Writing(database),
        other => other,
    };
    run!(with, on, |arguments, on| async {
        sqlx::query_with(text, arguments).persistent(with.is_kept()).execute(on).await.map(|done| done.rows_affected())
    })
}
