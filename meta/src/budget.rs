//! How much of what Meta allows an app is used up, as the headers of its answers say.
//!
//! `X-App-Usage` gives percents of a rolling hour for the whole app; `X-Business-Use-Case-Usage` the same for each business
//! or account, and for how long it is shut out. Calling while throttled lengthens the block.
//! Source: Meta, "Graph API: Rate Limits".

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

use crate::meter::{Meter, Percents, WINDOW};

/// How many businesses' own budgets are remembered.
const USE_CASES: usize = 10_000;
/// How many of them are read of one answer.
const IDS: usize = 32;

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
    app: Meter,
    /// By the ids that Meta's header names: of businesses, or of accounts.
    use_cases: BTreeMap<String, Meter>,
    /// Which of them an account's calls are counted on, as the last answer about it said.
    of_account: HashMap<String, Vec<String>>,
    /// Until when one of them may be short.
    short_until: Option<DateTime<Utc>>,
}

/// How a budget stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// The app's percentage, by now, and when Meta last told it.
    pub app: Option<(f64, DateTime<Utc>)>,
    /// Until when no call is made.
    pub paused_until: Option<DateTime<Utc>>,
    /// Of how many businesses or accounts their own is known.
    pub use_cases: usize,
    /// Those of them for which calls have to wait, the fullest first.
    pub short: Vec<Short>,
}

/// A business's or an account's own budget, when it is short.
#[derive(Debug, Clone, PartialEq)]
pub struct Short {
    /// The id that Meta's header names.
    pub id: String,
    /// How much of it is used up, in percent.
    pub percent: f64,
    /// Until when no call is made.
    pub paused_until: Option<DateTime<Utc>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

impl Budget {
    pub(crate) fn new(now: Now) -> Self {
        Self { now, state: Arc::default() }
    }

    /// Takes in what the headers of an answer say; `account`: whom it was about, if that is known. For how long the business
    /// or account behind it is shut out.
    pub(crate) fn read(&self, headers: &HeaderMap, account: Option<&str>) -> Option<TimeDelta> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let now = (self.now)();
        if let Some(usage) = text("x-app-usage").and_then(|text| serde_json::from_str::<Percents>(text).ok()) {
            self.state().app.read(usage, now);
        }
        let text = text("x-business-use-case-usage")?;
        let told: BTreeMap<String, Vec<Percents>> = serde_json::from_str(text).ok()?;
        let mut state = self.state();
        let mut shut_out = None;
        // An id is kept and shown: only what one can look like.
        let plain = |id: &String| id.len() <= 40 && id.chars().all(|c| c.is_ascii_alphanumeric());
        let mut ids = Vec::new();
        for (id, usages) in told.into_iter().filter(|(id, _)| plain(id)).take(IDS) {
            let usage = usages.into_iter().reduce(Percents::worse).unwrap_or_default();
            shut_out = shut_out.max(usage.shut_out_for());
            if state.use_cases.len() >= USE_CASES && !state.use_cases.contains_key(&id) {
                state.forget(now);
            }
            let meter = state.use_cases.entry(id.clone()).or_default();
            meter.read(usage, now);
            let short = meter.is_short(now).then_some(now + WINDOW).max(meter.paused_until);
            state.short_until = state.short_until.max(short);
            ids.push(id);
        }
        if let Some(account) = account.filter(|_| !ids.is_empty()) {
            // A pause outlives an answer that names others.
            let before = state.of_account.remove(account).unwrap_or_default();
            let is_paused = |id: &String| state.use_cases.get(id).is_some_and(|meter| meter.paused(now).is_some());
            let kept: Vec<_> = before.into_iter().filter(|id| !ids.contains(id) && is_paused(id)).take(IDS).collect();
            ids.extend(kept);
            state.of_account.insert(account.to_owned(), ids);
        }
        shut_out
    }

