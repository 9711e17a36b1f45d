//! Tries that failed: wrong passwords, unknown keys, guessed links. They are counted by address prefix, and those of a
//! sign-in by account too; what succeeds counts nowhere. A prefix with too many waits; an account is slowed and never
//! locked, or strangers could lock a person out.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Address,
    address::{network, site},
    bucket::Buckets,
    lines::Lines,
    too_many,
};
use crate::error::Error;

/// Failures that an address (IPv4 /32, IPv6 /64) has at once, and how long each counts.
const OF_NETWORK: (u32, Duration) = (10, Duration::from_secs(30));
/// The same of an IPv6 /48, which may be one customer's too.
const OF_SITE: (u32, Duration) = (40, Duration::from_secs(8));
/// Tries of an address that are under way at once, whether they will fail or not: no address holds the whole queue for hashes.
const UNDER_WAY: (u32, Duration) = (4, Duration::from_secs(5));
/// Failures of an account that are remembered, and how long each counts.
const OF_ACCOUNT: (u32, Duration) = (20, Duration::from_mins(1));
/// Failures of an account from which on its next tries wait.
const SLOW_FROM: u64 = 5;
/// How much longer each further one makes the next try wait, and how long it waits at most.
const SLOWER: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(4);
/// Tries at accounts that are slowed go in so many lines, by account, one at a time in each: however many they are, the queue
/// for hashes has places left for others.
const LINES: usize = 4;
/// How long a try waits at most in its line.
const IN_LINE: Duration = Duration::from_secs(30);

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// A sign-in.
    SignIn,
    /// The page that makes the first admin.
    SetUp,
    /// An API key.
    ApiKey,
    /// A reconnect link.
    Link,
    /// A request signed by Meta.
    SignedRequest,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignIn => "sign_in",
            Self::SetUp => "set_up",
            Self::ApiKey => "api_key",
            Self::Link => "reconnect_link",
            Self::SignedRequest => "signed_request",
        })
    }
}

/// All failures of a node.
#[derive(Debug)]
pub struct Failures {
    under_way: Buckets<IpAddr>,
    networks: Buckets<IpAddr>,
    sites: Buckets<IpAddr>,
    /// Tries at browsers that are known, by the browser.
    browsers: Buckets<u64>,
    accounts: Buckets<u64>,
    slowed: [Semaphore; LINES],
    lines: Lines,
}

impl Default for Failures {
    fn default() -> Self {
        let buckets = |(drops, each)| Buckets::new(drops, each);
        Self {
            under_way: buckets(UNDER_WAY),
            networks: buckets(OF_NETWORK),
            sites: buckets(OF_SITE),
            browsers: Buckets::new(OF_NETWORK.0, OF_NETWORK.1),
            accounts: Buckets::new(OF_ACCOUNT.0, OF_ACCOUNT.1),
            slowed: std::array::from_fn(|_| Semaphore::new(1)),
            lines: Lines::default(),
        }
    }
}

/// A try that is under way. Counts as failed unless it succeeds, also when the caller goes away: many tries at once count
/// before the first of them has ended.
#[derive(Debug)]
#[must_use]
pub struct Try<'a> {
    failures: &'a Failures,
    door: Door,
    from: IpAddr,
    browser: Option<u64>,
    /// What has failed is logged when the try ends.
    ended: bool,
}

impl Failures {
    /// Begins a try from an address; `browser`: the mark of a browser at which the same person signed in before, whose
    /// tries are counted apart.
    ///
    /// # Errors
    /// [`Error::TooMany`] after too many that failed.
    pub fn begin(&self, door: Door, Address(from): Address, browser: Option<&str>) -> Result<Try<'_>, Error> {
        self.under_way.take(&network(from)).map_err(too_many)?;
        self.enter(door, from, browser).inspect_err(|_| self.under_way.give_back(&network(from)))
    }

    fn enter(&self, door: Door, from: IpAddr, browser: Option<&str>) -> Result<Try<'_>, Error> {
        if let Some(browser) = browser.map(hashed) {
            self.browsers.take(&browser).map_err(too_many)?;
            return Ok(Try { failures: self, door, from, browser: Some(browser), ended: false });
        }
        let begun = self.networks.take(&network(from)).and_then(|()| match site(from) {
            Some(site) => self.sites.take(&site).inspect_err(|_| self.networks.give_back(&network(from))),
            None => Ok(()),
        });
        match begun {
            Ok(()) => Ok(Try { failures: self, door, from, browser: None, ended: false }),
            Err(wait) => {
                self.lines.write(door, from, "refused after too many failures");
                Err(too_many(wait))
            }
        }
    }

    /// Something failed from an address that has no try under way, such as an unknown key.
    ///
    /// # Errors
    /// [`Error::TooMany`] after too many that failed.
    pub fn failed(&self, door: Door, from: Address) -> Result<(), Error> {
        self.begin(door, from, None).map(drop)
    }

    /// Lets a try at an account wait, the longer the more failed, and then for its turn, which lasts as long as what is
    /// returned; one at a browser that is known doesn't wait. Each try comes at its turn, so that many of them don't keep the
    /// right one out. How many wait is bounded by the bounds on connections.
    ///
    /// # Errors
    /// [`Error::TooMany`] when its turn has not come within 30 s.
    pub async fn slow(&self, account: &str) -> Result<Option<SemaphorePermit<'_>>, Error> {
        let account = hashed(account);
        let delay = delay(self.accounts.level(&account));
        if delay.is_zero() {
            return Ok(None);
        }
        tokio::time::sleep(delay).await;
        let line = &self.slowed[usize::try_from(account % LINES as u64).unwrap_or_default()];
        let turn = tokio::time::timeout(IN_LINE, line.acquire()).await;
        turn.ok().and_then(Result::ok).map(Some).ok_or_else(|| too_many(SLOWEST))
    }

    /// A try at an account failed, whether it exists or not.
    pub fn of_account(&self, account: &str) {
        self.accounts.pour(&hashed(account));
    }
}

