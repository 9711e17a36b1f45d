//! Two builds of our own beside each other: what an operation costs in the one and in the other.
//!
//! A machine's rate changes from minute to minute, so the two run in turns, in pairs, and only ratios within a pair
//! count. The result is the median of five, with the smallest and the largest: if the two were the same, the interval of
//! five would miss 1 in one comparison of sixteen.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use engine::testing::Engine;

use crate::{
    figure::{median, number},
    groups,
    operations::{Cost, Operation},
};

const PAIRS: usize = 5;

/// What two builds cost, pair by pair.
#[derive(Default)]
struct Pairs {
    old: Vec<f64>,
    new: Vec<f64>,
}

impl Pairs {
    fn push(&mut self, old: f64, new: f64) {
        self.old.push(old);
        self.new.push(new);
    }

    /// New to old: the median and its interval.
    fn ratio(&self) -> String {
        let mut ratios: Vec<f64> = self.old.iter().zip(&self.new).map(|(old, new)| new / old).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios.first().copied().unwrap_or(f64::NAN), ratios.last().copied().unwrap_or(f64::NAN));
        format!("{:.3} [{least:.3}, {most:.3}]", median(ratios))
    }
}

/// Compares two builds in some operations on some engines.
pub(crate) fn run(
    old: &Path,
    new: &Path,
    operations: &[Operation],
    engines: &[Engine],
    arguments: &[String],
) -> Result<()> {
    let (old, new) = (binary(old)?, binary(new)?);
    println!("new beside old, the median of {PAIRS} pairs [least, most]; under 1 the new one costs less");
    for operation in operations {
        let name = operation.to_possible_value().context("has a name")?.get_name().to_owned();
        for &engine in engines {
            let (mut cpu, mut time) = (Pairs::default(), Pairs::default());
            for pair in 0..PAIRS {
                let run = |build: &Path| cost(build, &name, engine, arguments);
                // Each goes first every other time.
                let (was, is) = if pair % 2 == 0 {
                    (run(&old)?, run(&new)?)
                } else {
                    let is = run(&new)?;
                    (run(&old)?, is)
                };
                let an_operation = |seconds: f64, cost: Cost| seconds * 1e6 / f64::from(cost.operations);
                cpu.push(an_operation(was.cpu_seconds, was), an_operation(is.cpu_seconds, is));
                time.push(an_operation(was.seconds, was), an_operation(is.seconds, is));
            }
            let engine = groups::name(engine);
            for (what, pairs) in [("CPU", cpu), ("time", time)] {
                let (ratio, old, new) = (pairs.ratio(), number(median(pairs.old)), number(median(pairs.new)));
                println!("{name:<14} {engine:<11} {what:<5} {ratio:<24} {old:>8} → {new:>8} µs an operation");
            }
        }
    }
    Ok(())
}

/// A path is that of a `bench` that was built, or of a checkout that has one.
fn binary(path: &Path) -> Result<PathBuf> {
    let file = if path.is_dir() { path.join("target/release/bench") } else { path.to_owned() };
    ensure!(file.is_file(), "{} is not there: cargo build --release -p bench", file.display());
    Ok(std::fs::canonicalize(file)?)
}

fn cost(build: &Path, operation: &str, engine: Engine, arguments: &[String]) -> Result<Cost> {
    let engine = match engine {
        Engine::Sqlite => "--sqlite",
        Engine::Postgres => "--postgres",
    };
    let mut program = Command::new(build);
    program.args(["operations", operation, engine]).args(arguments).stderr(Stdio::inherit());
    let output = program.output()?;
    let what = format!("{} operations {operation}", build.display());
    ensure!(output.status.success(), "{what} failed; a build from before this command can't be compared");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{what} said no cost"))
}
