//! The projection `work`: which events make which things due. The queue itself is in [`crate::queue`].
//!
//! A row is written only with a newer cause, which clears lease and attempts: whoever still works for an older cause
//! can't change it any more.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    AccountEvent, TokenEvent,
    account::Plan,
    schedule::{self, PullIntervals},
    token::Current,
};
use store::{Bulk, Entry, Event, StoreError, Tx, execute, within};

use crate::{
    account,
    projection::{Projection, Target},
    queue::{self, Kind, Priority},
};

/// Folds events into `work_v1`.
pub(crate) struct Work;

/// What a batch changes.
#[derive(Default)]
pub(crate) struct Fold {
    pulls: BTreeMap<String, Pull>,
    timers: BTreeMap<String, Timers>,
    erased: BTreeSet<String>,
}

/// What a batch changes about an account's pull.
#[derive(Default)]
struct Pull {
    /// The account was connected; the event's position.
    created: Option<i64>,
    free: i64,
    upgraded: i64,
    due: Option<Due>,
}

/// What a batch changes about what is due by the clocks of an account's token.
#[derive(Default)]
struct Timers {
    /// The token that they were for is gone, or another one took its place.
    gone: bool,
    /// When each is due now, and by which event.
    set: BTreeMap<&'static str, (DateTime<Utc>, i64)>,
}

/// When a pull is due, and by which event.
enum Due {
    /// Now, before others: the token is new.
    First(DateTime<Utc>, i64),
    /// Not at all: there is no token to pull with.
    Rests(i64),
    /// Now, unless it rests: whoever is pulling already doesn't know of the change yet, so that pull is let go.
    Sooner(DateTime<Utc>, i64),
}

impl Projection for Work {
    const NAME: &'static str = "work";
    const VERSION: i64 = 2;
    const TABLES: &'static [&'static str] = &["work_v1"];
    type Fold = Fold;

    async fn load(_: &mut Fold, _: &mut Tx, _: Target, _: &[Entry]) -> Result<(), StoreError> {
        Ok(())
    }

    fn accounts(fold: &Fold) -> usize {
        fold.pulls.len()
    }

    fn apply(fold: &mut Fold, entry: &Entry, event: &Event) {
        if let Event::Account(AccountEvent::Erased) = event {
            fold.pulls.remove(&entry.account_id);
            fold.timers.remove(&entry.account_id);
            fold.erased.insert(entry.account_id.clone());
            return;
        }
        if let Event::Token(event) = event {
            fold.timers.entry(entry.account_id.clone()).or_default().apply(entry, event);
        }
        let pull = fold.pulls.entry(entry.account_id.clone()).or_default();
        let (at, position) = (entry.at, entry.position);
        match event {
            Event::Token(TokenEvent::Issued { .. } | TokenEvent::Refreshed { .. }) => {
                pull.due = Some(Due::First(at, position));
            }
            Event::Token(TokenEvent::Expired { .. } | TokenEvent::Revoked { .. }) => {
                pull.due = Some(Due::Rests(position));
            }
            Event::Account(AccountEvent::Connected { .. }) => pull.created = Some(position),
            // A new widget shows what is stored; only a feed of its plan that isn't there yet is worth a pull.
            Event::Account(AccountEvent::WidgetAdded { plan, .. }) => {
                pull.count(*plan, 1);
                pull.sooner(at, position);
            }
            Event::Account(AccountEvent::WidgetPlanChanged { from, plan, .. }) => {
                pull.count(*from, -1);
                pull.count(*plan, 1);
                if *plan == Plan::Upgraded {
                    pull.sooner(at, position);
                }
            }
            Event::Account(AccountEvent::WidgetRemoved { plan, .. }) => pull.count(*plan, -1),
            _ => {}
        }
    }

    async fn save(fold: Fold, tx: &mut Tx, target: Target) -> Result<(), StoreError> {
        let work = target.table("work_v1");
        if target == Target::Serving {
            let all: BTreeSet<&String> =
                fold.erased.iter().chain(fold.pulls.keys()).chain(fold.timers.keys()).collect();
            queue::lock(tx, all.into_iter().map(String::as_str)).await?;
        }
        // What workers made of an erased account goes with it, wherever it was rebuilt.
        for table in [work.as_str(), "feeds", "checks"] {
            let erased = Bulk::default().text("account_id", fold.erased.iter().map(String::as_str));
            erased.run(tx, |ids| format!("DELETE FROM {table} WHERE account_id IN ({ids})")).await?;
        }
        save_created(tx, &work, &fold.pulls).await?;
        save_counts(tx, &work, &fold.pulls).await?;
        save_due(tx, &work, &fold.pulls).await?;
        save_timers(tx, &work, &fold.timers).await
    }

    /// Reconciled: what workers made of a row since its cause stays as it is.
    async fn swap(tx: &mut Tx) -> Result<(), StoreError> {
        rested(tx).await?;
        for sql in [
            "DELETE FROM work_v1 WHERE NOT EXISTS (SELECT 1 FROM work_v1_rebuild AS new \
             WHERE work_v1.kind = new.kind AND work_v1.key = new.key)",
            "UPDATE work_v1 SET free_widgets = new.free_widgets, upgraded_widgets = new.upgraded_widgets \
             FROM work_v1_rebuild AS new WHERE work_v1.kind = new.kind AND work_v1.key = new.key",
            "UPDATE work_v1 SET due_at = new.due_at, priority = new.priority, cause = new.cause, attempts = 0, \
             last_error = NULL, lease = NULL, leased_until = NULL FROM work_v1_rebuild AS new \
             WHERE work_v1.kind = new.kind AND work_v1.key = new.key \
             AND (work_v1.cause <> new.cause OR (work_v1.due_at IS NULL) <> (new.due_at IS NULL))",
            "INSERT INTO work_v1 SELECT * FROM work_v1_rebuild AS new WHERE NOT EXISTS \
             (SELECT 1 FROM work_v1 WHERE work_v1.kind = new.kind AND work_v1.key = new.key)",
        ] {
            execute!(&mut *tx, sqlx::query(sql))?;
        }
        Ok(())
    }
}