    /// The time, by which the budget goes.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// Meta throttles calls about one account, whatever the headers say.
    pub fn pause_account(&self, account: &str) {
        let now = self.now();
        let mut state = self.state();
        if state.use_cases.len() >= USE_CASES && !state.use_cases.contains_key(account) {
            state.forget(now);
        }
        let State { use_cases, of_account, short_until, .. } = &mut *state;
        let ids = of_account.entry(account.to_owned()).or_default();
        let is_paused = ids.iter().any(|id| use_cases.get(id).is_some_and(|meter| meter.paused(now).is_some()));
        if is_paused {
            // As long as the header says.
            return;
        }
        if !ids.iter().any(|id| id == account) {
            ids.push(account.to_owned());
        }
        let meter = use_cases.entry(account.to_owned()).or_default();
        meter.pause(now);
        *short_until = (*short_until).max(meter.paused_until);
    }

    /// Meta throttles the whole app, whatever the headers say.
    pub fn pause(&self) {
        let now = (self.now)();
        self.state().app.pause(now);
    }

    /// Whether calls may have to wait: most of the time they needn't.
    pub fn is_short(&self) -> bool {
        let now = (self.now)();
        let state = self.state();
        state.app.is_short(now) || state.short_until.is_some_and(|until| until > now)
    }

    /// How long a call about an account should wait; `None`: it may be made now. `first`: somebody waits for it.
    pub fn wait(&self, account: Option<&str>, first: bool) -> Option<TimeDelta> {
        let now = (self.now)();
        let mut state = self.state();
        let State { app, use_cases, of_account, .. } = &mut *state;
        let ids = account.and_then(|account| of_account.get(account)).map_or(&[][..], Vec::as_slice);
        // The longest pause, before any call takes its turn.
        let pauses = ids.iter().filter_map(|id| use_cases.get(id)?.paused(now)).chain(app.paused(now));
        if let Some(until) = pauses.max() {
            return Some(until - now);
        }
        let own = ids.iter().filter_map(|id| use_cases.get_mut(id)?.wait(first, now)).max();
        own.or_else(|| app.wait(first, now))
    }

    /// Spaces calls: how long this one should wait; `None`: it may be made, and the next one so much later.
    pub fn space(&self, apart: TimeDelta) -> Option<TimeDelta> {
        let now = (self.now)();
        self.state().app.space(apart, now)
    }

    /// How it stands.
    pub fn usage(&self) -> Usage {
        let now = (self.now)();
        let state = self.state();
        let short = |(id, meter): (&String, &Meter)| Short {
            id: id.clone(),
            percent: meter.used(now).map_or(0.0, |(percent, _)| percent),
            paused_until: meter.paused(now),
        };
        let mut short: Vec<_> = state.use_cases.iter().filter(|(_, meter)| meter.is_short(now)).map(short).collect();
        short.sort_by(|a, b| b.percent.total_cmp(&a.percent));
        Usage { app: state.app.used(now), paused_until: state.app.paused(now), use_cases: state.use_cases.len(), short }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what has fallen out of the hour; if that is nothing, everything: the next answers tell it again.
    fn forget(&mut self, now: DateTime<Utc>) {
        self.use_cases.retain(|_, meter| meter.matters(now));
        if self.use_cases.len() >= USE_CASES {
            self.use_cases.clear();
        }
        let Self { use_cases, of_account, .. } = self;
        of_account.retain(|_, ids| ids.iter().any(|id| use_cases.contains_key(id)));
    }
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
            self.budget.read(&headers, Some("1784"))
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
        let wait = |first| fixture.budget.wait(None, first).map(|wait| wait.num_seconds());
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
        assert_eq!(fixture.budget.wait(None, false), None);
        assert_eq!(fixture.budget.usage().app, Some((48.0, DateTime::UNIX_EPOCH)));
    }

