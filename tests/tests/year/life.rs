//! A life, step by step: what happens, what is seen of it, and what must always be so.

use std::{collections::BTreeMap, net::Ipv4Addr};

use chrono::{DateTime, TimeDelta, Utc};
use commands::incident::Close;
use domain::Connection;
use engine::testing::Engine;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sandbox::{Action, Login};
use tests::relight::{Relight, mails};

use crate::{
    crowd::{self, Known, Owner},
    people::mentions,
    told::{Doubtful, Incident, Told},
};

/// How much time passes between two looks…
pub(super) const STEP: TimeDelta = TimeDelta::hours(6);
/// …in pieces, after each of which everything that is due is done.
pub(crate) const PIECE: TimeDelta = TimeDelta::hours(3);
/// Each token is asked about within a day: a check interval, one piece, and the minutes of a second look.
const NOTICED_WITHIN: TimeDelta = TimeDelta::hours(24 + 3 + 1);
/// An expired token is asked about again daily, spread over two hours.
const BACK_WITHIN: TimeDelta = TimeDelta::hours(24 + 2 + 3 + 1);
/// For how many days Meta restricts the app.
const RESTRICTED: u32 = 7;
/// What a life is like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) consumers: usize,
    pub(crate) people: usize,
    pub(crate) days: u32,
    /// Days on which Meta is away for hours.
    pub(crate) outages: Vec<u32>,
    /// The day on which Meta restricts the Instagram app, for a week.
    pub(crate) restricted: Option<u32>,
}

pub(crate) struct Life {
    pub(super) relight: Relight,
    pub(super) random: StdRng,
    pub(super) owners: Vec<Owner>,
    pub(super) known: Vec<Known>,
    /// Since when accounts' tokens are dead, as far as the test has seen.
    pub(super) dead: BTreeMap<String, DateTime<Utc>>,
    /// When people will reconnect accounts.
    pub(super) reconnect: BTreeMap<String, DateTime<Utc>>,
    /// When checkpoints are passed, without a login here.
    pub(super) passed: BTreeMap<String, DateTime<Utc>>,
    /// Since when accounts' tokens that were dead work again, by themselves.
    back: BTreeMap<String, DateTime<Utc>>,
    /// Until when Meta can't say anything about tokens.
    pub(super) silent_until: DateTime<Utc>,
    /// The apps' incidents, by their ids.
    incidents: BTreeMap<String, Incident>,
}

