//! Who lives in the sandbox when it starts.

use std::collections::VecDeque;

use chrono::TimeDelta;

use crate::world::{Account, Page, Person, Post, Standing, World};

/// Names of accounts, in the order of their ids. The last is a personal one.
const ACCOUNTS: [&str; 14] = [
    "luma.ceramics",
    "nordlicht.bakery",
    "oakandiron",
    "bluebird.bikes",
    "maremare.swim",
    "alta.climbing",
    "casa.verde.studio",
    "sol.y.sal",
    "hoshi.tea",
    "fern.and.fog",
    "tiny.harbor",
    "paper.moon.press",
    "never.seen.before",
    "just.a.person",
];

/// Names of Pages, each with the account that is linked to it.
type Pages = &'static [(&'static str, Option<&'static str>)];

/// Facebook users, and their Pages with the accounts that are linked to them.
const PEOPLE: [(&str, Pages); 6] = [
    ("Ana Ribeiro", &[("Casa Verde Studio", Some("casa.verde.studio")), ("Sol y Sal", Some("sol.y.sal"))]),
    ("Ken Sato", &[("Hoshi Tea", Some("hoshi.tea"))]),
    (
        "Mia Berg",
        &[
            ("Fern & Fog", Some("fern.and.fog")),
            ("Tiny Harbor", Some("tiny.harbor")),
            ("Paper Moon Press", Some("paper.moon.press")),
        ],
    ),
    ("Tom Unlinked", &[("Tom's Garage", None)]),
    ("Nora Nopage", &[]),
    ("Otto Stranger", &[("Never Seen Before", Some("never.seen.before"))]),
];

const CAPTIONS: [&str; 6] = [
    "Fresh from this morning.",
    "Behind the scenes, with a lot of coffee.",
    "We made something new. Guess what it is?",
    "Thank you all for coming!",
    "A quiet Sunday.",
    "Back in stock, and not for long.",
];

impl World {
    /// A world with everybody in it.
    pub fn with_cast() -> Self {
        let mut world = Self::default();
        for (index, username) in ACCOUNTS.into_iter().enumerate() {
            world.add_account(17_841_400_000_000_001 + index as u64, username, username == "just.a.person");
        }
        for (index, (name, pages)) in PEOPLE.into_iter().enumerate() {
            let id = (122_000_000_000_001 + index as u64).to_string();
            let pages = pages.iter().enumerate().map(|(number, (name, account))| Page {
                id: (100_000_000_000_000 + (index * 100 + number) as u64).to_string(),
                name: (*name).to_owned(),
                account: account.and_then(|username| world.account_id(username)),
            });
            let pages = pages.collect();
            let person = Person { id: id.clone(), name: name.to_owned(), standing: Standing::default(), pages };
            world.people.insert(id, person);
        }
        world
    }

    /// Adds an account with a dozen posts.
    pub fn add_account(&mut self, id: u64, username: &str, personal: bool) {
        let account = Account {
            id: id.to_string(),
            app_scoped_id: (id - 17_841_400_000_000_000 + 24_000_000_000_000_000).to_string(),
            username: username.to_owned(),
            personal,
            standing: Standing::default(),
            posts: VecDeque::new(),
        };
        self.accounts.insert(id.to_string(), account);
        for back in (0..12).rev() {
            self.add_post(&id.to_string(), TimeDelta::hours(7 * back + 1));
        }
    }

    /// Publishes a post, as long ago as `age`.
    pub(crate) fn add_post(&mut self, account: &str, age: TimeDelta) {
        let at = self.clock.now() - age;
        let Some(account) = self.accounts.get_mut(account) else { return };
        let number = account.posts.len();
        account.posts.push_front(Post {
            id: format!("{}{number:04}", account.app_scoped_id),
            caption: CAPTIONS[number % CAPTIONS.len()].to_owned(),
            media_type: ["IMAGE", "IMAGE", "CAROUSEL_ALBUM", "IMAGE", "VIDEO"][number % 5].to_owned(),
            at,
        });
    }

    /// The id of an account's name.
    pub fn account_id(&self, username: &str) -> Option<String> {
        self.accounts.values().find(|account| account.username == username).map(|account| account.id.clone())
    }

    /// The id of a Facebook user's name.
    pub fn person_id(&self, name: &str) -> Option<String> {
        self.people.values().find(|person| person.name == name).map(|person| person.id.clone())
    }
}
