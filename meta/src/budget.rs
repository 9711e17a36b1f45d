//! How much of what Meta allows an app is used up, as the headers of its answers say.
//!
//! `X-App-Usage` gives percents of a rolling hour for the whole app; `X-Business-Use-Case-Usage` the same for each business
//! or account, and for how long it is shut out. Calling while throttled lengthens the block.
//! Source: Meta, "Graph API: Rate Limits".

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use serde::Deserialize;

/// From this percentage on, calls that nobody waits for are spaced…
pub const SLOWER_FROM: f64 = 75.0;
/// …and from this on, not made.
pub const RESERVED_FROM: f64 = 95.0;
/// At a hundred percent, without a word on how long: long enough that a rolling hour has moved on.
const PAUSE: TimeDelta = TimeDelta::minutes(15);
/// What is used falls out of the rolling hour.
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// How many businesses' own budgets are remembered.
const USE_CASES: usize = 10_000;

/// The program's clock.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The budget of one app. Clones are the same.
#[derive(Clone)]
pub struct Budget {
    now: Now,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    app: Option<(f64, DateTime<Utc>)>,
    use_cases: BTreeMap<String, (f64, DateTime<Utc>)>,
    paused_until: Option<DateTime<Utc>>,
    /// When the next call may be made that nobody waits for.
    next_quiet: Option<DateTime<Utc>>,
}

/// How a budget stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// The app's percentage, by now, and when Meta last told it.
    pub app: Option<(f64, DateTime<Utc>)>,
    /// The highest percentage of a business or account, and of how many it is known.
    pub use_case: Option<(f64, usize)>,
    /// Until when no call is made.
    pub paused_until: Option<DateTime<Utc>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

#[derive(Deserialize)]
struct Percents {
    #[serde(default)]
    call_count: f64,
    #[serde(default)]
    total_time: f64,
    #[serde(default)]
    total_cputime: f64,
    /// In minutes.
    #[serde(default)]
    estimated_time_to_regain_access: f64,
}

impl Percents {
    fn highest(&self) -> f64 {
        self.call_count.max(self.total_time).max(self.total_cputime)
    }

    fn shut_out_for(&self) -> Option<TimeDelta> {
        #[expect(clippy::cast_possible_truncation, reason = "minutes, bounded by a week")]
        let minutes = self.estimated_time_to_regain_access.clamp(0.0, 7.0 * 1_440.0).ceil() as i64;
        (minutes > 0).then(|| TimeDelta::minutes(minutes))
    }
}

impl Budget {
    pub(crate) fn new(now: Now) -> Self {
        Self { now, state: Arc::default() }
    }

