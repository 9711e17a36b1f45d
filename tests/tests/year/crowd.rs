//! The people: who holds which login, who owns which account.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ::api::sign_in::Role;
use domain::{Connection, account::Plan};
use rand::{Rng, rngs::StdRng};
use sandbox::{
    Page, Person, Sandbox,
    person::{Consent, values_of},
};
use tests::{browser::Browser, relight::Relight};

/// How many owners share the accounts.
const OWNERS: usize = 5;

/// An account, as the test knows it.
pub(crate) struct Known {
    pub(crate) id: String,
    /// Its id at Instagram.
    pub(crate) instagram_id: String,
    /// What it is called and was called, the latest last.
    pub(crate) names: Vec<String>,
    /// Who goes through the login: the account itself, or a Facebook user.
    pub(crate) holder: String,
    pub(crate) owner: usize,
    pub(crate) upgraded: bool,
}

impl Known {
    pub(crate) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }
}

pub(crate) struct Owner {
    pub(crate) email: String,
    pub(crate) browser: Browser,
}

/// Puts so many accounts and Facebook users, with one to three Pages each, into the pretend Meta.
pub(crate) fn populate(sandbox: &Sandbox, consumers: usize, people: usize, random: &mut StdRng) {
    let mut world = sandbox.world();
    let mut id = 17_841_400_000_100_000;
    for number in 0..consumers {
        id += 1;
        world.add_account(id, &format!("consumer{number:03}"), false);
    }
    for number in 0..people {
        let mut pages = Vec::new();
        for page in 0..random.random_range(1..=3) {
            id += 1;
            world.add_account(id, &format!("business{number:03}x{page}"), false);
            let page_id = format!("{}", 100_000_001_000_000 + number * 10 + page);
            pages.push(Page { id: page_id, name: format!("Page {number}.{page}"), account: Some(id.to_string()) });
        }
        let (person, name) = (format!("{}", 122_000_000_100_000 + number), format!("person{number:03}"));
        let person = Person { id: person, name, standing: sandbox::Standing::default(), pages };
        world.people.insert(person.id.clone(), person);
    }
}

/// An address for a single login: so many from one address would be too many.
pub(crate) fn address(random: &mut StdRng) -> Ipv4Addr {
    Ipv4Addr::from(random.random_range(0x0a00_0001..0x0aff_fffe_u32))
}

/// A browser at an address of its own.
pub(crate) fn somewhere(relight: &Relight, random: &mut StdRng) -> Browser {
    Browser::at(&relight.base, address(random))
}

/// Everybody connects what is theirs; two thirds of the accounts get an upgraded widget.
pub(crate) async fn connect(relight: &Relight, random: &mut StdRng) -> (Vec<Owner>, Vec<Known>) {
    let mut owners = Vec::new();
    for number in 0..OWNERS {
        let email = format!("owner{number}@example.com");
        let browser = relight.signed_in_at(somewhere(relight, random), &email, Role::Owner).await;
        owners.push(Owner { email, browser });
    }
    let (consumers, people) = {
        let world = relight.sandbox.world();
        let consumers = world.accounts.values().filter(|account| account.username.starts_with("consumer"));
        let people = world.people.values().filter(|person| person.name.starts_with("person"));
        (
            consumers.map(|account| account.id.clone()).collect::<Vec<_>>(),
            people.map(|person| person.id.clone()).collect::<Vec<_>>(),
        )
    };
    let mut holders = BTreeMap::new();
    for holder in consumers {
        let owner = random.random_range(0..OWNERS);
        let account =
            owners[owner].browser.moved_to(address(random)).connect(Connection::Consumer, holder.clone()).await;
        holders.insert(account, (holder, owner));
    }
    for holder in people {
        let owner = random.random_range(0..OWNERS);
        let browser = owners[owner].browser.moved_to(address(random));
        let before = relight.accounts().await;
        let path = browser.log_in("/connect/business", &[], &Consent::of(holder.clone())).await.expect("a result");
        let ids = values_of(&browser.open(&path).await.html, "account");
        let ids: Vec<_> = ids.iter().map(|id| ("account", id.as_str())).collect();
        if !ids.is_empty() {
            browser.press(&format!("{path}/choose"), &ids).await;
        }
        for account in relight.accounts().await.into_iter().filter(|account| !before.contains(account)) {
            holders.insert(account, (holder.clone(), owner));
        }
    }
    let mut known = Vec::new();
    for (id, (holder, owner)) in holders {
        let plan = if random.random_bool(0.67) { Plan::Upgraded } else { Plan::Free };
        owners[owner].browser.add_widget(&id, plan).await;
        let username = relight.username(&id).await;
        let instagram_id = {
            let world = relight.sandbox.world();
            let account = world.accounts.values().find(|account| account.username == username);
            account.expect("a known account").id.clone()
        };
        known.push(Known { id, instagram_id, names: vec![username], holder, owner, upgraded: plan == Plan::Upgraded });
    }
    (owners, known)
}