impl Timers {
    fn apply(&mut self, entry: &Entry, event: &TokenEvent) {
        match event {
            TokenEvent::Issued { grant, .. } | TokenEvent::Refreshed { grant, .. } => {
                self.end();
                let Ok(account) = account(&entry.account_id) else { return };
                let ends = Current::of(grant).runs_out_at();
                self.set(Kind::Expire, ends, entry);
                self.set(Kind::Renew, schedule::renewal(account, grant.granted_at, grant.expires_at), entry);
                self.set(Kind::Check, Some(schedule::next_check(account, grant.granted_at)), entry);
            }
            // When it expires is seen when it would have: who looks then knows both clocks.
            TokenEvent::Renewed { expires_at, .. } => {
                let Ok(account) = account(&entry.account_id) else { return };
                self.set(Kind::Renew, schedule::renewal(account, entry.at, *expires_at), entry);
            }
            TokenEvent::Expired { .. } | TokenEvent::Revoked { .. } => self.end(),
        }
    }

    fn end(&mut self) {
        self.gone = true;
        self.set.clear();
    }

    fn set(&mut self, kind: Kind, due_at: Option<DateTime<Utc>>, entry: &Entry) {
        if let Some(due_at) = due_at {
            self.set.insert(kind.name(), (due_at, entry.position));
        }
    }
}

impl Pull {
    fn count(&mut self, plan: Plan, by: i64) {
        match plan {
            Plan::Free => self.free += by,
            Plan::Upgraded => self.upgraded += by,
        }
    }

    fn sooner(&mut self, at: DateTime<Utc>, position: i64) {
        match &mut self.due {
            // After the login that makes it due first: it stays first, and knows of the change.
            Some(Due::First(due, cause)) => (*due, *cause) = (at, position),
            Some(Due::Rests(_)) => {}
            Some(Due::Sooner(..)) | None => self.due = Some(Due::Sooner(at, position)),
        }
    }
}

/// Rows that were lost and whose feed is younger than their cause need no pull now: when they are due again comes from the
/// feed, as if they had never been lost.
async fn rested(tx: &mut Tx) -> Result<(), StoreError> {
    let sql = "SELECT new.key, new.upgraded_widgets, max(f.fetched_at) FROM work_v1_rebuild AS new \
               JOIN feeds f ON f.account_id = new.key WHERE new.kind = 'pull' AND f.fetched_at >= new.due_at \
               AND NOT EXISTS (SELECT 1 FROM work_v1 AS old WHERE old.kind = new.kind AND old.key = new.key) \
               GROUP BY new.key, new.upgraded_widgets";
    let rows: Vec<(String, i64, DateTime<Utc>)> = within!(&mut *tx, on => sqlx::query_as(sql).fetch_all(on))?;
    let mut next = Vec::new();
    for (key, upgraded, fetched_at) in &rows {
        let plan = if *upgraded > 0 { Plan::Upgraded } else { Plan::Free };
        // The usual intervals: whatever else is configured holds from the next pull on.
        next.push(PullIntervals::default().next_pull(account(key)?, plan, *fetched_at));
    }
    let bulk =
        Bulk::default().text("key", rows.iter().map(|(key, ..)| key.as_str())).time("due_at", next.iter().copied());
    let normal = Priority::Normal.number();
    let update = |rows: &str| {
        format!(
            "UPDATE work_v1_rebuild AS row SET due_at = new.due_at, priority = {normal} FROM ({rows}) AS new \
             WHERE row.kind = 'pull' AND row.key = new.key"
        )
    };
    bulk.run(tx, update).await?;
    Ok(())
}

