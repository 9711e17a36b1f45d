//! What one transaction folds: the events of a batch, except those of aggregates that are set aside.

use std::collections::HashSet;

use tokio::sync::mpsc;

use super::{
    checkpoint::Checkpoint,
    projection::Projection,
    quarantine::{self, Culprit},
    runner::Runner,
};
use crate::{Decoded, Entry, StoreError, Tx};

/// How many events are read at once.
const READ: i64 = 10_000;
/// Of how many aggregates a transaction folds events at most, which is what takes memory.
const AGGREGATES: usize = 50_000;

/// How far a batch went.
pub(super) struct Folded {
    /// The last position that is in the rows.
    pub(super) last: i64,
    /// A newer program's event comes next, which others may be able to apply.
    pub(super) newer: Option<i64>,
    /// What can't be decoded, and is set aside.
    pub(super) aside: Vec<Culprit>,
}

impl<P: Projection> Runner<P> {
    /// Folds what comes after a position in a transaction that has the checkpoint's lock, and moves the checkpoint.
    pub(super) async fn advance(&self, tx: &mut Tx, position: i64, limit: i64) -> Result<Folded, StoreError> {
        let (fold, folded) = self.gather(tx, position, limit).await?;
        self.save(tx, position, fold, &folded).await?;
        Ok(folded)
    }

    /// Folds what comes after a position in memory.
    ///
    /// An event that can't be decoded sets its aggregate aside, whose state before it is saved with the batch. At an event
    /// of a newer program the batch ends, unless the event has waited for others already.
    pub(super) async fn gather(&self, tx: &mut Tx, position: i64, limit: i64) -> Result<(P::Fold, Folded), StoreError> {
        let mut quarantined = quarantine::ids(&mut *tx, &self.name()).await?;
        let mut folded = Folded { last: position, newer: None, aside: Vec::new() };
        let (mut fold, mut loaded) = (P::Fold::default(), HashSet::new());
        let (at_once, until) = (limit.min(READ), position.saturating_add(limit));
        let mut ahead = None;
        while folded.last < until && loaded.len() < AGGREGATES {
            let entries = match &mut ahead {
                None => self.store.entries_within::<P::Event>(tx, folded.last, at_once).await?,
                Some(ahead) => {
                    let read: Option<Result<_, _>> = mpsc::Receiver::recv(ahead).await;
                    let Some(read) = read else { break };
                    read?
                }
            };
            let full = i64::try_from(entries.len()) == Ok(at_once);
            if let (None, true, Some(next)) = (&ahead, full, entries.last()) {
                // There is more: while this is folded, it can be read already.
                ahead = self.store.read_ahead(next.position, at_once, until);
            }
            let entries = self.sift(entries, &mut quarantined, &mut folded);
            self.load(&mut fold, tx, &mut loaded, &entries).await?;
            for entry in &entries {
                self.projection.apply(&mut fold, entry);
            }
            if folded.newer.is_some() || folded.aside.len() >= quarantine::AT_ONCE || !full {
                break;
            }
        }
        Ok((fold, folded))
    }

    /// Writes what was folded of the events after a position, and moves the checkpoint, whose lock the transaction has.
    pub(super) async fn save(
        &self,
        tx: &mut Tx,
        position: i64,
        fold: P::Fold,
        folded: &Folded,
    ) -> Result<(), StoreError> {
        if folded.last > position {
            self.projection.save(fold, tx, self.target).await?;
            Checkpoint::move_to(tx, &self.name(), folded.last).await?;
        }
        Ok(())
    }

    /// The events to fold, up to one that others may be able to apply.
    fn sift(
        &self,
        entries: Vec<Entry<Decoded<P::Event>>>,
        quarantined: &mut HashSet<String>,
        folded: &mut Folded,
    ) -> Vec<Entry<P::Event>> {
        let mut sifted = Vec::with_capacity(entries.len());
        for Entry { position, aggregate_id, at, event } in entries {
            if folded.aside.len() >= quarantine::AT_ONCE {
                break;
            }
            if !quarantined.contains(&aggregate_id) {
                match event {
                    Decoded::Event(event) => sifted.push(Entry { position, aggregate_id, at, event }),
                    Decoded::NotMine => {}
                    Decoded::Newer if position > self.past => {
                        folded.newer = Some(position);
                        break;
                    }
                    event @ (Decoded::Newer | Decoded::Broken(_)) => {
                        let failure = event.failure().unwrap_or_default();
                        quarantined.insert(aggregate_id.clone());
                        folded.aside.push(Culprit { aggregate_id, position, failure });
                    }
                }
            }
            folded.last = position;
        }
        sifted
    }

    /// Loads what the fold needs of the aggregates that the batch hasn't named yet.
    async fn load(
        &self,
        fold: &mut P::Fold,
        tx: &mut Tx,
        loaded: &mut HashSet<String>,
        entries: &[Entry<P::Event>],
    ) -> Result<(), StoreError> {
        let mut missing: Vec<_> = entries.iter().map(|entry| entry.aggregate_id.as_str()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|id| !loaded.contains(*id));
        self.projection.load(fold, tx, self.target, &missing).await?;
        loaded.extend(missing.into_iter().map(str::to_owned));
        Ok(())
    }
}
