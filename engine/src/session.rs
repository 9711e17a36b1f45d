//! The session of a connection to PostgreSQL: its settings, and whether a pooler between lets it have one.

use std::{fmt, io::ErrorKind, time::Duration};

use futures::future::BoxFuture;
use sqlx::{Connection as _, Error, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions, raw_sql};
use tokio::time::timeout;

use crate::StoreError;

/// What is set on each connection. Set, and not asked for at its start: poolers drop what they are asked for there.
const SETTINGS: [(&str, &str); 7] = [
    // Whoever holds the journal's order or a checkpoint and stops talking, as a frozen machine does, must not stop everybody
    // else for long.
    ("idle_in_transaction_session_timeout", "4s"),
    ("statement_timeout", "60s"),
    // Short queries of many: helpers would take longer to start than most of them last.
    ("max_parallel_workers_per_gather", "0"),
    // The server notices a node that is gone without a word (a cut cable, a dead machine) within 5 seconds, and its locks with
    // it: another node takes over.
    ("tcp_keepalives_idle", "2"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "2"),
    ("tcp_user_timeout", "4s"),
];
/// How long a pooler may take to find a session for a second connection.
const POOLER: Duration = Duration::from_secs(5);

/// Sets what a new connection's session is to have, in one round trip.
pub(crate) fn settle<'c>(connection: &'c mut PgConnection, more: &[(&str, &str)]) -> BoxFuture<'c, Result<(), Error>> {
    let set = SETTINGS.iter().chain(more).map(|(name, value)| format!("SET {name} = '{value}'"));
    let set = set.collect::<Vec<_>>().join("; ");
    Box::pin(async move { connection.execute(&*set).await.map(drop) })
}

/// Connects twice, so that a wrong address or password is said at once and in words, and that a pooler shows itself which gives
/// each transaction whatever session is free.
pub(crate) async fn try_out(options: &PgConnectOptions) -> Result<(), StoreError> {
    let (mut one, mut two) = (connect(options).await?, connect(options).await?);
    let first = pid(&mut one).await?;
    raw_sql("BEGIN").execute(&mut two).await?;
    // Not prepared: it would meet the other's statement.
    let second: i32 = raw_sql("SELECT pg_backend_pid()").fetch_one(&mut two).await?.try_get(0)?;
    if first == second {
        let again = timeout(POOLER, pid(&mut one)).await;
        if !matches!(again, Ok(Ok(_))) {
            return Err(StoreError::Connection(
                "a pooler in transaction mode is in the way, which loses prepared statements: use session mode \
                 (pool_mode = session), or PgBouncer 1.21 or later with max_prepared_statements"
                    .to_owned(),
            ));
        }
        tracing::warn!(
            event = "database.pooled",
            "a pooler in transaction mode is in between: set idle_in_transaction_session_timeout to 4s for the role, and \
             expect other nodes to be woken late (LISTEN needs a session); session mode has neither"
        );
    }
    two.close().await?;
    Ok(one.close().await?)
}

async fn pid(connection: &mut PgConnection) -> Result<i32, Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    PgConnection::connect_with(options).await.map_err(|error| match error {
        Error::Tls(cause) => tls(&*cause),
        // What the TLS library says reaches here as an error of the stream.
        Error::Io(cause) if cause.kind() == ErrorKind::InvalidData => tls(&cause),
        error => error.into(),
    })
}

fn tls(cause: &dyn fmt::Display) -> StoreError {
    StoreError::Connection(format!(
        "the server's TLS can't be used ({cause}): give it a certificate that can be read (X.509 version 3), or go on without \
         TLS by sslmode=disable in the URL"
    ))
}