async fn save_created(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let created: Vec<_> = pulls.iter().filter_map(|(account, pull)| Some((account.as_str(), pull.created?))).collect();
    let rows = Bulk::default()
        .text("account_id", created.iter().map(|(account, _)| *account))
        .int("cause", created.iter().map(|(_, cause)| *cause));
    let normal = Priority::Normal.number();
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {work} (kind, key, account_id, free_widgets, upgraded_widgets, priority, cause) \
             SELECT 'pull', account_id, account_id, 0, 0, {normal}, cause FROM ({rows}) AS new WHERE true \
             ON CONFLICT (kind, key) DO NOTHING"
        )
    };
    rows.run(tx, insert).await?;
    Ok(())
}

async fn save_timers(tx: &mut Tx, work: &str, timers: &BTreeMap<String, Timers>) -> Result<(), StoreError> {
    let kinds = Kind::TIMERS.map(|kind| format!("'{}'", kind.name())).join(", ");
    let gone =
        Bulk::default().text("key", timers.iter().filter(|(_, timers)| timers.gone).map(|(key, _)| key.as_str()));
    gone.run(tx, |keys| format!("DELETE FROM {work} WHERE kind IN ({kinds}) AND key IN ({keys})")).await?;
    let set: Vec<_> = timers
        .iter()
        .flat_map(|(key, timers)| timers.set.iter().map(move |(kind, (due, cause))| (*kind, key, *due, *cause)))
        .collect();
    let rows = Bulk::default()
        .text("kind", set.iter().map(|(kind, ..)| *kind))
        .text("key", set.iter().map(|(_, key, ..)| key.as_str()))
        .time("due_at", set.iter().map(|(_, _, due, _)| *due))
        .int("cause", set.iter().map(|(.., cause)| *cause));
    let (normal, clock, expire) = (Priority::Normal.number(), Priority::Clock.number(), Kind::Expire.name());
    let insert = |rows: &str| {
        format!(
            "INSERT INTO {work} (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause) \
             SELECT kind, key, key, 0, 0, CASE kind WHEN '{expire}' THEN {clock} ELSE {normal} END, due_at, cause \
             FROM ({rows}) AS new WHERE true ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, \
             priority = excluded.priority, cause = excluded.cause, attempts = 0, last_error = NULL, lease = NULL, \
             leased_until = NULL WHERE {work}.cause < excluded.cause"
        )
    };
    rows.run(tx, insert).await?;
    Ok(())
}

async fn save_counts(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let counted: Vec<_> = pulls.iter().filter(|(_, pull)| pull.free != 0 || pull.upgraded != 0).collect();
    let rows = Bulk::default()
        .text("account_id", counted.iter().map(|(account, _)| account.as_str()))
        .int("free", counted.iter().map(|(_, pull)| pull.free))
        .int("upgraded", counted.iter().map(|(_, pull)| pull.upgraded));
    let update = |rows: &str| {
        format!(
            "UPDATE {work} SET free_widgets = free_widgets + new.free, \
             upgraded_widgets = upgraded_widgets + new.upgraded FROM ({rows}) AS new \
             WHERE kind = 'pull' AND key = new.account_id"
        )
    };
    rows.run(tx, update).await?;
    Ok(())
}

/// A newer cause clears lease and attempts.
async fn save_due(tx: &mut Tx, work: &str, pulls: &BTreeMap<String, Pull>) -> Result<(), StoreError> {
    let (mut set, mut sooner) = (Vec::new(), Vec::new());
    for (account, pull) in pulls {
        match pull.due {
            Some(Due::First(at, cause)) => set.push((account.as_str(), Some(at), cause)),
            Some(Due::Rests(cause)) => set.push((account.as_str(), None, cause)),
            Some(Due::Sooner(at, cause)) => sooner.push((account.as_str(), Some(at), cause)),
            None => {}
        }
    }
    let first = Priority::First.number();
    let changes = [
        (set, format!("priority = {first}, attempts = 0, last_error = NULL, "), ""),
        (sooner, String::new(), "AND row.due_at IS NOT NULL "),
    ];
    for (due, sets, condition) in changes {
        let bulk = Bulk::default()
            .text("account_id", due.iter().map(|(account, ..)| *account))
            .time("due_at", due.iter().map(|(_, at, _)| *at))
            .int("cause", due.iter().map(|(.., cause)| *cause));
        let update = |rows: &str| {
            format!(
                "UPDATE {work} AS row SET {sets}due_at = new.due_at, cause = new.cause, lease = NULL, leased_until = NULL \
                 FROM ({rows}) AS new WHERE row.kind = 'pull' AND row.key = new.account_id {condition}\
                 AND row.cause < new.cause"
            )
        };
        bulk.run(tx, update).await?;
    }
    Ok(())
}
