//! What people do: they reconnect what is expired, some days later.

use chrono::TimeDelta;
use rand::Rng;
use sandbox::{Action, person::Consent};
use serde_json::json;
use tests::browser::Browser;

use crate::{
    crowd::{self, Known},
    life::Life,
};

/// What is told together, and what is told again soon, goes out within so long.
const TOLD_WITHIN: [TimeDelta; 2] = [TimeDelta::minutes(1), TimeDelta::minutes(6)];
/// For how long a limit of Meta's without a word on its end lets nobody log in.
const LIMITED: TimeDelta = TimeDelta::minutes(16);

impl Life {
    /// Who is shown as expired reconnects after some days: by the link of the mail, by the page, or publicly.
    pub(super) async fn people_reconnect(&mut self) {
        let now = self.relight.clock.now();
        let due = self.reconnect.iter().filter(|(_, at)| **at <= now);
        let due: Vec<_> = due.map(|(account, _)| account.clone()).collect();
        if due.is_empty() || !self.relight.commands().open_incidents().await.expect("read").is_empty() {
            return; // Mails wait in an incident, and so does who waits for one.
        }
        // What works again isn't told as expired any more…
        self.tell().await;
        for account in due {
            self.reconnect.remove(&account);
            // It works again, by itself or by the login for another one: nothing is to be done.
            if !self.dead.contains_key(&account) {
                continue;
            }
            let Some(number) = self.known.iter().position(|known| known.id == account) else { continue };
            if self.known[number].holder.starts_with("122") {
                self.by_facebook(number).await;
                // Another account's login may follow at once, and lead to the same ones again.
                self.tell().await;
            } else {
                let known = &self.known[number];
                let (consent, address) = (Consent::of(known.holder.clone()), crowd::address(&mut self.random));
                match self.link(known) {
                    Some(link) => self.log_in(&Browser::at(&self.relight.base, address), &link, &consent).await,
                    None => {
                        let owner = &self.owners[known.owner].browser;
                        self.log_in(&owner.moved_to(address), &format!("/accounts/{account}/refresh"), &consent).await;
                    }
                }
            }
            // Whatever it reached works: that is no return by itself.
            let holder = self.known[number].holder.clone();
            for known in self.known.iter().filter(|known| known.holder == holder) {
                if self.works(known) {
                    self.dead.remove(&known.id);
                }
            }
        }
        // …nor what is expired again as working.
        self.tell().await;
    }

    /// A Facebook user logs in publicly, for all Pages; or ticks fewer; or one of them can't be read at first.
    async fn by_facebook(&mut self, number: usize) {
        let Known { holder, instagram_id, .. } = &self.known[number];
        let pages = self.relight.sandbox.world().people[holder].pages.clone();
        let others = pages.iter().filter(|page| page.account.as_ref() != Some(instagram_id));
        let other = others.map(|page| page.id.clone()).next().filter(|_| self.random.random_bool(0.5));
        let browser = crowd::somewhere(&self.relight, &mut self.random);
        let consent = Consent::of(holder.clone());
        match other {
            Some(other) if self.random.random_bool(0.5) => {
                let ticked = pages.into_iter().map(|page| page.id).filter(|page| *page != other).collect();
                let consent = Consent { pages: Some(ticked), ..consent };
                self.log_in(&browser, "/token/business", &consent).await;
            }
            Some(other) => {
                let refused = json!({"error": {"message": "Unsupported get request.", "type": "GraphMethodException", "code": 100, "error_subcode": 33}});
                let answers =
                    [("/me/accounts".to_owned(), 200, json!({ "data": pages })), (format!("/{other}"), 400, refused)];
                for (path, status, body) in answers {
                    self.relight.act(Action::Answer { status, body, calls: None, holder: None, path: Some(path) });
                }
                self.log_in(&browser, "/token/business", &consent).await;
                self.relight.act(Action::StopFailing);
                // What the first login led to is told before the second one leads to more.
                self.tell().await;
                let another = crowd::somewhere(&self.relight, &mut self.random);
                self.log_in(&another, "/token/business", &consent).await;
            }
            None => self.log_in(&browser, "/token/business", &consent).await,
        }
    }

    /// Logs in by a button, and is told that something is refreshed.
    async fn log_in(&self, browser: &Browser, button: &str, consent: &Consent) {
        let path = browser.log_in(button, &[], consent).await.expect("a result page");
        if browser.open(&path).await.text().contains("Meta limits how often it answers us") {
            // As the page says: a bit later, and without another login.
            self.relight.pass_and_settle(LIMITED).await;
            browser.press(&format!("{path}/again"), &[("connection", "consumer"), ("ask", "usual")]).await;
        }
        browser.open(&path).await.says("refreshed");
    }

    /// What there is to tell goes out.
    async fn tell(&self) {
        for time in TOLD_WITHIN {
            self.relight.pass_and_settle(time).await;
        }
    }

    /// The link of the latest mail that asks for this account's login.
    fn link(&self, known: &Known) -> Option<String> {
        let mails = self.relight.mails_to(&self.owners[known.owner].email);
        let (_, text) =
            mails.iter().rev().find(|(subject, text)| subject.contains("need") && mentions(text, &known.names))?;
        let after = text
            .split(&format!("@{}\n", known.names.iter().find(|name| mentions(text, std::slice::from_ref(name)))?))
            .nth(1)?;
        let link = after.split("/r/").nth(1)?.split_whitespace().next()?;
        Some(format!("/r/{link}"))
    }
}

/// Whether a mail is about an account, by one of its names.
pub(super) fn mentions(text: &str, names: &[String]) -> bool {
    text.lines().filter_map(|line| line.strip_prefix('@')).any(|name| names.iter().any(|known| known == name))
}