impl Try<'_> {
    /// It does not count: it succeeded, or nothing was tried.
    pub fn uncounted(mut self) {
        self.ended = true;
        match self.browser {
            Some(browser) => self.failures.browsers.give_back(&browser),
            None => {
                self.failures.networks.give_back(&network(self.from));
                if let Some(site) = site(self.from) {
                    self.failures.sites.give_back(&site);
                }
            }
        }
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        self.failures.under_way.give_back(&network(self.from));
        if !self.ended {
            self.failures.lines.write(self.door, self.from, "failed");
        }
    }
}

/// How long a try waits after so many failures.
fn delay(failures: u64) -> Duration {
    let steps = u32::try_from(failures.saturating_sub(SLOW_FROM)).unwrap_or(u32::MAX);
    SLOWER.saturating_mul(steps).min(SLOWEST)
}

fn hashed(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    fn from(text: &str) -> Address {
        Address(text.parse().expect("an address"))
    }

    #[test]
    fn only_failures_count() {
        let failures = Failures::default();
        for _ in 0..100 {
            failures.begin(Door::SignIn, from("192.0.2.1"), None).expect("let in").uncounted();
        }
        for _ in 0..10 {
            drop(failures.begin(Door::SignIn, from("192.0.2.1"), None).expect("let in"));
        }
        assert!(matches!(failures.begin(Door::SignIn, from("192.0.2.1"), None), Err(Error::TooMany(1..=31))));
        assert!(failures.begin(Door::SignIn, from("192.0.2.2"), None).is_ok());
    }

    #[test]
    fn tries_at_once_count_before_the_first_has_ended() {
        let failures = Failures::default();
        let tries: Vec<_> = (0..30).map(|_| failures.begin(Door::SignIn, from("192.0.2.1"), None)).collect();
        assert_eq!(tries.iter().filter(|begun| begun.is_ok()).count(), 4);
        assert!(failures.begin(Door::SignIn, from("192.0.2.2"), None).is_ok(), "another address has its own");
    }

    #[test]
    fn a_site_with_many_networks_is_counted_as_one_too() {
        let failures = Failures::default();
        let refused =
            (0..100).filter(|n| failures.failed(Door::SignIn, from(&format!("2001:db8:1:{n:x}::1"))).is_err()).count();
        assert_eq!(refused, 60);
        assert!(failures.failed(Door::SignIn, from("2001:db8:2::1")).is_ok());
    }

    #[test]
    fn a_known_browser_is_counted_apart() {
        let failures = Failures::default();
        while failures.failed(Door::SignIn, from("192.0.2.1")).is_ok() {}
        assert!(failures.begin(Door::SignIn, from("192.0.2.1"), Some("a mark")).is_ok());
    }

    #[tokio::test]
    async fn tries_at_one_account_from_everywhere_keep_neither_its_person_out_nor_another() {
        let failures = Failures::default();
        for _ in 0..=SLOW_FROM {
            failures.of_account("ann");
        }
        let at_once = AtomicUsize::new(0);
        let attempt = async |account| {
            let turn = failures.slow(account).await?;
            if turn.is_some() {
                assert_eq!(at_once.fetch_add(1, Ordering::Relaxed), 0, "one at a time");
                tokio::task::yield_now().await;
                at_once.fetch_sub(1, Ordering::Relaxed);
            }
            Ok::<_, Error>(turn.is_some())
        };
        let strangers = join_all((0..300).map(|_| attempt("ann")));
        let (strangers, person, other) = tokio::join!(strangers, attempt("ann"), attempt("bob"));
        assert!(strangers.iter().all(|slowed| matches!(slowed, Ok(true))));
        assert!(matches!(person, Ok(true)), "slowed, never locked");
        assert!(matches!(other, Ok(false)), "another account is not slowed");
    }

    #[test]
    fn an_account_is_slowed_and_never_locked() {
        assert_eq!(delay(0), Duration::ZERO);
        assert_eq!(delay(SLOW_FROM), Duration::ZERO);
        assert_eq!(delay(SLOW_FROM + 2), SLOWER * 2);
        assert_eq!(delay(u64::MAX), SLOWEST);
    }
}
