//! Accounts of both kinds live through a year on the moved clock, with everything that happens to people, and with
//! outages and a restriction of the app. At each step, what Relight shows is held against what the pretend Meta knows.

mod crowd;
mod life;
mod told;

use rand::{Rng, SeedableRng, rngs::StdRng};
use store::on_both_engines;

use life::{Life, Plan};

/// A number that a variable can set otherwise: `RELIGHT_TEST_DAYS` of the long life, `RELIGHT_TEST_SECONDS` of the random
/// ones, `RELIGHT_TEST_SEED` of one of them that failed.
fn set<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|number| number.parse().ok())
}

on_both_engines! {
    async fn two_hundred_accounts_live_a_year(engine: Engine) {
        let plan = Plan { consumers: 100, people: 40, days: set("RELIGHT_TEST_DAYS").unwrap_or(365), outages: vec![30, 111, 200, 290], restricted: Some(150) };
        Life::begin(engine, 20_261_125, &plan).await.live(&plan).await;
    }

    async fn whatever_happens_what_is_shown_is_true(engine: Engine) {
        let begun = std::time::Instant::now();
        let long = std::time::Duration::from_secs(set("RELIGHT_TEST_SECONDS").unwrap_or(20));
        while begun.elapsed() < long {
            let seed = set("RELIGHT_TEST_SEED").unwrap_or_else(|| rand::rng().random());
            // Shown when it fails: the same again with this seed.
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let plan = Plan {
                consumers: random.random_range(1..8),
                people: random.random_range(1..4),
                days: random.random_range(30..120),
                outages: (0..random.random_range(0..3)).map(|_| random.random_range(1..100)).collect(),
                restricted: random.random_bool(0.3).then(|| random.random_range(1..100)),
            };
            Life::begin(engine, seed, &plan).await.live(&plan).await;
        }
    }
}
