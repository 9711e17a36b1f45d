//! An account's story: each event in words, and the state after it. For support, and for owners on their page.

use chrono::{DateTime, Utc};
use domain::{
    Account, AccountEvent, Reason, Right, Token, TokenEvent, UserId, WidgetId,
    account::{NoticeKind, Plan, Standing},
    failure::Certainty,
    token::{Clock, Current, Way},
};
use engine::{Decoded, Recorded};
use store::Event;

/// So many characters are shown of an event that can't be read.
const SHOWN: usize = 300;

/// One event of a story.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// The event as it is stored.
    pub recorded: Recorded,
    /// The event, if this program can read it.
    pub event: Option<Event>,
    /// What happened, in a sentence.
    pub words: String,
    /// Whom or what the sentence names by its id.
    pub about: About,
    /// The state after it: `active`, `expired (password_changed)`, `disconnected`, …
    pub state: String,
    /// Its token's clocks then, and which decides; `None` without a token.
    pub clocks: Option<String>,
}

/// Whom or what an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Nothing but the account.
    Account,
    /// Somebody who can sign in.
    User(UserId),
    /// One of its widgets.
    Widget(WidgetId),
}

/// Tells a story from its events, which must be all of an account's, from the first. An event that this program can't read
/// is told as it is stored, and from it on nobody knows the state.
pub fn tell(events: Vec<Recorded>) -> Vec<Chapter> {
    use cqrs_es::Aggregate;
    let (mut account, mut token) = (Account::default(), Token::default());
    let mut is_known = true;
    let chapter = |recorded: Recorded| {
        let (words, event) = read(&recorded);
        let about = event.as_ref().map_or(About::Account, about);
        match event.clone() {
            Some(Event::Account(event)) => account.apply(event),
            Some(Event::Token(event)) => token.apply(event),
            None => is_known = false,
        }
        let (state, clocks) = if is_known {
            (state(&account, &token), token.current().map(clocks))
        } else {
            ("unknown".to_owned(), None)
        };
        Chapter { recorded, event, words, about, state, clocks }
    };
    events.into_iter().map(chapter).collect()
}

/// What a stored event says in words, and the event, if this program can read it.
pub fn read(recorded: &Recorded) -> (String, Option<Event>) {
    match recorded.decoded::<Event>() {
        Decoded::Event(event) => (words(&event), Some(event)),
        unreadable => {
            let Recorded { aggregate, event_type, version, payload, .. } = recorded;
            let why = unreadable.failure().unwrap_or_default();
            let stored: String = payload.get().chars().take(SHOWN).collect();
            let what = format!("{event_type} ({aggregate}, version {version})");
            (format!("{what}, which this version of Relight can't read: {why}. It is stored as {stored}"), None)
        }
    }
}

fn state(account: &Account, token: &Token) -> String {
    match (account.standing(), token.expired()) {
        (Standing::Unknown, _) => "unknown".to_owned(),
        (Standing::Connected(_), Some(reason)) => format!("expired ({})", reason.name()),
        (Standing::Connected(_), None) if token.active().is_some() => "active".to_owned(),
        (Standing::Connected(_), None) => "connected, no token yet".to_owned(),
        (Standing::Disconnected(_), _) => "disconnected".to_owned(),
        (Standing::Erasing, _) => "being erased".to_owned(),
        (Standing::Erased, _) => "erased".to_owned(),
    }
}

fn clocks(token: &Current) -> String {
    let end = |end: Option<DateTime<Utc>>| {
        end.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", end.format("%Y-%m-%d %H:%M UTC")))
    };
    let estimate = if token.data_access.is_some_and(|end| end.estimated) { " (an estimate)" } else { "" };
    let first = match token.ends_first() {
        Some(Clock::Session) => "; the session ends first",
        Some(Clock::DataAccess) => "; data access ends first",
        None => "",
    };
    let data_access = end(token.data_access.map(|end| end.ends_at));
    format!("session {}, data access {data_access}{estimate}{first}", end(token.expires_at))
}

/// What happened, in a sentence without names: events carry none.
pub fn words(event: &Event) -> String {
    match event {
        Event::Account(event) => account_words(event),
        Event::Token(event) => token_words(event),
    }
}

fn about(event: &Event) -> About {
    match event {
        Event::Account(
            AccountEvent::AccessGranted { user, .. }
            | AccountEvent::AccessRevoked { user }
            | AccountEvent::NoticeSent { user, .. },
        ) => About::User(*user),
        Event::Account(
            AccountEvent::WidgetAdded { widget, .. }
            | AccountEvent::WidgetPlanChanged { widget, .. }
            | AccountEvent::WidgetRemoved { widget, .. },
        ) => About::Widget(*widget),
        _ => About::Account,
    }
}

