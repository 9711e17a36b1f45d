//! One transaction of a runner: the checkpoint's row is locked, a batch folded and saved, and the checkpoint moved.

use super::{
    projection::Projection,
    runner::{Runner, Step},
};
use crate::{StoreError, Tx, sql};

/// Where a checkpoint is, and of which rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: i64,
    /// How often others than the runner have changed them.
    epoch: i64,
}

impl<P: Projection> Runner<P> {
    /// Folds a batch and saves it, in one transaction; on SQLite it is folded before that.
    pub(super) async fn fold(&mut self) -> Result<Step, StoreError> {
        // Without being told that there is more, it looks without a lock: an idle runner holds up nobody's writes.
        let told = *self.store.wake().listen().borrow() > self.reached();
        if !told {
            match self.look().await? {
                Some(rests) => return Ok(rests),
                None if self.store.head().await? <= self.reached() => return Ok(Step::Wait),
                None => {}
            }
        }
        let database = self.store.database();
        // On SQLite it is folded beside whoever writes, and saved only if nobody has changed the rows meanwhile.
        let mut tx = if database.is_shared() { database.begin().await? } else { database.reading().await? };
        let Some(from) = self.lock(&mut tx).await? else {
            drop(tx);
            // How far it is, whoever brought it there.
            return Ok(self.look().await?.unwrap_or(Step::Busy));
        };
        self.from = from;
        let (fold, folded) = self.gather(&mut tx, from.position, self.limit).await?;
        if folded.last == from.position {
            return Ok(folded.newer.map_or(Step::Wait, Step::Newer));
        }
        if !database.is_shared() {
            drop(tx);
            tx = database.begin().await?;
            if self.lock(&mut tx).await? != Some(from) {
                return Ok(Step::More);
            }
        }
        self.save(&mut tx, from.position, fold, &folded).await?;
        if let Some((position, too_many)) = self.put_aside(&mut tx, &folded.aside).await? {
            drop(tx);
            return self.stop(position, too_many).await;
        }
        self.kept_waiting = database.is_wanted();
        tx.commit().await?;
        folded.aside.iter().for_each(|culprit| self.tell(culprit));
        self.reached.send_replace(folded.last);
        Ok(Step::More)
    }

    /// Where the checkpoint is, locked until the transaction ends if that writes; `None`: another node has it, or nobody may go
    /// on.
    pub(super) async fn lock(&self, tx: &mut Tx) -> Result<Option<Place>, StoreError> {
        let dialect = self.store.database().dialect();
        let locked: Option<(i64, i64, String)> = sql(format!(
            "SELECT position, epoch, {} FROM checkpoints WHERE name = $1 AND version <= $2 AND failed_position IS NULL{}",
            dialect.unhurried(),
            dialect.skip_locked()
        ))
        .bind(self.name())
        .bind(Self::VERSION)
        .fetch_optional(tx)
        .await?;
        Ok(locked.map(|(position, epoch, _)| Place { position, epoch }))
    }
}
