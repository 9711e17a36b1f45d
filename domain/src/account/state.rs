//! The state of an account, and what it decides.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

use super::{AccountCommand as Command, AccountError as Error, AccountEvent as Event, NoticeKind, Plan};
use crate::{Authority, Connection, Right, TokenId, UserId, WidgetId};

/// How many widgets an account may have: far above what anybody embeds, so that a script gone wild stays bounded.
const WIDGET_LIMIT: usize = 1_000;

/// One Instagram account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    standing: Standing,
    rights: BTreeMap<UserId, Right>,
    widgets: BTreeMap<WidgetId, Plan>,
    removed_widgets: BTreeSet<WidgetId>,
    /// The last token that is known to have died of a password change.
    password_changed: Option<TokenId>,
    deauthorized: Option<chrono::DateTime<chrono::Utc>>,
    notices: BTreeSet<(UserId, NoticeKind, i64, Option<u32>)>,
}

/// Whether the account is connected, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Never connected.
    #[default]
    Unknown,
    /// Connected.
    Connected(Connection),
    /// Disconnected by an owner; may come back.
    Disconnected(Connection),
    /// Its data is being erased; no way back.
    Erasing,
    /// Its data is erased.
    Erased,
}

type Decision = Result<Vec<Event>, Error>;

impl Account {
    /// Whether and how it is connected.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What a customer may do with it.
    pub fn right_of(&self, user: UserId) -> Option<Right> {
        self.rights.get(&user).copied()
    }

    /// Who has which right.
    pub fn rights(&self) -> &BTreeMap<UserId, Right> {
        &self.rights
    }

    /// Its widgets and their plans.
    pub fn widgets(&self) -> &BTreeMap<WidgetId, Plan> {
        &self.widgets
    }

    /// How it is connected, for somebody who may see it.
    ///
    /// # Errors
    /// When it isn't connected, or `by` has no right on it.
    pub fn connected_for(&self, by: Authority) -> Result<Connection, Error> {
        self.shared_with(by)?;
        match self.standing {
            Standing::Connected(connection) => Ok(connection),
            Standing::Disconnected(_) => Err(Error::Disconnected),
            Standing::Unknown | Standing::Erasing | Standing::Erased => Err(Error::Missing),
        }
    }

    /// Decides on a command. No event and no error means: it is already so.
    pub fn decide(&self, command: Command) -> Decision {
        match command {
            Command::Connect { connection, user } => self.connect(connection, user),
            Command::ConfirmConnection { connection } => self.uses(connection).map(|()| vec![]),
            Command::SwitchConnection { to, by } => self.switch(to, by),
            Command::GrantAccess { user, right, by } => self.grant_access(user, right, by),
            Command::RevokeAccess { user, by } => self.revoke_access(user, by),
            Command::AddWidget { widget, plan, by } => self.add_widget(widget, plan, by),
            Command::ChangeWidgetPlan { widget, plan, by } => self.change_plan(widget, plan, by),
            Command::RemoveWidget { widget, by } => self.remove_widget(widget, by),
            Command::RecordPasswordChange { token, evidence } => {
                self.known()?;
                Ok(unless(self.password_changed == Some(token), Event::PasswordChanged { token, evidence }))
            }
            Command::RecordNotice { user, kind, cause, days_left, link, at } => {
                self.known()?;
                let told = self.notices.contains(&(user, kind, cause, days_left));
                Ok(unless(told, Event::NoticeSent { user, kind, cause, days_left, link, at }))
            }
            Command::Disconnect { by } => {
                self.owned(by)?;
                Ok(unless(matches!(self.standing, Standing::Disconnected(_)), Event::Disconnected))
            }
            Command::RecordDeauthorization { issued_at } => {
                self.known()?;
                let older = self.deauthorized.is_some_and(|before| before >= issued_at);
                Ok(unless(older, Event::Deauthorized { issued_at }))
            }
            Command::RequestErasure => match self.standing {
                Standing::Unknown => Err(Error::Missing),
                Standing::Erasing | Standing::Erased => Ok(vec![]),
                _ => Ok(vec![Event::ErasureRequested]),
            },
            Command::RecordErasure { receipt } => match self.standing {
                Standing::Unknown => Err(Error::Missing),
                Standing::Erased => Ok(vec![]),
                _ => Ok(vec![Event::Erased { receipt }]),
            },
        }
    }

    fn connect(&self, connection: Connection, user: UserId) -> Decision {
        let mut events = match self.standing {
            Standing::Unknown | Standing::Disconnected(_) => vec![Event::Connected { connection }],
            Standing::Connected(uses) if uses == connection => vec![],
            Standing::Connected(uses) => return Err(Error::OtherConnection { uses }),
            Standing::Erasing | Standing::Erased => return Err(Error::Missing),
        };
        if !self.rights.contains_key(&user) {
            let right = if self.has_owner() { Right::Developer } else { Right::Owner };
            events.push(Event::AccessGranted { user, right });
        }
        Ok(events)
    }

    fn switch(&self, to: Connection, by: Authority) -> Decision {
        self.owned(by)?;
        match self.standing {
            Standing::Connected(from) => Ok(unless(from == to, Event::ConnectionChanged { from, to })),
            _ => Err(Error::Disconnected),
        }
    }

