//! Rebuild beside: a projection is made anew from the first event in tables of its own while the old ones serve; when it
//! has caught up, it takes their place in one transaction. Interrupted, it goes on where it was.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;

use super::{
    checkpoint::Checkpoint,
    projection::{Projection, Target},
    quarantine,
    runner::{Program, Runner, Step, TURN},
};
use crate::{Store, StoreError, Tx, jobs, sql};

/// How many events are folded at once while both checkpoints are locked.
const STEP: i64 = 200_000;

/// How far a rebuild is: the position that it has reached, and the journal's last.
pub type Progress<'a> = &'a (dyn Fn(i64, i64) + Sync);

/// Rebuilds what an older program made, after an update: nobody need remember it. The old rows serve meanwhile.
pub(super) async fn if_older<P: Projection>(
    store: &Store,
    projection: &Arc<P>,
    program: &Arc<Program>,
) -> Result<(), StoreError> {
    let made_by = Runner::of_view(store, projection, Target::Serving, program).begin().await?.version;
    if made_by < Runner::<P>::VERSION {
        tracing::info!(projection = P::NAME, from = made_by, to = P::VERSION, "rebuilding beside");
        rebuild(store, projection, program, &|_, _| ()).await?;
        tracing::info!(projection = P::NAME, version = P::VERSION, "rebuilt");
    }
    Ok(())
}

/// Rebuilds a projection.
pub(super) async fn rebuild<P: Projection>(
    store: &Store,
    projection: &Arc<P>,
    program: &Arc<Program>,
    progress: Progress<'_>,
) -> Result<(), StoreError> {
    let serving = Runner::of_view(store, projection, Target::Serving, program);
    let mut beside = Runner::of_view(store, projection, Target::Beside, program);
    serving.begin().await?;
    begin(store, &serving, &beside).await?;
    loop {
        match beside.step().await? {
            Step::More => progress(beside.reached(), store.head().await?),
            Step::Busy => tokio::time::sleep(TURN).await,
            Step::Newer(position) if serving.has_set_aside(position).await? => beside.past = position,
            Step::Newer(position) => {
                let why = "it is of a newer program, which has to rebuild";
                beside.stop(position, why.to_owned()).await?;
                return Err(unreadable(position, why));
            }
            Step::Stopped { position, failure } => return Err(unreadable(position, &failure)),
            Step::Wait => match take_over(store, &serving, &beside).await? {
                Taken::Over => return Ok(()),
                // What came meanwhile can't be applied: the steps find out at which event.
                Taken::Refused => {}
            },
        }
    }
}

/// What came of taking over.
enum Taken {
    /// The rebuilt rows serve.
    Over,
    /// The last events can't be applied as one batch.
    Refused,
}

impl<P: Projection> Runner<P> {
    /// A rebuild passes an event of a newer program where the rows that serve are without it, too.
    async fn has_set_aside(&self, position: i64) -> Result<bool, StoreError> {
        quarantine::is_aside_at(self.store.database(), &self.name(), position).await
    }
}

/// Goes on with a rebuild to this version, or begins one with empty tables; one at a time.
async fn begin<P: Projection>(store: &Store, serving: &Runner<P>, beside: &Runner<P>) -> Result<(), StoreError> {
    let mut tx = store.database().begin().await?;
    not_newer::<P>(Checkpoint::locked(&mut tx, &serving.name()).await?.as_ref())?;
    let begun = Checkpoint::locked(&mut tx, &beside.name()).await?;
    not_newer::<P>(begun.as_ref())?;
    // What another program could not apply may be no obstacle to this one.
    let is_clean = !quarantine::is_of_another(&mut tx, &beside.name(), &beside.program.name).await?;
    let goes_on = |begun: Checkpoint| begun.version == Runner::<P>::VERSION && begun.failure.is_none();
    if is_clean && begun.is_some_and(goes_on) {
        return Ok(());
    }
    empty::<P>(&mut tx).await?;
    quarantine::clear(&mut tx, &beside.name()).await?;
    sql("DELETE FROM checkpoints WHERE name = $1").bind(beside.name()).execute(&mut tx).await?;
    sql("INSERT INTO checkpoints (name, version) VALUES ($1, $2)")
        .bind(beside.name())
        .bind(Runner::<P>::VERSION)
        .execute(&mut tx)
        .await?;
    Ok(tx.commit().await?)
}

