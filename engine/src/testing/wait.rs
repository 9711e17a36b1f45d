//! Waiting in tests: for a condition, with a deadline. Nothing else in test code sleeps; `tests/tests/house.rs` sees to it.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// How soon a condition is looked at again: at first, and at last. In between, after an eighth of the time that it has taken, so
/// that what takes long isn't slowed by looking at it.
const SOONEST: Duration = Duration::from_millis(5);
const LATEST: Duration = Duration::from_millis(250);
/// How long a condition may take. Only tests that fail wait so long, and a busy machine is slow.
const DEADLINE: Duration = Duration::from_mins(2);

/// Waits until something is so.
///
/// # Panics
/// When it isn't within two minutes.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    found(what, async || if is_so().await { Ok(()) } else { Err("not so") }).await;
}

/// Waits until `look` finds something, and returns it. Its error is what is there instead, for the panic's message.
///
/// # Panics
/// When it finds nothing within two minutes.
pub async fn found<T, E: Display>(what: &str, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => assert!(begun.elapsed() < DEADLINE, "{what} doesn't come: {instead}"),
        }
        tokio::time::sleep((begun.elapsed() / 8).clamp(SOONEST, LATEST)).await;
    }
}

/// Lets a while pass before the test breaks something. It chooses the moment of the fault; it never waits for the
/// program, which [`until`] does.
pub async fn fault_after(delay: Duration) {
    tokio::time::sleep(delay).await;
}
