//! What a group of measurements is given: how big it measures, what it measures beside, and where its figures go.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::{figure::Figure, peers::Peers};

/// How much smaller everything is with `--quick`.
const QUICK: u32 = 20;

/// A run of the bench.
#[derive(Default)]
pub(crate) struct Bench {
    quick: bool,
    size: Option<u32>,
    peers: OnceCell<Option<Peers>>,
    figures: Mutex<Vec<Figure>>,
}

impl Bench {
    /// A run; `size` overrides how many accounts, events or jobs a group measures with.
    pub(crate) fn new(quick: bool, size: Option<u32>) -> Self {
        Self { quick, size, ..Self::default() }
    }

    /// How many accounts, events or jobs to measure with, of so many.
    pub(crate) fn size(&self, full: u32) -> u32 {
        self.size.unwrap_or_else(|| self.fewer(full))
    }

    /// How many rounds or samples to take, of so many.
    pub(crate) fn fewer(&self, full: u32) -> u32 {
        if self.quick { full.div_ceil(QUICK) } else { full }
    }

    /// How long to measure, of so long.
    pub(crate) fn lasts(&self, full: Duration) -> Duration {
        if self.quick { full / QUICK } else { full }
    }

    /// The peers from npm, installed at the first call; `None` on a machine without Node.
    pub(crate) async fn peers(&self) -> Result<Option<&Peers>> {
        Ok(self.peers.get_or_try_init(Peers::install).await?.as_ref())
    }

    /// The version of Node that ran the peers, if any ran.
    pub(crate) async fn node(&self) -> Result<Option<String>> {
        match self.peers.get() {
            Some(Some(peers)) => Ok(Some(peers.node_version().await?)),
            _ => Ok(None),
        }
    }

    /// Prints a figure, and keeps it.
    pub(crate) fn figure(&self, figure: Figure) {
        figure.print();
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).push(figure);
    }

    /// Takes the figures that were kept since the last call.
    pub(crate) fn take_figures(&self) -> Vec<Figure> {
        std::mem::take(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
