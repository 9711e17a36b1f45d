//! The figures of runs in a file, group by group, so that a group that is measured again replaces its own.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{figure::Figure, machine::Machine};

/// What a group measured on an engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) figures: Vec<Figure>,
}

/// All runs, by the names of group and engine.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Report {
    pub(crate) runs: BTreeMap<String, BTreeMap<String, Run>>,
}

impl Report {
    /// Reads a file; one that isn't there has no runs.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        match std::fs::read(file) {
            Ok(json) => serde_json::from_slice(&json).with_context(|| format!("{} is no report", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} can't be read", file.display())),
        }
    }

    /// Writes one run to a file, and leaves the others in it.
    pub(crate) fn add(file: &Path, group: &str, engine: &str, run: Run) -> Result<()> {
        let mut report = Self::read(file)?;
        report.runs.entry(group.to_owned()).or_default().insert(engine.to_owned(), run);
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("{} can't be written", file.display()))
    }
}
