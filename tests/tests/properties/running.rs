//! Runs a property for its share of the time, with new random inputs until that is over.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

/// How long all properties together take on three threads, in seconds, unless `RELIGHT_TEST_SECONDS_OF_PROPERTIES` says
/// otherwise.
pub(crate) const SECONDS: u64 = 20;
/// Inputs between two looks at the time: few, for one may take a second.
const CASES: u32 = 16;
/// How many smaller inputs are tried after a failure.
const SHRINK_ITERATIONS: u32 = 1_000;

/// Whether a property holds for one input.
pub(crate) type Held = Result<(), TestCaseError>;

/// The share of a property that calls a running service, in percent of [`SECONDS`].
pub(crate) const SERVICE: u32 = 25;
/// The share of a property of a function.
pub(crate) const FUNCTION: u32 = 5;

fn time(percent: u32) -> Duration {
    let set = std::env::var("RELIGHT_TEST_SECONDS_OF_PROPERTIES").ok().and_then(|number| number.parse().ok());
    Duration::from_secs(set.unwrap_or(SECONDS)) * percent / 100
}

/// Runs a property for its share.
///
/// # Panics
/// When it doesn't hold, with the smallest input that was found.
pub(crate) fn holds<S>(percent: u32, inputs: &S, property: impl Fn(S::Value) -> Held)
where
    S: Strategy<Value: Debug>,
{
    let until = Instant::now() + time(percent);
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: SHRINK_ITERATIONS, ..Config::default() };
    loop {
        if let Err(failure) = TestRunner::new(config.clone()).run(inputs, &property) {
            panic!("{failure}");
        }
        if Instant::now() >= until {
            return;
        }
    }
}

/// The same for a property that waits for answers, on a runtime of several threads.
///
/// # Panics
/// As [`holds`].
pub(crate) fn holds_async<S>(percent: u32, inputs: &S, property: impl AsyncFn(S::Value) -> Held)
where
    S: Strategy<Value: Debug>,
{
    holds(percent, inputs, |input| block_in_place(|| Handle::current().block_on(property(input))));
}
