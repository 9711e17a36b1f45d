//! Rebuild beside: a projection is made anew from the first event in tables of its own while the old ones serve; when it
//! has caught up, it takes their place in one transaction. Interrupted, it goes on where it was.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;

use super::{
    checkpoint::Checkpoint,
    parts::{Emptying, Taking},
    projection::{Projection, Target},
    quarantine,
    runner::{Program, Runner, Step, TURN},
};
use crate::{Dialect, Store, StoreError, Tx, jobs, sql};

/// How many events are folded at once while both checkpoints are locked.
const STEP: i64 = 200_000;
/// How long it waits before it asks for a lock again.
const AFTER_A_LOCK: Duration = Duration::from_millis(200);

/// How far a rebuild is: the position that it has reached, and the journal's last.
pub type Progress<'a> = &'a (dyn Fn(i64, i64) + Sync);

/// Rebuilds what an older program made, after an update, by itself. The old rows serve meanwhile.
pub(super) async fn if_older<P: Projection>(
    store: &Store,
    projection: &Arc<P>,
    program: &Arc<Program>,
) -> Result<(), StoreError> {
    let serving = Runner::of_view(store, projection, Target::Serving, program);
    let made_by = serving.begin().await?.version;
    // What a program left that stopped right after a rebuild. A long read of it, such as a backup's, does not keep this program
    // from following: it is removed at another start.
    match empty(store, &serving, &Runner::of_view(store, projection, Target::Beside, program), false).await {
        Err(error) if !error.is_locked() => return Err(error),
        _ => {}
    }
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
    while let Err(error) = begin(store, &serving, &beside).await {
        after_a_lock(error).await?;
    }
    let mut taking = Taking::from_the_first();
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
            Step::Wait => match take_over(store, &serving, &beside, &mut taking).await {
                Ok(Taken::Over) => return clear(store, &serving, &beside).await,
                // What came meanwhile can't be applied: the steps find out at which event.
                Ok(Taken::Partly | Taken::Refused) => {}
                Err(error) => after_a_lock(error).await?,
            },
        }
    }
}

/// What came of taking over.
enum Taken {
    /// The rebuilt rows serve.
    Over,
    /// A range of the jobs was taken over.
    Partly,
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
    loop {
        let mut tx = store.database().begin().await?;
        bounded_by_locks(&mut tx).await?;
        not_newer::<P>(Checkpoint::locked(&mut tx, &serving.name()).await?.as_ref())?;
        let begun = Checkpoint::locked(&mut tx, &beside.name()).await?;
        not_newer::<P>(begun.as_ref())?;
        // What another program could not apply may be no obstacle to this one.
        let is_clean = !quarantine::is_of_another(&mut tx, &beside.name(), &beside.program.name).await?;
        let goes_on = |begun: Checkpoint| begun.version == Runner::<P>::VERSION && begun.failure.is_none();
        if is_clean && begun.is_some_and(goes_on) {
            return Ok(());
        }
        sql("DELETE FROM checkpoints WHERE name = $1").bind(beside.name()).execute(&mut tx).await?;
        quarantine::clear(&mut tx, &beside.name()).await?;
        tx.commit().await?;
        if empty(store, serving, beside, true).await? {
            return Ok(());
        }
    }
}

/// Removes what a rebuild has left beside, unless another one has begun.
async fn clear<P: Projection>(store: &Store, serving: &Runner<P>, beside: &Runner<P>) -> Result<(), StoreError> {
    while let Err(error) = empty(store, serving, beside, false).await {
        after_a_lock(error).await?;
    }
    Ok(())
}

/// Empties what stands beside, a part in each transaction; whether no rebuild has begun meanwhile. `begins`: one begins as
/// soon as nothing is left.
async fn empty<P: Projection>(
    store: &Store,
    serving: &Runner<P>,
    beside: &Runner<P>,
    begins: bool,
) -> Result<bool, StoreError> {
    let mut emptying = Emptying::from_the_first();
    loop {
        let mut tx = store.database().begin().await?;
        bounded_by_locks(&mut tx).await?;
        Checkpoint::locked(&mut tx, &serving.name()).await?;
        if Checkpoint::locked(&mut tx, &beside.name()).await?.is_some() {
            return Ok(false);
        }
        let is_empty = emptying.next::<P>(&mut tx).await?;
        if is_empty && begins {
            sql("INSERT INTO checkpoints (name, version) VALUES ($1, $2)")
                .bind(beside.name())
                .bind(Runner::<P>::VERSION)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        if is_empty {
            return Ok(true);
        }
    }
}

/// With both checkpoints locked: what came meanwhile is folded. Then the jobs of the next range of keys are brought to what was
/// scheduled beside; after the last range, those of keys with events since the first, and the rebuilt rows take the place of
/// the old ones. Each time it is short, since other projections wait.
async fn take_over<P: Projection>(
    store: &Store,
    serving: &Runner<P>,
    beside: &Runner<P>,
    taking: &mut Taking,
) -> Result<Taken, StoreError> {
    let mut tx = store.database().begin().await?;
    bounded_by_locks(&mut tx).await?;
    let serves = Checkpoint::locked(&mut tx, &serving.name()).await?;
    not_newer::<P>(serves.as_ref())?;
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
    if !P::JOBS.is_empty() {
        let mut then = taking.clone();
        // The rows that serve may be behind, and what they fold later changes jobs that were taken over.
        let both = serves.map_or(0, |serves| serves.position.min(reached));
        let (keys, are_the_last) = then.next(&mut tx, P::JOBS, both).await?;
        serving.projection.before_swap(&mut tx, &keys).await?;
        jobs::reconcile(&mut tx, P::JOBS, &keys).await?;
        if !are_the_last {
            tx.commit().await?;
            *taking = then;
            beside.reached.send_replace(reached);
            return Ok(Taken::Partly);
        }
    }
    swap::<P>(&mut tx).await?;
    quarantine::take_over(&mut tx, &serving.name(), &beside.name()).await?;
    sql(
        "UPDATE checkpoints SET version = $1, position = $2, epoch = epoch + 1, failed_position = NULL, failure = NULL, \
         stopped_by = NULL WHERE name = $3",
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

/// Lets a transaction's statements take their time, and none wait long for a lock: others would wait behind it.
async fn bounded_by_locks(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Postgres {
        // One engine: SQLite has one writer, and it waits for no lock of a table.
        sql("SELECT set_config('lock_timeout', '500ms', true), set_config('statement_timeout', '0', true)")
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Waits while another transaction has a lock: later ones would wait behind ours.
async fn after_a_lock(error: StoreError) -> Result<(), StoreError> {
    if !error.is_locked() {
        return Err(error);
    }
    tokio::time::sleep(AFTER_A_LOCK).await;
    Ok(())
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

/// Lets what was rebuilt beside serve: the tables change their names, however long they are.
async fn swap<P: Projection>(tx: &mut Tx) -> Result<(), StoreError> {
    for table in P::TABLES {
        let beside = Target::Beside.table(table);
        for (from, to) in [(*table, "swapped"), (&beside, table), ("swapped", &beside)] {
            sql(format!("ALTER TABLE {from} RENAME TO {to}")).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

fn unreadable(position: i64, failure: &str) -> StoreError {
    StoreError::Projection(format!("position {position}: {failure}"))
}