impl Life {
    pub(crate) async fn begin(engine: Engine, seed: u64, plan: &Plan) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let relight = Relight::start_beside(engine, |config, sandbox| {
            mails(config, sandbox);
            config.http.trusted_proxies = vec![std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into()];
            // Fewer pulls than usual: a year of them takes its time, and a check is a call as good.
            (config.pull.upgraded_minutes, config.pull.free_minutes) = (24 * 60, 72 * 60);
        })
        .await;
        crowd::populate(&relight.sandbox, plan.consumers, plan.people, &mut random);
        let (owners, known) = crowd::connect(&relight, &mut random).await;
        let silent_until = relight.clock.now();
        let (dead, reconnect, passed, back) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let incidents = BTreeMap::new();
        Self { relight, random, owners, known, dead, reconnect, passed, back, silent_until, incidents }
    }

    pub(crate) async fn live(mut self, plan: &Plan) {
        self.relight.settled().await;
        for day in 0..plan.days {
            let is_restricted = plan.restricted.is_some_and(|from| (from..from + RESTRICTED).contains(&day));
            let is_last = plan.restricted.is_some_and(|from| day + 1 == from + RESTRICTED);
            for step in 0..4 {
                if step == 0 && plan.outages.contains(&day) {
                    self.outage();
                }
                if step == 0 && plan.restricted == Some(day) {
                    self.relight.act(Action::Restrict { login: Login::Instagram, restricted: true });
                }
                self.misfortunes();
                self.checkpoints_are_passed();
                self.oddities();
                self.pass(STEP).await;
                self.relight.act(Action::StopFailing);
                if step == 3 && is_last {
                    self.relight.act(Action::Restrict { login: Login::Instagram, restricted: false });
                    self.silent_until = self.relight.clock.now() + TimeDelta::hours(2);
                }
                if !is_restricted {
                    self.people_reconnect().await;
                    self.an_admin_looks().await;
                }
                self.look(&format!("day {day}, step {step}"), is_restricted).await;
            }
        }
        self.relight.act(Action::Restrict { login: Login::Instagram, restricted: false });
        // A quiet day, and everything must be as Meta knows it.
        for _ in 0..10 {
            self.pass(STEP).await;
            self.an_admin_looks().await;
        }
        // A token may have ended in the last moment: the mail about it is part of the day.
        let mut looks = 0;
        while looks < 12 && self.relight.is_gathering_mail().await {
            self.relight.pass_and_settle(TimeDelta::minutes(1)).await;
            looks += 1;
        }
        let statuses = self.relight.statuses().await;
        for known in &self.known {
            let shown = &statuses[&known.id];
            let works = self.works(known);
            if (shown == "active") != works {
                let work = self.relight.work_of(&known.id).await;
                panic!("@{} is shown as {shown} at the end, and its token works: {works}; {work}", known.name());
            }
        }
        self.everybody_was_told_once().await;
    }

    /// Where all that an app has is refused, nobody but an admin can know that it works: who looks after a day releases it.
    async fn an_admin_looks(&mut self) {
        let now = self.relight.clock.now();
        for incident in self.relight.commands().open_incidents().await.expect("read") {
            self.silent_until = now;
            if now - incident.opened_at > TimeDelta::days(1) {
                self.relight.commands().close_incident(&incident.id, Close::Released, None).await.expect("closed");
                self.relight.settled().await;
            }
        }
    }

    /// Whether Meta takes the account's token.
    pub(super) fn works(&self, known: &Known) -> bool {
        self.relight.sandbox.world().works(&known.holder, &known.instagram_id)
    }

    /// Since when tokens are dead.
    pub(super) fn note_deaths(&mut self) {
        let now = self.relight.clock.now();
        for known in &self.known {
            if self.works(known) {
                if self.dead.remove(&known.id).is_some() {
                    self.back.insert(known.id.clone(), now);
                }
            } else {
                self.back.remove(&known.id);
                self.dead.entry(known.id.clone()).or_insert(now);
            }
        }
    }

    /// Time passes in pieces; after each, what is held is looked at again. Incidents are noted: they are forgotten some day.
    async fn pass(&mut self, time: TimeDelta) {
        for _ in 0..time.num_seconds() / PIECE.num_seconds() {
            self.relight.pass_and_settle(PIECE).await;
            let mut looks = 0;
            while looks < 12 && self.relight.is_looking_again().await {
                self.relight.pass_and_settle(TimeDelta::minutes(1)).await;
                looks += 1;
            }
        }
        for incident in self.relight.commands().incidents(20).await.expect("read") {
            let commands::incident::Incident { id, connection, opened_at, closed_at, .. } = incident;
            self.incidents.insert(id, Incident { connection: connection.0, opened_at, closed_at });
        }
    }

    /// What must always be so.
    async fn look(&mut self, when: &str, restricted: bool) {
        self.note_deaths();
        let now = self.relight.clock.now();
        let statuses = self.relight.statuses().await;
        for known in &self.known {
            let shown = &statuses[&known.id];
            let Some(since) = self.dead.get(&known.id).copied() else {
                let is_back = self.back.get(&known.id).copied();
                if shown == "active" {
                    continue;
                }
                if is_back.is_none_or(|since| now - since.max(self.silent_until) > BACK_WITHIN) && !restricted {
                    let work = self.relight.work_of(&known.id).await;
                    panic!("{when}: @{} is shown as {shown}, and its token is good: {work}", known.name());
                }
                continue;
            };
            if shown == "active" {
                let late = now - since.max(self.silent_until);
                if !restricted && late > NOTICED_WITHIN {
                    let work = self.relight.work_of(&known.id).await;
                    panic!("{when}: @{} died {late} ago and is shown as active: {work}", known.name());
                }
            } else if !self.reconnect.contains_key(&known.id) && self.random.random_bool(0.8) {
                let days = self.random.random_range(1..10);
                self.reconnect.insert(known.id.clone(), now + TimeDelta::days(days));
            } else {
                let never = now + TimeDelta::days(10_000);
                self.reconnect.entry(known.id.clone()).or_insert(never);
            }
        }
    }

    /// No owner got two mails for one cause, and none too few.
    async fn everybody_was_told_once(&self) {
        let now = self.relight.clock.now();
        for known in &self.known {
            let owner = &self.owners[known.owner].email;
            let mails = self.relight.mails_to(owner);
            let count = |words: &str| {
                let of_kind = mails.iter().filter(|(subject, _)| subject.contains(words));
                of_kind.filter(|(_, text)| mentions(text, &known.names)).count()
            };
            let told = Told {
                expired: count(" need"),
                recovered: count(" work"),
                by_visitor: count(" refreshed"),
                reminded: count("please log in again soon"),
            };
            // Mails are for people with an upgraded widget, on whichever account of theirs.
            let is_told = self.known.iter().any(|other| other.owner == known.owner && other.upgraded);
            let connection = if known.holder.starts_with("122") { Connection::Business } else { Connection::Consumer };
            let incidents = self.incidents.values().filter(|incident| incident.connection == connection);
            let incidents: Vec<_> = incidents.copied().collect();
            let (mut expected, doubtful) = if is_told {
                Told::of(&self.relight.journal(&known.id).await, now, &incidents)
            } else {
                (Told::default(), Doubtful::default())
            };
            if told.reminded.abs_diff(expected.reminded) <= doubtful.reminders {
                expected.reminded = told.reminded;
            }
            expected.expired += told.expired.saturating_sub(expected.expired).min(doubtful.again);
            let silent = expected.expired.saturating_sub(told.expired).min(doubtful.pairs);
            (expected.expired, expected.recovered) = (expected.expired - silent, expected.recovered - silent);
            if told != expected {
                let (name, work) = (known.name(), self.relight.work_of(&known.id).await);
                let subjects: Vec<_> = mails.iter().filter(|(_, text)| mentions(text, &known.names)).collect();
                panic!(
                    "{owner} was told of @{name}: {told:?}, not {expected:?}: {work}, {incidents:#?}, {subjects:#?}"
                );
            }
        }
    }
}
