//! Accounts of both kinds live through a year on the moved clock, with everything that happens to people, and with
//! outages and a restriction of the app. At each step, what Relight shows is held against what the pretend Meta knows.

mod crowd;
mod life;

use rand::{Rng, SeedableRng, rngs::StdRng};
use store::on_both_engines;

use life::{Life, Plan};

/// Days of the long life: `RELIGHT_TEST_DAYS` sets others.
fn days(usual: u32) -> u32 {
    std::env::var("RELIGHT_TEST_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(usual)
}

on_both_engines! {
    async fn two_hundred_accounts_live_a_year(engine: Engine) {
        let plan = Plan { consumers: 100, people: 40, days: days(365), outages: vec![30, 111, 200, 290], restricted: Some(150) };
        Life::begin(engine, 20_261_125, &plan).await.live(&plan).await;
    }

    async fn whatever_happens_what_is_shown_is_true(engine: Engine) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(20) {
            let seed = rand::rng().random();
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
