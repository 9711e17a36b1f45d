//! The Facebook Pages that a token reaches, as Meta lists them: each with the Instagram account that is linked to it.
//!
//! Source: Meta, "Pages API", "Business Manager API"; public reports of what lists leave out.

use secrecy::SecretString;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    Business, MetaError, Profile,
    shape::{Each, id, readable, some_text, text},
};

/// How many Pages of one list are read.
pub const PAGE_LIMIT: usize = 2_000;
/// The longest name that is kept, in characters.
const NAME: usize = 100;
/// How many are listed by a call.
const LISTED: usize = 100;

const WITH_ACCOUNTS: &str = "id,name,instagram_business_account{id,username}";
const NAMES: &str = "id,name";

/// A Page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// Its name; empty if it isn't told.
    pub name: String,
    /// What is linked to it.
    pub linked: Linked,
}

/// What is linked to a Page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linked {
    /// No account, or none is told.
    Nothing,
    /// An account.
    Account(Profile),
    /// An account by its id: its name isn't told.
    Unnamed(String),
    /// Something that can't be read.
    Unreadable,
}

/// Pages, as they are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The Pages.
    pub pages: Vec<Page>,
    /// What there is besides.
    pub rest: Rest,
}

/// What of a list was not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// More than are read; or Meta gives no cursor to ask for it.
    TooMuch,
    /// Some, which Meta could not tell just now.
    Later,
}

/// Of whom Pages are listed.
#[derive(Debug, Clone, Copy)]
pub enum Edge<'a> {
    /// Of the person.
    Person,
    /// Of a business, by its id.
    OwnedBy(&'a str),
    /// Of a business's clients, by its id.
    SharedWith(&'a str),
}

/// What is asked of each Page.
#[derive(Debug, Clone, Copy)]
pub enum Detail {
    /// Its name and its account.
    Accounts,
    /// Its name alone: where the account is refused.
    Names,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default)]
    instagram_business_account: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default, deserialize_with = "some_text")]
    username: Option<String>,
}

#[derive(Deserialize)]
struct List {
    data: Each,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    /// Carries the token: only whether it is there matters.
    #[serde(default)]
    next: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default, deserialize_with = "some_text")]
    after: Option<String>,
}

impl From<Listed> for Page {
    fn from(Listed { id, name, instagram_business_account }: Listed) -> Self {
        let account = instagram_business_account.map(|raw| serde_json::from_str::<Account>(raw.get()));
        let linked = match account {
            None => Linked::Nothing,
            Some(Ok(Account { id, username: Some(username) })) => {
                Linked::Account(Profile { instagram_id: id, username })
            }
            Some(Ok(Account { id, username: None })) => Linked::Unnamed(id),
            Some(Err(_)) => Linked::Unreadable,
        };
        Self { id, name: name.chars().take(NAME).collect(), linked }
    }
}

impl Business {
    /// Lists Pages. Entries that have no id are left out.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn list_pages(&self, token: &SecretString, of: Edge<'_>, detail: Detail) -> Result<Listing, MetaError> {
        let (call, path) = match of {
            Edge::Person => ("me/accounts", ["me", "accounts"]),
            Edge::OwnedBy(business) => ("owned_pages", [business, "owned_pages"]),
            Edge::SharedWith(business) => ("client_pages", [business, "client_pages"]),
        };
        let fields = match detail {
            Detail::Accounts => WITH_ACCOUNTS,
            Detail::Names => NAMES,
        };
        let (all, rest) = self.list(call, token, &path, fields).await?;
        Ok(Listing { pages: readable::<Listed>(&all).map(Page::from).collect(), rest })
    }

    /// The ids of the businesses in which the person has a role, and what was not read of them.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn businesses(&self, token: &SecretString) -> Result<(Vec<String>, Rest), MetaError> {
        let (all, rest) = self.list("me/businesses", token, &["me", "businesses"], NAMES).await?;
        Ok((readable::<Listed>(&all).map(|business| business.id).collect(), rest))
    }

    /// One Page, by its id.
    ///
    /// # Errors
    /// When the token doesn't work or Meta can't be asked.
    pub async fn page(&self, token: &SecretString, page: &str) -> Result<Page, MetaError> {
        let listed: Listed = self.graph("page", token, None, &[page], &[("fields", WITH_ACCOUNTS)]).await?;
        Ok(listed.into())
    }

    /// Turns the pages of a list, as far as [`PAGE_LIMIT`] and the app's budget allow.
    async fn list(
        &self,
        call: &'static str,
        token: &SecretString,
        path: &[&str],
        fields: &str,
    ) -> Result<(Each, Rest), MetaError> {
        let (mut all, mut after, mut limit) = (Each::new(), None::<String>, LISTED);
        loop {
            let at_once = limit.to_string();
            let mut query = vec![("fields", fields), ("limit", at_once.as_str())];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let list: List = match self.graph(call, token, None, path, &query).await {
                Err(error) if error.wants_less() && limit > 1 => {
                    limit /= 2;
                    continue;
                }
                // What was listed until then counts.
                Err(_) if !all.is_empty() => return Ok((all, Rest::Later)),
                list => list?,
            };
            let nothing_new = list.data.is_empty();
            all.extend(list.data);
            let Some(paging) = list.paging.filter(|paging| paging.next.is_some()) else {
                return Ok((all, Rest::Nothing));
            };
            // Without a cursor the rest can't be asked for; a page without anything on it is the last one.
            let cursor = paging.cursors.and_then(|cursors| cursors.after);
            if nothing_new {
                return Ok((all, Rest::Nothing));
            }
            if cursor.is_none() || all.len() >= PAGE_LIMIT {
                all.truncate(PAGE_LIMIT);
                return Ok((all, Rest::TooMuch));
            }
            if self.budget().wait(None, true).is_some() {
                return Ok((all, Rest::Later));
            }
            after = cursor;
        }
    }
}
