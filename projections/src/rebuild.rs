//! Rebuild beside: a projection is made anew from the first event in tables of its own while the old ones serve; when it
//! has caught up, it takes their place in one transaction. Interrupted, it goes on where it was.

use store::{Store, StoreError, execute, within};

use crate::{
    account_status::AccountStatus,
    follower::{BATCH, Follower, Step, TURN},
    projection::{Projection, Target},
    work::Work,
};

/// How far a rebuild is: the position that it has reached, and the journal's last.
pub type Progress<'a> = &'a (dyn Fn(i64, i64) + Sync);

/// Rebuilds a projection.
///
/// # Errors
/// When there is no such projection, the database fails, or an event can't be applied.
pub async fn rebuild(store: &Store, name: &str, progress: Progress<'_>) -> Result<(), StoreError> {
    match name {
        AccountStatus::NAME => rebuild_one::<AccountStatus>(store, progress).await,
        Work::NAME => rebuild_one::<Work>(store, progress).await,
        _ => Err(StoreError::Unreadable(format!("there is no projection {name}"))),
    }
}

async fn rebuild_one<P: Projection>(store: &Store, progress: Progress<'_>) -> Result<(), StoreError> {
    let serving = Follower::<P>::alone(store, Target::Serving);
    let beside = Follower::<P>::alone(store, Target::Beside);
    serving.checkpoint().await?;
    if beside.checkpoint().await?.0 == 0 {
        let mut tx = store.database().begin().await?;
        for table in P::TABLES {
            execute!(&mut tx, sqlx::query(&format!("DELETE FROM {}", Target::Beside.table(table))))?;
        }
        tx.commit().await?;
    }
    loop {
        match beside.step(BATCH).await? {
            Step::More => progress(beside.reached(), store.head().await?),
            Step::Busy => tokio::time::sleep(TURN).await,
            Step::Poisoned { position, failure } => {
                return Err(StoreError::Unreadable(format!("position {position}: {failure}")));
            }
            Step::Wait => return take_over(store, &serving, &beside).await,
        }
    }
}

/// With both checkpoints locked: what came meanwhile is folded, and the rebuilt rows take the place of the old ones.
async fn take_over<P: Projection>(
    store: &Store,
    serving: &Follower<P>,
    beside: &Follower<P>,
) -> Result<(), StoreError> {
    let mut tx = store.database().begin().await?;
    let lock = if store.database().is_shared() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT position FROM checkpoints WHERE name = $1 AND version = $2{lock}");
    let mut positions = [0; 2];
    for (follower, position) in [serving, beside].into_iter().zip(&mut positions) {
        *position = within!(&mut tx, on =>
            sqlx::query_scalar(&sql).bind(follower.name()).bind(P::VERSION).fetch_one(on))?;
    }
    let reached = match beside.advance(&mut tx, positions[1], i64::MAX).await? {
        Ok(reached) => reached,
        Err(Step::Poisoned { position, failure }) => {
            return Err(StoreError::Unreadable(format!("position {position}: {failure}")));
        }
        Err(_) => positions[1],
    };
    P::swap(&mut tx).await?;
    for table in P::TABLES {
        execute!(&mut tx, sqlx::query(&format!("DELETE FROM {}", Target::Beside.table(table))))?;
    }
    let sql =
        "UPDATE checkpoints SET position = $1, failed_position = NULL, failure = NULL WHERE name = $2 AND version = $3";
    execute!(&mut tx, sqlx::query(sql).bind(reached).bind(serving.name()).bind(P::VERSION))?;
    let sql = "DELETE FROM checkpoints WHERE name = $1 AND version = $2";
    execute!(&mut tx, sqlx::query(sql).bind(beside.name()).bind(P::VERSION))?;
    Ok(tx.commit().await?)
}