    /// Takes in what an answer's headers say; for how long the business or account that it was about is shut out.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Option<TimeDelta> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let now = (self.now)();
        if let Some(usage) = text("x-app-usage").and_then(|text| serde_json::from_str::<Percents>(text).ok()) {
            let mut state = self.state();
            state.app = Some((usage.highest(), now));
            if usage.highest() >= 100.0 {
                let until = now + usage.shut_out_for().unwrap_or(PAUSE);
                state.paused_until = state.paused_until.max(Some(until));
            }
        }
        let text = text("x-business-use-case-usage")?;
        let usages: BTreeMap<String, Vec<Percents>> = serde_json::from_str(text).ok()?;
        let shut_out = usages.values().flatten().filter_map(Percents::shut_out_for).max();
        let mut state = self.state();
        for (id, usage) in usages {
            let highest = usage.iter().map(Percents::highest).fold(0.0, f64::max);
            if state.use_cases.len() < USE_CASES || state.use_cases.contains_key(&id) {
                state.use_cases.insert(id, (highest, now));
            } else {
                state.use_cases.retain(|_, (_, at)| now - *at < WINDOW);
            }
        }
        shut_out
    }

    /// Meta throttles the whole app, whatever the headers say.
    pub fn pause(&self) {
        let until = (self.now)() + PAUSE;
        let mut state = self.state();
        if state.paused_until.is_none_or(|paused| paused < (self.now)()) {
            state.paused_until = Some(until);
        }
    }

    /// Whether calls may have to wait: most of the time they needn't.
    pub fn is_short(&self) -> bool {
        let now = (self.now)();
        let state = self.state();
        state.paused_until.is_some_and(|until| until > now)
            || state.app.is_some_and(|app| faded(app, now) >= SLOWER_FROM)
    }

    /// How long a call should wait; `None`: it may be made now. `first`: somebody waits for it.
    pub fn wait(&self, first: bool) -> Option<TimeDelta> {
        let now = (self.now)();
        let mut state = self.state();
        if let Some(until) = state.paused_until.filter(|until| *until > now) {
            return Some(until - now);
        }
        state.paused_until = None;
        let used = state.app.map_or(0.0, |app| faded(app, now));
        if first || used < SLOWER_FROM {
            return None;
        }
        if used >= RESERVED_FROM {
            // Until enough has fallen out of the hour.
            return Some(TimeDelta::minutes(5));
        }
        drop(state);
        #[expect(clippy::cast_possible_truncation, reason = "at most 20,000 ms")]
        self.space(TimeDelta::milliseconds(((used - SLOWER_FROM) * 1_000.0) as i64))
    }

    /// Spaces calls: how long this one should wait; `None`: it may be made, and the next one so much later.
    pub fn space(&self, apart: TimeDelta) -> Option<TimeDelta> {
        let now = (self.now)();
        let mut state = self.state();
        if let Some(next) = state.next_quiet.filter(|next| *next > now) {
            return Some(next - now);
        }
        state.next_quiet = Some(now + apart);
        None
    }

    /// How it stands.
    pub fn usage(&self) -> Usage {
        let now = (self.now)();
        let state = self.state();
        let known = state.use_cases.values().map(|usage| faded(*usage, now));
        Usage {
            app: state.app.map(|app| (faded(app, now), app.1)),
            use_case: (!state.use_cases.is_empty()).then(|| (known.fold(0.0, f64::max), state.use_cases.len())),
            paused_until: state.paused_until.filter(|until| *until > now),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of a percentage by now, if nothing was added: the hour rolls on.
fn faded((percent, at): (f64, DateTime<Utc>), now: DateTime<Utc>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an hour in milliseconds is a small number")]
    let part = (now - at).num_milliseconds().max(0) as f64 / WINDOW.num_milliseconds() as f64;
    percent * (1.0 - part).max(0.0)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    struct Fixture {
        budget: Budget,
        at: Arc<Mutex<DateTime<Utc>>>,
    }

    impl Fixture {
        fn new() -> Self {
            let at = Arc::new(Mutex::new(DateTime::UNIX_EPOCH));
            let clock = at.clone();
            Self { budget: Budget::new(Arc::new(move || *clock.lock().expect("unbroken"))), at }
        }

        fn read(&self, name: &'static str, value: &str) -> Option<TimeDelta> {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).expect("a header"));
            self.budget.read(&headers)
        }

        fn app(&self, percent: u32) {
            self.read("x-app-usage", &format!(r#"{{"call_count":{percent},"total_time":25,"total_cputime":25}}"#));
        }

        fn pass(&self, minutes: i64) {
            *self.at.lock().expect("unbroken") += TimeDelta::minutes(minutes);
        }
    }

    #[test]
    fn calls_slow_down_before_the_limit_and_pause_at_it() {
        let fixture = Fixture::new();
        let wait = |first| fixture.budget.wait(first).map(|wait| wait.num_seconds());
        assert_eq!(wait(false), None);
        fixture.app(74);
        assert_eq!((wait(false), wait(false)), (None, None));
        fixture.app(85);
        assert_eq!((wait(false), wait(false)), (None, Some(10)), "one each ten seconds");
        assert_eq!(wait(true), None, "who waits doesn't wait longer");
        fixture.app(96);
        assert_eq!((wait(false), wait(true)), (Some(300), None));
        fixture.app(100);
        assert_eq!((wait(false), wait(true)), (Some(900), Some(900)));
        fixture.pass(16);
        assert_eq!(wait(true), None);
    }

    #[test]
    fn what_was_used_falls_out_of_the_hour() {
        let fixture = Fixture::new();
        fixture.app(96);
        fixture.pass(30);
        assert_eq!(fixture.budget.wait(false), None);
        assert_eq!(fixture.budget.usage().app, Some((48.0, DateTime::UNIX_EPOCH)));
    }

    #[test]
    fn a_business_is_shut_out_for_as_long_as_the_header_says() {
        let fixture = Fixture::new();
        let usage = r#"{"178":[{"type":"instagram","call_count":100,"total_cputime":20,"total_time":20,"estimated_time_to_regain_access":19}]}"#;
        assert_eq!(fixture.read("x-business-use-case-usage", usage), Some(TimeDelta::minutes(19)));
        assert_eq!(fixture.budget.usage().use_case, Some((100.0, 1)));
        assert_eq!(fixture.budget.wait(false), None, "only that business");
        assert_eq!(fixture.read("x-business-use-case-usage", "odd"), None);
        assert_eq!(fixture.read("x-app-usage", "{}"), None);
    }
}
