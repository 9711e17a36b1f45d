//! Which accounts a login through Facebook reaches, by the person's Pages.
//!
//! One call lists the Pages with their accounts. Only where that fails, or doesn't tell an account, are they asked about one by
//! one; and those beside the list, which a business portfolio owns and the person has ticked. A Page that can't be read is left
//! out and named; it keeps no other one from being read.

use std::{collections::BTreeSet, time::Duration};

use domain::Verdict;
use futures::{StreamExt, stream};
use meta::{Business, Detail, Edge, Linked, Listing, MetaError, PAGE_LIMIT, Page, Profile, Rest, TokenFacts};
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use crate::{
    judge::{judge_and_pause, retry_passing, verdict},
    outcome::{LeftOut, Why},
};

/// How many are asked about at once.
const AT_ONCE: usize = 4;
/// How many of a person's businesses are looked at.
const BUSINESSES: usize = 50;
/// How many accounts are asked about that were ticked and no Page led to.
const TICKED: usize = 50;
/// How long all of it may take; what isn't known by then is left out.
pub const WITHIN: Duration = Duration::from_mins(1);

/// What a login reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// The accounts, each once.
    pub accounts: Vec<Profile>,
    /// Names of Pages that no account is linked to.
    pub without_account: Vec<String>,
    /// Pages that could not be read.
    pub left_out: Vec<LeftOut>,
}

/// What a login reaches, by a token of it and what Meta knows of that. `ends`: when asking ends, [`WITHIN`] from now.
///
/// # Errors
/// When the token doesn't work, Meta refuses the app, or can't be asked at all.
pub async fn reached(
    business: &Business,
    token: &SecretString,
    facts: &TokenFacts,
    ends: Instant,
) -> Result<Reached, MetaError> {
    let login = Pages { business, token, facts, ends };
    let mut listing = login.list(Edge::Person).await?;
    if facts.scopes.iter().any(|scope| scope == "business_management") {
        let of_businesses = login.of_businesses().await?;
        listing.pages.extend(of_businesses.pages);
        listing.rest = listing.rest.max(of_businesses.rest);
    }
    let mut seen = BTreeSet::new();
    listing.pages.retain(|page| seen.insert(page.id.clone()));
    // Where the list tells no account at all, it may just not have been told.
    let tells_any = listing.pages.iter().any(|page| page.linked != Linked::Nothing);
    let (told, mut to_ask): (Vec<_>, Vec<_>) = listing.pages.into_iter().partition(|page| match page.linked {
        Linked::Account(_) => true,
        Linked::Nothing => tells_any,
        Linked::Unnamed(_) | Linked::Unreadable => false,
    });
    let ticked = ["pages_read_engagement", "pages_show_list"].into_iter().filter_map(|name| login.ticked_for(name));
    let ticked = ticked.flatten().filter(|id| seen.insert(id.clone()));
    to_ask.extend(ticked.map(|id| Page { id, name: String::new(), linked: Linked::Nothing }));
    if to_ask.len() > PAGE_LIMIT {
        to_ask.truncate(PAGE_LIMIT);
        listing.rest = listing.rest.max(Rest::TooMuch);
    }
    let mut reached = Reached::default();
    for page in told {
        reached.add(page);
    }
    login.ask_about(to_ask, &mut reached).await?;
    // A Page that was left out explains why its account is missing.
    if reached.left_out.is_empty() || reached.accounts.is_empty() {
        login.without_page(&mut reached).await?;
    }
    let rest = match listing.rest {
        Rest::Nothing => None,
        Rest::TooMuch => Some(Why::TooMany),
        Rest::Later => Some(Why::Later),
    };
    reached.left_out.extend(rest.map(|why| LeftOut { page: None, why }));
    reached.accounts.sort_by(|a, b| a.instagram_id.cmp(&b.instagram_id));
    reached.accounts.dedup_by(|a, b| a.instagram_id == b.instagram_id);
    Ok(reached)
}

impl Reached {
    fn add(&mut self, page: Page) {
        match page.linked {
            Linked::Account(profile) => self.accounts.push(profile),
            _ => self.without_account.push(if page.name.is_empty() { page.id } else { page.name }),
        }
    }

    fn leave_out(&mut self, page: Page, why: Why) {
        let name = if page.name.is_empty() { page.id } else { page.name };
        self.left_out.push(LeftOut { page: Some(name), why });
    }
}

/// A login whose Pages are looked for.
struct Pages<'a> {
    business: &'a Business,
    token: &'a SecretString,
    facts: &'a TokenFacts,
    ends: Instant,
}

