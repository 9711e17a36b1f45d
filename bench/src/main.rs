//! Measures what Relight promises: `cargo run --release -p bench -- all`.
//!
//! Each figure stands beside its limit, measured in the same run; absolute times mean little on a shared machine.

mod accounts;
mod append;
mod bench;
mod beside;
mod compare;
mod cpu;
mod feed;
mod figure;
mod follow;
mod groups;
mod lives;
mod load;
mod long;
mod machine;
mod operations;
mod peers;
mod queue;
mod rebuild;
mod refresh;
mod renewals;
mod report;
mod serve;
mod sign_ins;
mod storm;
mod table;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser},
};
use engine::testing::Engine;

use bench::Bench;
use groups::{GROUPS, Group};
use machine::Machine;
use operations::Operation;
use report::{Report, Run};

/// Measures what Relight promises.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Args)]
struct Measure {
    /// What to measure.
    #[arg(value_name = "GROUP", value_parser = group_names())]
    groups: Vec<String>,
    #[command(flatten)]
    on: On,
    #[command(flatten)]
    size: Size,
    /// Also write the figures to a file, in place of those that it has of the same groups.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "size"])]
    json: Option<PathBuf>,
}

#[derive(Args, Clone, Copy)]
struct On {
    /// Only on SQLite.
    #[arg(long, conflicts_with = "postgres")]
    sqlite: bool,
    /// Only on PostgreSQL.
    #[arg(long)]
    postgres: bool,
}

#[derive(Args, Clone, Copy)]
struct Size {
    /// A twentieth of everything: to see that it works; the figures say little.
    #[arg(long)]
    quick: bool,
    /// How many accounts, events or jobs, instead of the group's own number.
    #[arg(long)]
    size: Option<u32>,
}

#[derive(Subcommand)]
enum Command {
    /// Two builds of this program beside each other: CPU and time an operation, in pairs.
    Compare {
        /// A `bench` that was built, or a checkout with one in `target/release`.
        old: PathBuf,
        /// The other one.
        new: PathBuf,
        /// Which operations; all of them by default.
        operations: Vec<Operation>,
        #[command(flatten)]
        on: On,
        #[command(flatten)]
        size: Size,
    },
    /// Makes README's table of the figures in a file.
    Table {
        /// The file, by default the one that is committed.
        #[arg(default_value = table::FIGURES)]
        figures: PathBuf,
    },
    /// A side of `compare`: carries out operations and prints what they cost.
    #[command(hide = true)]
    Operations {
        operation: Operation,
        #[command(flatten)]
        on: On,
        #[command(flatten)]
        size: Size,
    },
    /// The bare handler that `feed` measures beside: returns what it reads from standard input.
    #[command(hide = true)]
    Bare,
    /// The pretend Meta of `renewals`.
    #[command(hide = true)]
    Sandbox,
    /// A process of `queue`: no-op jobs until nothing is left that is due at a time, in seconds since 1970.
    #[command(hide = true)]
    Jobs { url: String, now: i64 },
    /// A process of `queue`: an idle node.
    #[command(hide = true)]
    Node { url: String },
}

fn group_names() -> PossibleValuesParser {
    let all = PossibleValue::new("all").help("All that don't say how long they take");
    let groups = GROUPS.iter().map(|group| PossibleValue::new(group.name).help(group.about));
    std::iter::once(all).chain(groups).collect::<Vec<_>>().into()
}

impl On {
    fn engines(self) -> Vec<Engine> {
        let mut engines = vec![Engine::Postgres, Engine::Sqlite];
        engines.retain(|engine| match engine {
            Engine::Postgres => !self.sqlite,
            Engine::Sqlite => !self.postgres,
        });
        engines
    }
}

impl Size {
    fn bench(self) -> Bench {
        Bench::new(self.quick, self.size)
    }

    /// The same for another process.
    fn arguments(self) -> Vec<String> {
        let quick = self.quick.then(|| "--quick".to_owned());
        quick.into_iter().chain(self.size.map(|size| format!("--size={size}"))).collect()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let Cli { command, measure } = Cli::parse();
    match command {
        None => measure.run().await,
        Some(Command::Compare { old, new, mut operations, on, size }) => {
            if operations.is_empty() {
                operations = Operation::value_variants().to_vec();
            }
            compare::run(&old, &new, &operations, &on.engines(), &size.arguments())
        }
        Some(Command::Table { figures }) => table::write(&figures),
        Some(Command::Operations { operation, on, size }) => {
            engine::testing::use_durable_postgres();
            for engine in on.engines() {
                operations::run(&size.bench(), operation, engine).await?;
            }
            Ok(())
        }
        Some(Command::Bare) => feed::bare().await,
        Some(Command::Sandbox) => renewals::sandbox().await,
        Some(Command::Jobs { url, now }) => queue::jobs::process(&url, now).await,
        Some(Command::Node { url }) => queue::start::process(&url).await,
    }
}

impl Measure {
    async fn run(self) -> Result<()> {
        // As it should run: with fsync.
        engine::testing::use_durable_postgres();
        let bench = self.size.bench();
        let is_asked = |group: &Group| {
            let all = group.in_all && self.groups.iter().any(|name| name == "all");
            all || self.groups.iter().any(|name| name == group.name)
        };
        let engines = self.on.engines();
        for group in GROUPS.iter().filter(|group| is_asked(group)) {
            let on: Vec<_> = group.engines.iter().filter(|engine| engines.contains(engine)).collect();
            ensure!(
                !on.is_empty() || self.groups.iter().any(|name| name == "all"),
                "{} is not measured there",
                group.name
            );
            for &engine in on {
                self.measure(&bench, group, engine).await?;
            }
        }
        Ok(())
    }

    async fn measure(&self, bench: &Bench, group: &Group, engine: Engine) -> Result<()> {
        figure::heading(group.name, groups::name(engine));
        (group.measure)(bench, engine).await?;
        let figures = bench.take_figures();
        if let Some(file) = &self.json {
            let machine = Machine::this(bench, engine).await?;
            Report::add(file, group.name, groups::name(engine), Run { machine, figures })?;
        }
        Ok(())
    }
}
