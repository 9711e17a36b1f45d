//! The projection `work`: which events make which things due. The queue itself is in [`crate::queue`].
//!
//! A row is written only with a newer cause, which clears lease and attempts: whoever still works for an older cause
//! can't change it any more.

use chrono::{DateTime, Utc};
use domain::{AccountEvent, TokenEvent, account::Plan};
use store::{Event, Recorded, StoreError, Tx, execute};

use crate::{follower::Projection, queue::Priority};

/// Folds events into `work_v1`.
pub(crate) struct Work;

impl Projection for Work {
    const NAME: &'static str = "work";
    const VERSION: i64 = 1;

    async fn apply(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), StoreError> {
        for recorded in events {
            let pull = Pull { account: &recorded.account_id, cause: recorded.position };
            match recorded.event()? {
                Event::Token(TokenEvent::Issued { .. } | TokenEvent::Refreshed { .. }) => {
                    pull.due(tx, recorded.at, Priority::First).await?;
                }
                Event::Token(TokenEvent::Expired { .. } | TokenEvent::Revoked { .. }) => pull.rest(tx).await?,
                Event::Token(TokenEvent::Renewed { .. }) => {}
                Event::Account(event) => apply_account(tx, &pull, &event, recorded.at).await?,
            }
        }
        Ok(())
    }
}

async fn apply_account(
    tx: &mut Tx,
    pull: &Pull<'_>,
    event: &AccountEvent,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    match event {
        AccountEvent::Connected { .. } => pull.create(tx).await,
        AccountEvent::WidgetAdded { plan, .. } => {
            pull.count(tx, *plan, 1).await?;
            // A new widget shows what is stored; only a feed of its plan that isn't there yet is worth a pull.
            pull.sooner(tx, at).await
        }
        AccountEvent::WidgetPlanChanged { from, plan, .. } => {
            pull.count(tx, *from, -1).await?;
            pull.count(tx, *plan, 1).await?;
            if *plan == Plan::Upgraded { pull.sooner(tx, at).await } else { Ok(()) }
        }
        AccountEvent::WidgetRemoved { plan, .. } => pull.count(tx, *plan, -1).await,
        AccountEvent::Erased => {
            for table in ["work_v1", "feeds", "checks"] {
                let sql = format!("DELETE FROM {table} WHERE account_id = $1");
                execute!(&mut *tx, sqlx::query(&sql).bind(pull.account))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The row of an account's pull.
struct Pull<'a> {
    account: &'a str,
    cause: i64,
}

impl Pull<'_> {
    async fn create(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let sql = "INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, cause) \
                   VALUES ('pull', $1, $1, 0, 0, $2, $3) ON CONFLICT (kind, key) DO NOTHING";
        execute!(tx, sqlx::query(sql).bind(self.account).bind(Priority::Normal.number()).bind(self.cause))?;
        Ok(())
    }

    async fn due(&self, tx: &mut Tx, at: DateTime<Utc>, priority: Priority) -> Result<(), StoreError> {
        let sql = "UPDATE work_v1 SET due_at = $1, priority = $2, cause = $3, attempts = 0, last_error = NULL, \
                   lease = NULL, leased_until = NULL WHERE kind = 'pull' AND key = $4 AND cause < $3";
        execute!(tx, sqlx::query(sql).bind(at).bind(priority.number()).bind(self.cause).bind(self.account))?;
        Ok(())
    }

    async fn rest(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let sql = "UPDATE work_v1 SET due_at = NULL, cause = $1, attempts = 0, lease = NULL, leased_until = NULL \
                   WHERE kind = 'pull' AND key = $2 AND cause < $1";
        execute!(&mut *tx, sqlx::query(sql).bind(self.cause).bind(self.account))?;
        let sql = "DELETE FROM work_v1 WHERE kind = 'check' AND key = $1";
        execute!(tx, sqlx::query(sql).bind(self.account))?;
        Ok(())
    }

    async fn count(&self, tx: &mut Tx, plan: Plan, by: i64) -> Result<(), StoreError> {
        let sql = match plan {
            Plan::Free => "UPDATE work_v1 SET free_widgets = free_widgets + $1 WHERE kind = 'pull' AND key = $2",
            Plan::Upgraded => {
                "UPDATE work_v1 SET upgraded_widgets = upgraded_widgets + $1 WHERE kind = 'pull' AND key = $2"
            }
        };
        execute!(tx, sqlx::query(sql).bind(by).bind(self.account))?;
        Ok(())
    }

    /// Due now, unless it rests. Whoever is pulling already doesn't know of the change yet, so that pull is let go.
    async fn sooner(&self, tx: &mut Tx, at: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "UPDATE work_v1 SET due_at = $1, cause = $2, lease = NULL, leased_until = NULL \
                   WHERE kind = 'pull' AND key = $3 AND due_at IS NOT NULL AND cause < $2";
        execute!(tx, sqlx::query(sql).bind(at).bind(self.cause).bind(self.account))?;
        Ok(())
    }
}