impl Pages<'_> {
    /// Lists Pages with their accounts, or, where that is refused, without.
    async fn list(&self, edge: Edge<'_>) -> Result<Listing, MetaError> {
        let list = |detail| self.in_time(self.business.list_pages(self.token, edge, detail));
        match list(Detail::Accounts).await {
            Err(error) if !verdict(&error).is_temporary() => list(Detail::Names).await,
            listing => listing,
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, MetaError>>) -> Result<T, MetaError> {
        timeout_at(self.ends, call).await.unwrap_or(Err(MetaError::Unreachable("timed out")))
    }

    /// The Pages of the businesses in which the person has a role. What is refused of them is left out.
    async fn of_businesses(&self) -> Result<Listing, MetaError> {
        let mut all = Listing::default();
        let businesses = match self.in_time(self.business.businesses(self.token)).await {
            Ok((ids, rest)) => {
                all.rest = if ids.len() > BUSINESSES { rest.max(Rest::TooMuch) } else { rest };
                ids
            }
            Err(error) => {
                all.rest = if self.passes(&error)? { Rest::Later } else { Rest::Nothing };
                return Ok(all);
            }
        };
        for id in businesses.iter().take(BUSINESSES) {
            for edge in [Edge::OwnedBy(id), Edge::SharedWith(id)] {
                match self.list(edge).await {
                    Ok(listing) => {
                        all.pages.extend(listing.pages);
                        all.rest = all.rest.max(listing.rest);
                    }
                    // A limit, or nobody answers: what was listed until then counts.
                    Err(error) if self.passes(&error)? => return Ok(Listing { rest: Rest::Later, ..all }),
                    Err(_) => {}
                }
            }
        }
        Ok(all)
    }

    /// Whether an error passes; otherwise it is a refusal of what was asked for. The token itself has just listed Pages.
    ///
    /// # Errors
    /// What is the app's matter.
    fn passes(&self, error: &MetaError) -> Result<bool, MetaError> {
        match judge_and_pause(self.business.budget(), None, error).verdict {
            Verdict::AppRefused => Err(error.clone()),
            verdict => Ok(verdict.is_temporary()),
        }
    }

    /// The Pages that were ticked for a permission, where that was chosen; `None`: all of them.
    fn ticked_for(&self, permission: &str) -> Option<Vec<String>> {
        Some(self.facts.targets_of(permission)?.into_iter().map(str::to_owned).collect())
    }

    /// Asks about Pages one by one.
    async fn ask_about(&self, pages: Vec<Page>, reached: &mut Reached) -> Result<(), MetaError> {
        let ticked = self.ticked_for("pages_read_engagement");
        let asked = stream::iter(pages).map(|page| async {
            let answer = self.ask(&page.id).await;
            // Before the next one is asked about: a limit ends the asking.
            if let Err(error) = &answer {
                judge_and_pause(self.business.budget(), None, error);
            }
            (page, answer)
        });
        for (page, answer) in asked.buffered(AT_ONCE).collect::<Vec<_>>().await {
            match answer {
                Ok(Some(told)) if told.linked == Linked::Unreadable => reached.leave_out(page, Why::Refused),
                Ok(Some(told)) => {
                    let name = if told.name.is_empty() { page.name } else { told.name };
                    reached.add(Page { name, ..told });
                }
                Ok(None) => reached.leave_out(page, Why::Later),
                Err(error) if self.passes(&error)? => reached.leave_out(page, Why::Later),
                Err(_) => {
                    let is_unticked = ticked.as_ref().is_some_and(|ticked| !ticked.contains(&page.id));
                    reached.leave_out(page, if is_unticked { Why::Unticked } else { Why::Refused });
                }
            }
        }
        Ok(())
    }

    /// One Page, with its account's name; `None`: there is no time left to ask, or Meta's limit lets no one.
    async fn ask(&self, page: &str) -> Result<Option<Page>, MetaError> {
        if !self.may_ask() {
            return Ok(None);
        }
        let mut told = self.in_time(retry_passing(|| self.business.page(self.token, page))).await?;
        if let Linked::Unnamed(id) = &told.linked {
            let profile = retry_passing(|| self.business.profile(self.token, id));
            told.linked = Linked::Account(self.in_time(profile).await?);
        }
        Ok(Some(told))
    }

    fn may_ask(&self) -> bool {
        Instant::now() < self.ends && self.business.budget().wait(None, true).is_none()
    }

    /// Accounts that were ticked and that no Page led to. Ticks can be stale, so a refusal is reported only where no account was
    /// reached.
    async fn without_page(&self, reached: &mut Reached) -> Result<(), MetaError> {
        let known: BTreeSet<_> = reached.accounts.iter().map(|account| account.instagram_id.clone()).collect();
        let ticked = self.facts.targets_of("instagram_basic").unwrap_or_default();
        let ticked: Vec<_> = ticked.into_iter().filter(|id| !known.contains(*id)).collect();
        let mut left_out: BTreeSet<_> = (ticked.len() > TICKED).then_some(Why::TooMany).into_iter().collect();
        let asked: Vec<_> = ticked.into_iter().take(TICKED).map(|id| self.ask_about_account(id.to_owned())).collect();
        for profile in stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>().await {
            match profile? {
                Ok(profile) => reached.accounts.push(profile),
                Err(why) => drop(left_out.insert(why)),
            }
        }
        for why in left_out {
            if why != Why::Refused || reached.accounts.is_empty() {
                reached.left_out.push(LeftOut { page: None, why });
            }
        }
        Ok(())
    }

    async fn ask_about_account(&self, id: String) -> Result<Result<Profile, Why>, MetaError> {
        if !self.may_ask() {
            return Ok(Err(Why::Later));
        }
        match self.in_time(retry_passing(|| self.business.profile(self.token, &id))).await {
            Ok(profile) => Ok(Ok(profile)),
            Err(error) if self.passes(&error)? => Ok(Err(Why::Later)),
            Err(_) => Ok(Err(Why::Refused)),
        }
    }
}