    #[test]
    fn a_business_is_shut_out_for_as_long_as_the_header_says() {
        let fixture = Fixture::new();
        let usage = r#"{"178":[{"type":"instagram","call_count":100,"total_cputime":20,"total_time":20,"estimated_time_to_regain_access":19}]}"#;
        assert_eq!(fixture.read("x-business-use-case-usage", usage), Some(TimeDelta::minutes(19)));
        let usage = fixture.budget.usage();
        let paused_until = Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(19));
        assert_eq!(
            (usage.use_cases, usage.short),
            (1, vec![Short { id: "178".to_owned(), percent: 100.0, paused_until }])
        );
        assert!(fixture.budget.is_short());
        let wait = |account| fixture.budget.wait(account, true);
        assert_eq!((wait(Some("1784")), wait(Some("1785")), wait(None)), (Some(TimeDelta::minutes(19)), None, None));
        fixture.pass(20);
        assert_eq!(wait(Some("1784")), None);
        fixture.read("x-business-use-case-usage", r#"{"<b>":[{"call_count":100}]}"#);
        assert_eq!(fixture.budget.usage().use_cases, 1, "what can't be an id is none");
        assert_eq!(fixture.read("x-business-use-case-usage", "odd"), None);
        assert_eq!(fixture.read("x-app-usage", "{}"), None);
    }

    #[test]
    fn a_business_near_its_limit_slows_its_accounts_down_and_no_others() {
        let fixture = Fixture::new();
        let usage = |percent| format!(r#"{{"178":[{{"call_count":20}},{{"total_time":{percent}}}]}}"#);
        fixture.read("x-business-use-case-usage", &usage(85));
        let wait = |account| fixture.budget.wait(account, false).map(|wait| wait.num_seconds());
        assert_eq!((wait(Some("1784")), wait(Some("1784"))), (None, Some(10)));
        assert_eq!((wait(Some("1785")), wait(Some("1785"))), (None, None));
        fixture.read("x-business-use-case-usage", &usage(96));
        assert_eq!((wait(Some("1784")), fixture.budget.wait(Some("1784"), true)), (Some(300), None));
        fixture.pass(61);
        assert!(!fixture.budget.is_short());
    }

    #[test]
    fn no_header_pauses_an_account_for_longer_than_a_day() {
        let fixture = Fixture::new();
        let usage = r#"{"178":[{"call_count":0,"estimated_time_to_regain_access":99999999999}]}"#;
        assert_eq!(fixture.read("x-business-use-case-usage", usage), Some(TimeDelta::days(1)));
    }

    #[test]
    fn an_account_waits_for_the_longest_of_its_limits() {
        let fixture = Fixture::new();
        let regained = |minutes| format!(r#"[{{"call_count":100,"estimated_time_to_regain_access":{minutes}}}]"#);
        let usage = format!(r#"{{"178":{},"179":{}}}"#, regained(40), regained(5));
        fixture.read("x-business-use-case-usage", &usage);
        assert_eq!(fixture.budget.wait(Some("1784"), true), Some(TimeDelta::minutes(40)));
        // Also where the next answer names another one alone.
        fixture.read("x-business-use-case-usage", r#"{"180":[{"call_count":5}]}"#);
        assert_eq!(fixture.budget.wait(Some("1784"), true), Some(TimeDelta::minutes(40)));
    }

    #[test]
    fn an_account_that_is_throttled_without_a_header_pauses_alone() {
        let fixture = Fixture::new();
        fixture.budget.pause_account("1784");
        assert!(fixture.budget.is_short());
        let wait = |account| fixture.budget.wait(Some(account), true);
        assert_eq!((wait("1784"), wait("1785")), (Some(TimeDelta::minutes(15)), None));
        fixture.pass(16);
        assert_eq!(wait("1784"), None);
        // Where the header says how long, that counts.
        let usage = r#"{"178":[{"call_count":100,"estimated_time_to_regain_access":5}]}"#;
        fixture.read("x-business-use-case-usage", usage);
        fixture.budget.pause_account("1784");
        assert_eq!(wait("1784"), Some(TimeDelta::minutes(5)));
    }

    #[test]
    fn no_number_of_businesses_fills_the_memory() {
        let fixture = Fixture::new();
        for number in 0..USE_CASES + 10 {
            fixture.read("x-business-use-case-usage", &format!(r#"{{"{number}":[{{"call_count":20}}]}}"#));
        }
        assert!(fixture.budget.usage().use_cases <= USE_CASES);
    }
}
