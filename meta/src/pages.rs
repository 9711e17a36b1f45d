//! The Pages that a login reaches, each with the Instagram account that is linked to it.
//!
//! One call lists them with their accounts. Only where that fails, or doesn't name an account at all, are they asked about one
//! by one; and those beside the list, which a business portfolio owns and the person has ticked. A Page that can't be read is
//! left out and named; it keeps no other one from being read.
//!
//! Source: Meta, "Pages API", "Business Manager API"; public reports of what lists leave out.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    Business, MetaError, Profile,
    facts::TokenFacts,
    shape::{id, text},
};

/// How many Pages of one person are read.
const PAGE_LIMIT: usize = 2_000;
/// The longest name that is kept, in characters.
const NAME: usize = 100;
/// How many are listed by a call.
const LISTED: usize = 100;
/// How many are asked about at once.
const AT_ONCE: usize = 4;
/// How many of a person's businesses are looked at.
const BUSINESSES: usize = 50;

const FULL: &str = "id,name,instagram_business_account{id,username}";
const BARE: &str = "id,name";

/// A Page, and the Instagram account that is linked to it, if one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The account.
    pub account: Option<Profile>,
}

/// What a login reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// The Pages.
    pub pages: Vec<Page>,
    /// Those that could not be read.
    pub left_out: Vec<LeftOut>,
}

/// A Page that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, or its id.
    pub page: String,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a Page could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyLeftOut {
    /// Meta refused it.
    Refused,
    /// The person did not tick it.
    Unticked,
    /// There are more Pages than are read.
    TooMany,
}

#[derive(Deserialize)]
struct List {
    /// Each read alone: one odd Page hides no other.
    data: Vec<serde_json::Value>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default, deserialize_with = "text")]
    name: String,
    instagram_business_account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(deserialize_with = "id")]
    id: String,
    username: String,
}

#[derive(Deserialize)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

impl Listed {
    fn page(self) -> Page {
        let account = self
            .instagram_business_account
            .map(|account| Profile { instagram_id: account.id, username: account.username });
        Page { id: self.id, name: self.name.chars().take(NAME).collect(), account }
    }
}

impl Business {
    /// The Pages that the person gave, each with its Instagram account.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn pages(&self, token: &SecretString, facts: &TokenFacts) -> Result<Reached, MetaError> {
        let (mut listed, mut are_all) = self.list(token, &["me", "accounts"]).await?;
        if facts.scopes.iter().any(|scope| scope == "business_management") {
            let (of_businesses, all) = self.of_businesses(token).await;
            listed.extend(of_businesses);
            are_all &= all;
        }
        let mut seen = BTreeSet::new();
        listed.retain(|page| seen.insert(page.id.clone()));
        // Where the list names no account at all, it may just not have been told.
        let names_any = listed.iter().any(|page| page.instagram_business_account.is_some());
        let ticked = ["pages_show_list", "pages_read_engagement"].map(|scope| facts.targets_of(scope));
        let named = ticked.iter().flatten().flatten().map(|id| (*id).to_owned());
        let mut to_ask: Vec<(String, String)> = if names_any {
            Vec::new()
        } else {
            listed.iter().map(|page| (page.id.clone(), page.name.clone())).collect()
        };
        to_ask.extend(named.filter(|id| seen.insert(id.clone())).map(|id| (id, String::new())));
        are_all &= to_ask.len() <= PAGE_LIMIT;
        to_ask.truncate(PAGE_LIMIT);
        let mut reached = Reached::default();
        if names_any {
            reached.pages.extend(listed.into_iter().map(Listed::page));
        }
        let asked: Vec<_> = stream::iter(to_ask)
            .map(|(id, name)| async {
                let page = self.page(token, &id).await;
                (id, name, page)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (id, name, page) in asked {
            match page {
                Ok(page) => {
                    let name = if page.name.is_empty() { name } else { page.name };
                    reached.pages.push(Page { name, ..page });
                }
                Err(error) if error.is_refusal() => {
                    let is_unticked = ticked[1].as_ref().is_some_and(|ticked| !ticked.contains(&id.as_str()));
                    let why = if is_unticked { WhyLeftOut::Unticked } else { WhyLeftOut::Refused };
                    reached.left_out.push(LeftOut { page: if name.is_empty() { id } else { name }, why });
                }
                Err(error) => return Err(error),
            }
        }
        if !are_all {
            let page = format!("everything after the first {}", reached.pages.len());
            reached.left_out.push(LeftOut { page, why: WhyLeftOut::TooMany });
        }
        Ok(reached)
    }

    /// Lists Pages with their accounts, or, where that is refused, without; and whether these are all.
    async fn list(&self, token: &SecretString, path: &[&str]) -> Result<(Vec<Listed>, bool), MetaError> {
        match self.list_with(token, path, FULL).await {
            Err(error) if error.is_refusal() => self.list_with(token, path, BARE).await,
            listed => listed,
        }
    }

    async fn list_with(
        &self,
        token: &SecretString,
        path: &[&str],
        fields: &str,
    ) -> Result<(Vec<Listed>, bool), MetaError> {
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        let mut limit = LISTED;
        loop {
            let at_once = limit.to_string();
            let mut query = vec![("fields", fields), ("limit", at_once.as_str())];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let list: List = match self.graph("me/accounts", token, None, path, &query).await {
                Err(error) if error.wants_less() && limit > 1 => {
                    limit /= 2;
                    continue;
                }
                list => list?,
            };
            let nothing_new = list.data.is_empty();
            listed.extend(list.data.into_iter().filter_map(|page| serde_json::from_value(page).ok()));
            after = list.paging.filter(|paging| paging.next.is_some()).and_then(|paging| paging.cursors?.after);
            if after.is_none() || nothing_new {
                return Ok((listed, true));
            }
            if listed.len() >= PAGE_LIMIT || self.budget().wait(None, true).is_some() {
                listed.truncate(PAGE_LIMIT);
                return Ok((listed, false));
            }
        }
    }

    /// The Pages of the businesses in which the person has a role: what can't be read of them is left out.
    async fn of_businesses(&self, token: &SecretString) -> (Vec<Listed>, bool) {
        let query = [("fields", "id,name"), ("limit", "100")];
        let businesses: Result<List, _> = self.graph("me/businesses", token, None, &["me", "businesses"], &query).await;
        let businesses = businesses.map(|list| list.data).unwrap_or_default();
        let (mut listed, mut are_all) = (Vec::new(), true);
        let ids = businesses.into_iter().filter_map(|business| serde_json::from_value::<Listed>(business).ok());
        for Listed { id, .. } in ids.take(BUSINESSES) {
            for edge in ["owned_pages", "client_pages"] {
                match self.list(token, &[&id, edge]).await {
                    Ok((pages, all)) => {
                        listed.extend(pages);
                        are_all &= all;
                    }
                    Err(error) if error.is_refusal() => {}
                    // A limit, or nobody answers: what was listed until then counts.
                    Err(_) => return (listed, false),
                }
            }
        }
        (listed, are_all)
    }

    async fn page(&self, token: &SecretString, page: &str) -> Result<Page, MetaError> {
        let listed: Listed = self.graph("page", token, None, &[page], &[("fields", FULL)]).await?;
        Ok(listed.page())
    }
}
