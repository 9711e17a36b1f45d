//! A refresh while Relight is busy: how long from the callback's arrival until the account is shown as active, and until
//! all of its widgets are fresh, with other accounts' pulls due at normal priority all the while.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use ::api::sign_in::Role;
use anyhow::{Context as _, Result, bail, ensure};
use chrono::TimeDelta;
use domain::{Connection, account::Plan};
use engine::{sql, testing::Engine};
use sandbox::{
    Action, Page, Person, Standing,
    person::{Consent, consent, values_of},
};
use tests::{
    browser::{Browser, location},
    relight::Relight,
};

use crate::{
    bench::Bench,
    figure::{Figure, largest, median, number},
};

const LUMA: &str = "luma.ceramics";
const ACCOUNTS: u32 = 10_000;
const ROUNDS: u32 = 20;
/// Accounts behind one Facebook user: as many as are looked at in one login.
const PER_PERSON: u32 = 200;
const FIRST_ID: u64 = 17_841_400_001_000_000;

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let accounts = bench.size(ACCOUNTS);
    let relight = Relight::start_with(engine, |config| {
        config.database.connections = 16;
        // Each browser is at an address of its own, as far as limits by address are concerned.
        config.http.trusted_proxies = vec![std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into()];
    })
    .await;
    let owner = relight.signed_in("ann@example.com", Role::Owner).await;
    connect_others(&relight, accounts).await?;
    let holder = relight.holder(LUMA);
    let account = owner.connect(Connection::Consumer, holder.clone()).await;
    for plan in [Plan::Upgraded, Plan::Free, Plan::Upgraded] {
        owner.add_widget(&account, plan).await;
    }
    let here = format!("/accounts/{account}");
    until_done(&relight, Duration::from_mins(3)).await?;
    let (mut active, mut fresh, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.fewer(ROUNDS) {
        // All others are due again, at normal priority.
        relight.clock.forward(TimeDelta::hours(7));
        relight.act(Action::ChangePassword { holder: LUMA.to_owned() });
        // A person makes a handful of logins a minute, not twenty: each is from another address.
        let owner = owner.moved_to(address(1_000 + round));
        owner.press(&format!("{here}/check"), &[]).await;
        owner.until(&here, "Expired").await;
        let login = location(&owner.press(&format!("{here}/refresh"), &[]).await);
        let back = consent(&owner.client, &login.parse()?, &Consent::of(holder.clone())).await?;
        let begun = Instant::now();
        let Ok(result) = owner.come_back(&back).await else { bail!("the callback was refused") };
        let mut shown = None;
        loop {
            let page = owner.open(&here).await;
            if page.text().contains("Active") {
                shown.get_or_insert_with(|| begun.elapsed());
            }
            if page.fresh_widgets() == 3 {
                break;
            }
            ensure!(begun.elapsed() < Duration::from_mins(1), "the widgets stay stale: {result}");
        }
        fresh.push(begun.elapsed().as_secs_f64() * 1_000.0);
        active.push(shown.context("shown")?.as_secs_f64() * 1_000.0);
        waiting.push(f64::from(due(&relight).await?));
    }
    let others = number(f64::from(accounts));
    for (what, times, goal) in
        [("account shown active", &active, "≤ 1000"), ("all of its widgets fresh", &fresh, "≤ 5000")]
    {
        let name = format!("from a callback's arrival to {what}, {others} other pulls due");
        bench.figure(Figure::alone(format!("{name}, median"), median(times.clone()), "ms", ""));
        bench.figure(Figure::alone(format!("{name}, slowest of {ROUNDS}"), largest(times), "ms", goal));
    }
    bench.figure(Figure::alone("other pulls still due then, median", median(waiting), "rows", ""));
    Ok(())
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + number)
}

/// Connects other accounts as people do: each brings all that stand behind one Facebook user.
async fn connect_others(relight: &Relight, accounts: u32) -> Result<()> {
    for person in 0..accounts.div_ceil(PER_PERSON) {
        let id = (122_900_000_000_000 + u64::from(person)).to_string();
        {
            let mut world = relight.sandbox.world();
            let mut pages = Vec::new();
            for number in 0..PER_PERSON {
                let account = FIRST_ID + u64::from(person * PER_PERSON + number);
                world.add_account(account, &format!("other.{person}.{number}"), false);
                let (id, name) = (format!("9{account}"), format!("Page {number}"));
                pages.push(Page { id, name, account: Some(account.to_string()) });
            }
            let name = format!("Person {person}");
            world.people.insert(id.clone(), Person { id: id.clone(), name, standing: Standing::default(), pages });
        }
        let (browser, email) = (Browser::at(&relight.base, address(person)), format!("owner{person}@example.com"));
        let browser = relight.signed_in_at(browser, &email, Role::Owner).await;
        let Ok(choice) = browser.log_in("/connect/business", &[], &Consent::of(id)).await else { bail!("refused") };
        let ids = values_of(&browser.open(&choice).await.html, "account");
        let ticked: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
        ensure!(ids.len() == PER_PERSON as usize, "{} accounts to choose from", ids.len());
        let chosen = browser.press(&format!("{choice}/choose"), &ticked).await;
        ensure!(chosen.status().is_redirection(), "choosing is answered {}", chosen.status());
    }
    Ok(())
}

async fn due(relight: &Relight) -> Result<u32> {
    let now = relight.clock.now();
    let due: i64 =
        sql("SELECT count(*) FROM jobs WHERE due_at <= $1").bind(now).scalar(relight.store().database()).await?;
    Ok(u32::try_from(due)?)
}

async fn until_done(relight: &Relight, within: Duration) -> Result<()> {
    let ends = Instant::now() + within;
    while due(relight).await? > 0 {
        ensure!(Instant::now() < ends, "the first pulls are not done in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
