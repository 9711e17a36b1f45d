//! A database that is away, moved or full: which errors say so, and which connections are not used again after them.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::Error;

/// No connection is older, so that a server that came back under another address is found.
pub(crate) const MAX_AGE: Duration = Duration::from_mins(30);
/// Connections are given up no more often than this, for an error that each of them may meet.
const AT_MOST_EVERY: u64 = 500;

/// How many connections to PostgreSQL this process has made.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Milliseconds since [`BEGUN`]: connections from before are not used again; 0: none was given up yet.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

/// Whether the database can't do what was asked for now, and may later: it can't be reached, shuts down, is a standby, or has
/// no room. Source: PostgreSQL, appendix A, "PostgreSQL Error Codes"; SQLite, "Result and Error Codes".
pub fn is_away(error: &Error) -> bool {
    /// Busy, read-only, an error of the disk, full, can't be opened.
    const OF_SQLITE: [i32; 5] = [5, 8, 10, 13, 14];
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => true,
        Error::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            match cause.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                // Connection exceptions, insufficient resources, system errors.
                Some(_) => ends_connection(&code) || ["08", "53", "58"].iter().any(|class| code.starts_with(class)),
                None => code.parse().is_ok_and(|code: i32| OF_SQLITE.contains(&(code & 0xff))),
            }
        }
        _ => false,
    }
}

/// A connection to PostgreSQL is made.
pub(crate) fn connected() {
    CONNECTIONS.fetch_add(1, Ordering::Relaxed);
}

/// How many there were: with another number than before, another server may answer.
pub(crate) fn connections() -> u64 {
    CONNECTIONS.load(Ordering::Relaxed)
}

/// Whether the database's disk is full: PostgreSQL's `disk_full`, SQLite's `SQLITE_FULL`.
pub(crate) fn is_no_room(error: &Error) -> bool {
    let Error::Database(cause) = error else { return false };
    matches!(cause.code().as_deref(), Some("53100" | "13"))
}

/// PostgreSQL's `read_only_sql_transaction`, `admin_shutdown`, `crash_shutdown`, `cannot_connect_now` and
/// `idle_in_transaction_session_timeout` (this process or the server was frozen), and all connection exceptions.
fn ends_connection(code: &str) -> bool {
    matches!(code, "25006" | "57P01" | "57P02" | "57P03" | "25P03") || code.starts_with("08")
}

/// Whether a connection that met this error may be used again.
pub(crate) fn leaves_usable(error: &Error) -> bool {
    match error {
        Error::Database(cause) => !ends_connection(&cause.code().unwrap_or_default()),
        _ => false,
    }
}

/// Notes an error: after one that says that its server is the wrong one now, no connection from before is used again.
pub(crate) fn note(error: &Error) {
    if let Error::Database(cause) = error
        && ends_connection(&cause.code().unwrap_or_default())
    {
        give_up();
    }
}

/// All connections from before are not used again.
pub(crate) fn give_up() {
    let now = since_begun(Instant::now());
    let given_up = GIVEN_UP.load(Ordering::Relaxed);
    if given_up == 0 || now >= given_up + AT_MOST_EVERY {
        GIVEN_UP.store(now, Ordering::Relaxed);
    }
}

/// Whether a connection that was made then may be used.
pub(crate) fn is_usable(made: Instant) -> bool {
    let given_up = GIVEN_UP.load(Ordering::Relaxed);
    made.elapsed() < MAX_AGE && (given_up == 0 || since_begun(made) > given_up)
}

fn since_begun(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*BEGUN).as_millis()).unwrap_or(u64::MAX).max(1)
}