    fn grant_access(&self, user: UserId, right: Right, by: Authority) -> Decision {
        self.owned(by)?;
        // Alone one may leave, and not stay without anybody who manages the account.
        let is_last = !self.rights.iter().any(|(other, held)| *other != user && *held == Right::Owner);
        if self.right_of(user) == Some(Right::Owner) && right < Right::Owner && is_last {
            return Err(Error::LastOwner);
        }
        Ok(unless(self.right_of(user) == Some(right), Event::AccessGranted { user, right }))
    }

    fn revoke_access(&self, user: UserId, by: Authority) -> Decision {
        if by == Authority::User(user) {
            self.shared_with(by)?;
        } else {
            self.owned(by)?;
        }
        if self.right_of(user).is_none() {
            return Ok(vec![]);
        }
        self.may_lose(user)?;
        Ok(vec![Event::AccessRevoked { user }])
    }

    fn add_widget(&self, widget: WidgetId, plan: Plan, by: Authority) -> Decision {
        self.shared_with(by)?;
        if self.widgets.contains_key(&widget) {
            return Ok(vec![]);
        }
        if self.removed_widgets.contains(&widget) {
            return Err(Error::WidgetWasRemoved);
        }
        if self.widgets.len() >= WIDGET_LIMIT {
            return Err(Error::TooManyWidgets { limit: WIDGET_LIMIT });
        }
        Ok(vec![Event::WidgetAdded { widget, plan }])
    }

    fn change_plan(&self, widget: WidgetId, plan: Plan, by: Authority) -> Decision {
        self.shared_with(by)?;
        let from = *self.widgets.get(&widget).ok_or(Error::NoWidget)?;
        Ok(unless(from == plan, Event::WidgetPlanChanged { widget, from, plan }))
    }

    fn remove_widget(&self, widget: WidgetId, by: Authority) -> Decision {
        self.shared_with(by)?;
        if self.removed_widgets.contains(&widget) {
            return Ok(vec![]);
        }
        let plan = *self.widgets.get(&widget).ok_or(Error::NoWidget)?;
        Ok(vec![Event::WidgetRemoved { widget, plan }])
    }

    /// The account exists, and its data isn't being erased.
    fn known(&self) -> Result<(), Error> {
        match self.standing {
            Standing::Connected(_) | Standing::Disconnected(_) => Ok(()),
            Standing::Unknown | Standing::Erasing | Standing::Erased => Err(Error::Missing),
        }
    }

    fn uses(&self, connection: Connection) -> Result<(), Error> {
        match self.standing {
            Standing::Connected(uses) if uses == connection => Ok(()),
            Standing::Connected(uses) => Err(Error::OtherConnection { uses }),
            Standing::Disconnected(_) => Err(Error::Disconnected),
            Standing::Unknown | Standing::Erasing | Standing::Erased => Err(Error::Missing),
        }
    }

    /// Whether somebody may see the account.
    ///
    /// # Errors
    /// When there is no such account, or `by` has no right on it.
    pub fn shared_with(&self, by: Authority) -> Result<(), Error> {
        self.known()?;
        match by {
            Authority::User(user) if !self.rights.contains_key(&user) => Err(Error::NoRight),
            Authority::User(_) | Authority::Staff => Ok(()),
        }
    }

    fn owned(&self, by: Authority) -> Result<(), Error> {
        self.shared_with(by)?;
        match by {
            Authority::User(user) if self.right_of(user) != Some(Right::Owner) => Err(Error::NotOwner),
            Authority::User(_) | Authority::Staff => Ok(()),
        }
    }

    fn has_owner(&self) -> bool {
        self.rights.values().any(|right| *right == Right::Owner)
    }

    /// The last owner may only leave an account that nobody else sees; otherwise those left behind could manage it no
    /// more, or the next one to connect it would own it.
    fn may_lose(&self, user: UserId) -> Result<(), Error> {
        let mut others = self.rights.iter().filter(|(other, _)| **other != user).map(|(_, right)| *right).peekable();
        let alone = others.peek().is_none();
        let owner_stays = others.any(|right| right == Right::Owner);
        if self.right_of(user) != Some(Right::Owner) || owner_stays || alone { Ok(()) } else { Err(Error::LastOwner) }
    }
}

fn unless(already: bool, event: Event) -> Vec<Event> {
    if already { vec![] } else { vec![event] }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = Event;
    type Error = Error;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), Error> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Connected { connection } | Event::ConnectionChanged { to: connection, .. } => {
                self.standing = Standing::Connected(connection);
            }
            Event::AccessGranted { user, right } => {
                self.rights.insert(user, right);
            }
            Event::AccessRevoked { user } => {
                self.rights.remove(&user);
            }
            Event::WidgetAdded { widget, plan } | Event::WidgetPlanChanged { widget, plan, .. } => {
                self.widgets.insert(widget, plan);
            }
            Event::WidgetRemoved { widget, .. } => {
                self.widgets.remove(&widget);
                self.removed_widgets.insert(widget);
            }
            Event::NoticeSent { user, kind, cause, days_left, .. } => {
                self.notices.insert((user, kind, cause, days_left));
            }
            Event::PasswordChanged { token, .. } => self.password_changed = Some(token),
            Event::Disconnected => {
                if let Standing::Connected(connection) = self.standing {
                    self.standing = Standing::Disconnected(connection);
                }
            }
            Event::Deauthorized { issued_at } => self.deauthorized = Some(issued_at),
            Event::ErasureRequested => self.standing = Standing::Erasing,
            Event::Erased { .. } => *self = Self { standing: Standing::Erased, ..Self::default() },
        }
    }
}
