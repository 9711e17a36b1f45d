//! CPU seconds of this process and of PostgreSQL. Source: proc(5), `/proc/PID/stat`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use engine::{Database, sqlx};

/// In which times are told: `USER_HZ`, which Linux has fixed.
const TICKS_A_SECOND: f64 = 100.0;

/// Whose CPU time is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    program: u32,
    postgres: Option<u32>,
}

/// CPU time that a process has had, in ticks: its own, and that of its children who have ended.
struct Times {
    parent: u32,
    own: u64,
    ended: u64,
}

impl Counted {
    /// This process, and the server of the database, if it has one.
    pub(crate) async fn of(database: &Database) -> Result<Self> {
        let postgres = match database {
            Database::Sqlite(_) => None,
            Database::Postgres(pool) => {
                let sql = "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)";
                Some(sqlx::query_scalar::<_, String>(sql).fetch_one(pool).await?.parse()?)
            }
        };
        Ok(Self { program: std::process::id(), postgres })
    }

    /// CPU seconds so far.
    pub(crate) fn seconds(self) -> Result<f64> {
        let all = processes()?;
        let program = all.get(&self.program).context("this process")?.own;
        let postgres = self.postgres.map_or(0, |server| tree(&all, server));
        Ok(f64::from(u32::try_from(program + postgres)?) / TICKS_A_SECOND)
    }
}

/// A process and its children: those that have ended count with their parents.
fn tree(all: &BTreeMap<u32, Times>, process: u32) -> u64 {
    let itself = all.get(&process).map_or(0, |times| times.own + times.ended);
    let children = all.iter().filter(|(_, times)| times.parent == process);
    itself + children.map(|(child, _)| tree(all, *child)).sum::<u64>()
}

fn processes() -> Result<BTreeMap<u32, Times>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile is counted with its parent.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        all.extend(times(&stat).map(|times| (process, times)));
    }
    Ok(all)
}

/// Fields are counted after the name, which stands in brackets and may have spaces: state, parent, …, and 12th to 15th
/// user, system, and the same of children that have ended.
fn times(stat: &str) -> Option<Times> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Times { parent: fields.get(1)?.parse().ok()?, own: ticks(11)? + ticks(12)?, ended: ticks(13)? + ticks(14)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_with_spaces_and_brackets() {
        let times = times("7 (a (b) c) S 3 7 7 0 -1 4194560 1 2 3 4 500 60 7 8 20 0 1 0 9").expect("times");
        assert_eq!((times.parent, times.own, times.ended), (3, 560, 15));
    }

    #[test]
    fn a_tree_counts_each_process_once() {
        let times = |parent, own, ended| Times { parent, own, ended };
        let all =
            BTreeMap::from([(1, times(0, 5, 9)), (2, times(1, 10, 1)), (3, times(2, 100, 0)), (4, times(1, 7, 0))]);
        assert_eq!(tree(&all, 2), 111);
    }
}
