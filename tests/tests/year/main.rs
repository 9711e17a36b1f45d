//! Accounts of both kinds live through months on the moved clock, with everything that happens to people, and with outages
//! and a restriction of the app. At each step, what Relight shows is held against what the pretend Meta knows.
//!
//! `cargo test` has a short life: long enough for data access to end. `./check long` has a year of 200 accounts.

mod crowd;
mod life;
mod mishaps;
mod people;
mod told;

use engine::on_both_engines;
use rand::{Rng, SeedableRng, rngs::StdRng};

use life::{Life, Plan};

/// A number that a variable can set otherwise: `RELIGHT_TEST_DAYS` and `RELIGHT_TEST_ACCOUNTS` of the long life,
/// `RELIGHT_TEST_SECONDS` of all random ones, `RELIGHT_TEST_SEED` of one of them that failed.
fn set<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|number| number.parse().ok())
}

on_both_engines! {
    async fn what_many_accounts_live_through_is_shown_and_told(engine: Engine) {
        let (days, accounts) = (set("RELIGHT_TEST_DAYS").unwrap_or(100), set("RELIGHT_TEST_ACCOUNTS").unwrap_or(30));
        let plan = Plan {
            consumers: accounts / 2,
            people: accounts / 5,
            days,
            outages: [30, 111, 200, 290].map(|day| day * days / 365).into(),
            restricted: Some(150 * days / 365),
        };
        Life::begin(engine, 20_261_125, &plan).await.live(&plan).await;
    }

    async fn whatever_happens_what_is_shown_is_true(engine: Engine) {
        let begun = std::time::Instant::now();
        let long = std::time::Duration::from_secs(set("RELIGHT_TEST_SECONDS").unwrap_or(10));
        while begun.elapsed() < long {
            let seed = set("RELIGHT_TEST_SEED").unwrap_or_else(|| rand::rng().random());
            // Shown when it fails: the same again with this seed.
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let consumers = random.random_range(1..8);
            let plan = Plan {
                consumers,
                people: random.random_range(1..4),
                days: random.random_range(30..120),
                outages: (0..random.random_range(0..3)).map(|_| random.random_range(1..100)).collect(),
                // Of a single account, nothing shows that it is the app that is restricted.
                restricted: (random.random_bool(0.3) && consumers > 1).then(|| random.random_range(1..100)),
            };
            Life::begin(engine, seed, &plan).await.live(&plan).await;
        }
    }
}