fn account_words(event: &AccountEvent) -> String {
    match event {
        AccountEvent::Connected { connection } => format!("Connected through {} ({connection}).", connection.login()),
        AccountEvent::ConnectionChanged { from, to } => format!("Switched from the {from} to the {to} connection."),
        AccountEvent::AccessGranted { user, right: Right::Owner } => format!("User {user} became an owner."),
        AccountEvent::AccessGranted { user, right: Right::Developer } => format!("User {user} became a developer."),
        AccountEvent::AccessRevoked { user } => format!("User {user} lost access."),
        AccountEvent::WidgetAdded { widget, plan } => format!("Widget {widget} was added ({}).", plan_words(*plan)),
        AccountEvent::WidgetPlanChanged { widget, plan, .. } => {
            format!("Widget {widget} is {} now.", plan_words(*plan))
        }
        AccountEvent::WidgetRemoved { widget, .. } => format!("Widget {widget} was removed."),
        AccountEvent::NoticeSent { user, kind, .. } => format!("A mail went to User {user}: {}.", notice_words(*kind)),
        AccountEvent::PasswordChanged { evidence, .. } if evidence.certainty == Certainty::Likely => {
            "Meta says that the password was changed, or that there was a security reset.".to_owned()
        }
        AccountEvent::PasswordChanged { .. } => "Meta says that the password was changed.".to_owned(),
        AccountEvent::Disconnected => "Disconnected.".to_owned(),
        AccountEvent::Deauthorized { .. } => "The person removed the app at Meta.".to_owned(),
        AccountEvent::ErasureRequested => "Erasure was requested.".to_owned(),
        AccountEvent::Erased { receipt } => {
            let rows: Vec<_> = receipt.iter().map(|(kind, rows)| format!("{rows} of {kind}")).collect();
            format!("Everything about the person was erased: {}.", rows.join(", "))
        }
    }
}

/// What a notice tells.
pub const fn notice_words(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Expired => "it needs a new login",
        NoticeKind::Reminder => "access ends soon",
        NoticeKind::Recovered => "it works again",
        NoticeKind::RefreshedByVisitor => "somebody refreshed it",
        NoticeKind::ReadingRefused => "its posts can't be read",
        NoticeKind::RenewalFailing => "its session can't be extended",
    }
}

fn token_words(event: &TokenEvent) -> String {
    match event {
        TokenEvent::Issued { generation, grant } => {
            format!("Access granted, generation {generation}, {}.", way_words(grant.way))
        }
        TokenEvent::Refreshed { generation, grant } => {
            format!("Token refreshed, generation {generation}, {}.", way_words(grant.way))
        }
        TokenEvent::RefreshDeclined { way, .. } => {
            format!("Someone else logged in {}. Meta confirmed that the token works, so it was kept.", way_words(*way))
        }
        TokenEvent::Renewed { .. } => "The session was extended.".to_owned(),
        TokenEvent::Restored { .. } => "Meta says that the expired token works again: it is active.".to_owned(),
        TokenEvent::ReadingRefused { .. } => "The token works, and Meta refuses the posts.".to_owned(),
        TokenEvent::ReadingResumed { .. } => "Meta lets us read the posts again.".to_owned(),
        TokenEvent::RenewalFailing { since, .. } => {
            format!("The session can't be extended: since {}, several times.", since.format("%Y-%m-%d %H:%M UTC"))
        }
        TokenEvent::DeadlinesMoved { .. } => "Meta gave new end dates for the token.".to_owned(),
        TokenEvent::DataAccessMoved { .. } => "Meta gave a new end date for data access.".to_owned(),
        TokenEvent::Expired { reason: Reason::PasswordChanged, evidence: Some(evidence), .. }
            if evidence.certainty == Certainty::Likely =>
        {
            "Token expired: the password was changed, or there was a security reset.".to_owned()
        }
        TokenEvent::Expired { reason, .. } => format!("Token expired: {}.", reason_words(*reason)),
        TokenEvent::Revoked { .. } => "The token was destroyed.".to_owned(),
    }
}

const fn plan_words(plan: Plan) -> &'static str {
    match plan {
        Plan::Free => "Free",
        Plan::Upgraded => "Upgraded",
    }
}

const fn way_words(way: Way) -> &'static str {
    match way {
        Way::Connect => "by connecting",
        Way::Account => "from the account's page",
        Way::TokenPage => "from the access token page",
        Way::Link => "by a reconnect link",
        Way::Switch => "by switching the connection",
    }
}

/// Why a token can't be used, as pages say it.
pub const fn reason_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Lifetime => "it ran out",
        Reason::PasswordChanged => "password changed",
        Reason::AppRemoved => "the app was removed",
        Reason::Checkpoint => "a security check is waiting",
        Reason::Unconfirmed => "the user is not confirmed",
        Reason::Invalidated => "logged out: password changed or a security reset",
        Reason::PageRoleLost => "the role on the Page was lost",
        Reason::PermissionMissing => "a permission is missing",
        Reason::DataAccessEnded => "data access ended",
        Reason::Unknown => "refused by Meta without a reason",
    }
}
