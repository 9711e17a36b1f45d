//! Trying again what was set aside: by hand, and by itself when another version of the program starts.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::{
    checkpoint::Checkpoint,
    projection::Projection,
    quarantine::{self, Quarantined},
    reaction,
    runner::{Runner, Start, words},
};
use crate::{Decoded, Entry, StoreError, jobs};

/// How many events are folded at once.
const READ: i64 = 10_000;

/// What came of trying again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// What was set aside.
    pub was: Quarantined,
    /// Why it stays so; `None`: it is up to date again.
    pub failure: Option<String>,
}

impl<P: Projection> Runner<P> {
    /// Tries again what another program has set aside, and lets go on what it has stopped.
    pub(super) async fn retry_of_others(&self) -> Result<(), StoreError> {
        let checkpoint = Checkpoint::of(&self.store, &self.name()).await?;
        let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.version <= Self::VERSION) else {
            return Ok(());
        };
        for was in quarantine::quarantined(&self.store, Some(&self.name()), i64::MAX).await? {
            if was.program != self.program.name {
                self.retry_one(was).await?;
            }
        }
        if checkpoint.was_stopped_by_another(&self.program.name) {
            self.resume().await?;
        }
        Ok(())
    }

    /// Tries one aggregate again, or all that were set aside; without one, it lets the projection go on if it has stopped.
    pub(super) async fn retry(&self, aggregate_id: Option<&str>) -> Result<Vec<Retried>, StoreError> {
        let mut retried = Vec::new();
        for was in quarantine::quarantined(&self.store, Some(&self.name()), i64::MAX).await? {
            if aggregate_id.is_none_or(|id| id == was.aggregate_id) {
                retried.extend(self.retry_one(was).await?);
            }
        }
        if aggregate_id.is_none() {
            self.resume().await?;
        }
        Ok(retried)
    }

    async fn resume(&self) -> Result<(), StoreError> {
        if Checkpoint::resume(self.store.database(), (&self.name(), Self::VERSION)).await? {
            tracing::info!(event = "projection.resumed", projection = P::NAME, "a projection that had stopped goes on");
        }
        Ok(())
    }

    /// `None`: another node has done it.
    async fn retry_one(&self, was: Quarantined) -> Result<Option<Retried>, StoreError> {
        let failure = match AssertUnwindSafe(self.fold_anew(&was.aggregate_id)).catch_unwind().await {
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(failure))) => failure,
            Ok(Err(error)) if error.is_refusal() => Some(error.to_string()),
            Ok(Err(error)) => return Err(error),
            Err(panic) => Some(words(&*panic)),
        };
        let (projection, aggregate) = (&was.projection, &was.aggregate_id);
        match &failure {
            None => tracing::info!(
                event = "projection.taken_back",
                projection,
                aggregate,
                "what was set aside is up to date again"
            ),
            Some(failure) => {
                tracing::warn!(projection, aggregate, failure, "what was set aside can't be applied yet");
                let by = (projection.as_str(), self.program.name.as_str());
                quarantine::stays(self.store.database(), by, aggregate, failure).await?;
            }
        }
        Ok(Some(Retried { was, failure }))
    }

    /// Folds an aggregate up to the checkpoint, under its lock: a view from the first event on, a reaction from the first one
    /// that it has not answered. `None`: it isn't set aside any more. Otherwise what can't be applied of it, if there is
    /// something.
    async fn fold_anew(&self, id: &str) -> Result<Option<Option<String>>, StoreError> {
        let mut tx = self.store.database().begin().await?;
        let name = self.name();
        let Some(checkpoint) = Checkpoint::locked(&mut tx, &name).await? else { return Ok(None) };
        if checkpoint.version > Self::VERSION {
            return Err(StoreError::Projection(format!("{name} is of a newer program, which has to try again")));
        }
        let Some(was) = quarantine::locked(&mut tx, &name, id).await? else { return Ok(None) };
        let mut fold = P::Fold::default();
        let at_once = if self.start == Start::Now { reaction::BATCH } else { READ };
        let (mut after, kept) = match self.start {
            Start::First => {
                self.projection.load(&mut fold, &mut tx, self.target, &[id]).await?;
                self.projection.forget(&mut fold, id);
                (0, jobs::of_key(&mut tx, id, P::JOBS).await?)
            }
            Start::Now => (was.position - 1, Vec::new()),
        };
        while after < checkpoint.position {
            let entries = self.store.entries_of::<P::Event>(&mut tx, Some(id), after, at_once).await?;
            let Some(last) = entries.last().map(|entry| entry.position) else { break };
            after = last;
            for Entry { position, aggregate_id, at, event } in entries {
                match event {
                    _ if position > checkpoint.position => {}
                    Decoded::NotMine => {}
                    Decoded::Event(event) => {
                        self.projection.apply(&mut fold, &Entry { position, aggregate_id, at, event });
                    }
                    other => {
                        let failure = other.failure().unwrap_or_default();
                        return Ok(Some(Some(format!("position {position}: {failure}"))));
                    }
                }
            }
            if self.start == Start::Now {
                // As many at once as ever.
                self.projection.save(std::mem::take(&mut fold), &mut tx, self.target).await?;
            }
        }
        self.projection.save(fold, &mut tx, self.target).await?;
        jobs::restore(&mut tx, &kept).await?;
        quarantine::take_back(&mut tx, &name, id).await?;
        Checkpoint::changed(&mut tx, &name).await?;
        tx.commit().await?;
        Ok(Some(None))
    }
}