/// With both checkpoints locked: what came meanwhile is folded, and the rebuilt rows take the place of the old ones.
async fn take_over<P: Projection>(store: &Store, serving: &Runner<P>, beside: &Runner<P>) -> Result<Taken, StoreError> {
    let mut tx = store.database().begin().await?;
    not_newer::<P>(Checkpoint::locked(&mut tx, &serving.name()).await?.as_ref())?;
    let begun = Checkpoint::locked(&mut tx, &beside.name()).await?;
    not_newer::<P>(begun.as_ref())?;
    // Nobody: another node was there first.
    let Some(Checkpoint { position: mut reached, .. }) = begun else { return Ok(Taken::Over) };
    loop {
        let folded = match AssertUnwindSafe(beside.advance(&mut tx, reached, STEP)).catch_unwind().await {
            Ok(Err(error)) if error.is_refusal() => return Ok(Taken::Refused),
            Ok(folded) => folded?,
            Err(_) => return Ok(Taken::Refused),
        };
        // With an event that can't be decoded, too, the steps go first.
        if folded.newer.is_some() || !folded.aside.is_empty() {
            return Ok(Taken::Refused);
        }
        if folded.last == reached {
            break;
        }
        reached = folded.last;
    }
    serving.projection.before_swap(&mut tx).await?;
    swap::<P>(&mut tx).await?;
    quarantine::take_over(&mut tx, &serving.name(), &beside.name()).await?;
    empty::<P>(&mut tx).await?;
    sql(
        "UPDATE checkpoints SET version = $1, position = $2, failed_position = NULL, failure = NULL, stopped_by = NULL \
         WHERE name = $3",
    )
    .bind(Runner::<P>::VERSION)
    .bind(reached)
    .bind(serving.name())
    .execute(&mut tx)
    .await?;
    sql("DELETE FROM checkpoints WHERE name = $1").bind(beside.name()).execute(&mut tx).await?;
    tx.commit().await?;
    Ok(Taken::Over)
}

/// Versions only go upward: what a newer program made, or is making, is left to it.
fn not_newer<P: Projection>(checkpoint: Option<&Checkpoint>) -> Result<(), StoreError> {
    match checkpoint {
        Some(Checkpoint { version, .. }) if *version > Runner::<P>::VERSION => {
            Err(StoreError::Projection(format!("version {version} is of a newer program")))
        }
        _ => Ok(()),
    }
}

async fn empty<P: Projection>(tx: &mut Tx) -> Result<(), StoreError> {
    for table in P::TABLES {
        sql(tx.dialect().empty(&Target::Beside.table(table))).execute(&mut *tx).await?;
    }
    Ok(jobs::empty(tx, P::JOBS).await?)
}

/// Lets what was rebuilt beside serve: the tables change their names, however long they are; jobs are reconciled.
async fn swap<P: Projection>(tx: &mut Tx) -> Result<(), StoreError> {
    for table in P::TABLES {
        let beside = Target::Beside.table(table);
        for (from, to) in [(*table, "swapped"), (&beside, table), ("swapped", &beside)] {
            sql(format!("ALTER TABLE {from} RENAME TO {to}")).execute(&mut *tx).await?;
        }
    }
    Ok(jobs::reconcile(tx, P::JOBS).await?)
}

fn unreadable(position: i64, failure: &str) -> StoreError {
    StoreError::Projection(format!("position {position}: {failure}"))
}
