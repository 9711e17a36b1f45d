//! What a reaction is: what answers events by work.

use super::{
    checkpoint::Checkpoint,
    projection::{Projection, Target},
};
use crate::{Entry, EventSet, StoreError, Tx};

/// Answers events by work, such as messages to other programs: each event once, in the journal's order, from the moment at
/// which a database first meets the reaction. (Those of an aggregate that was set aside come late, in their own order.) It
/// is never rebuilt, for what it has done can't be done anew. What happens
/// outside of the database becomes jobs in the same transaction ([`crate::jobs`]): a delivery that is slow holds up no
/// reaction.
pub trait Reaction: Send + Sync + 'static {
    /// Its name in the checkpoints.
    const NAME: &'static str;
    /// The events that it answers.
    type Event: EventSet + Clone;

    /// Answers events, in the transaction that moves its checkpoint behind them. An event that it refuses sets its aggregate
    /// aside, as in a view; tried again, that continues where it stopped.
    fn react(&self, tx: &mut Tx, entries: &[Entry<Self::Event>])
    -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How many positions one transaction of a reaction covers at most.
pub(super) const BATCH: i64 = 1_000;

/// A reaction, as a runner runs it: what it folds are the events themselves.
pub(super) struct Reacting<R>(pub(super) R);

impl<R: Reaction> Projection for Reacting<R> {
    const NAME: &'static str = R::NAME;
    const VERSION: u32 = VERSION;
    const TABLES: &'static [&'static str] = &[];
    type Event = R::Event;
    type Fold = Vec<Entry<R::Event>>;

    fn forget(&self, _: &mut Self::Fold, _: &str) {}

    fn apply(&self, fold: &mut Self::Fold, entry: &Entry<Self::Event>) {
        fold.push(entry.clone());
    }

    async fn save(&self, fold: Self::Fold, tx: &mut Tx, _target: Target) -> Result<(), StoreError> {
        if fold.is_empty() { Ok(()) } else { self.0.react(tx, &fold).await }
    }
}

/// A reaction has no rows that a version could make differently.
const VERSION: u32 = 1;

/// Holds a reaction where it is until the transaction ends, on all nodes; its position. For changes of whom it tells, so
/// that no event is passed in between.
///
/// # Errors
/// When the database fails.
pub async fn hold<R: Reaction>(tx: &mut Tx) -> Result<i64, StoreError> {
    Checkpoint::begin_at_the_end(&mut *tx, R::NAME, i64::from(VERSION)).await?;
    let held = Checkpoint::locked(tx, R::NAME).await?;
    held.map(|held| held.position).ok_or_else(|| StoreError::Projection(format!("{} has no checkpoint", R::NAME)))
}
