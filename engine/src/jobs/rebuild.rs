//! The jobs of a projection that is rebuilt.

use super::schedule::list;
use crate::{Tx, sql};

/// Removes what was scheduled beside of these kinds.
pub(crate) async fn empty(tx: &mut Tx, kinds: &[&str]) -> Result<(), sqlx::Error> {
    if !kinds.is_empty() {
        sql(format!("DELETE FROM jobs_rebuild WHERE kind IN ({})", list(kinds))).execute(tx).await?;
    }
    Ok(())
}

/// Brings the jobs of these kinds to what was scheduled beside: what workers made of a job since its cause stays as it is.
pub(crate) async fn reconcile(tx: &mut Tx, kinds: &[&str]) -> Result<(), sqlx::Error> {
    if kinds.is_empty() {
        return Ok(());
    }
    let kinds = list(kinds);
    let statements = [
        format!(
            "DELETE FROM jobs WHERE kind IN ({kinds}) AND NOT EXISTS \
             (SELECT 1 FROM jobs_rebuild AS new WHERE jobs.kind = new.kind AND jobs.key = new.key)"
        ),
        format!(
            "UPDATE jobs SET queue = new.queue, due_at = new.due_at, priority = new.priority, cause = new.cause, \
             attempts = 0, last_error = NULL, lease = NULL, leased_until = NULL FROM jobs_rebuild AS new \
             WHERE new.kind IN ({kinds}) AND jobs.kind = new.kind AND jobs.key = new.key \
             AND (jobs.cause <> new.cause OR jobs.queue <> new.queue OR (jobs.due_at IS NULL) <> (new.due_at IS NULL))"
        ),
        format!(
            "INSERT INTO jobs SELECT * FROM jobs_rebuild AS new WHERE new.kind IN ({kinds}) AND NOT EXISTS \
             (SELECT 1 FROM jobs WHERE jobs.kind = new.kind AND jobs.key = new.key)"
        ),
    ];
    for statement in statements {
        sql(statement).execute(&mut *tx).await?;
    }
    Ok(())
}
