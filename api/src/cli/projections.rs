//! `relight projections`.

use anyhow::Result;
use clap::Subcommand;
use commands::Clock;
use engine::{Registry, Store};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{config::Config, database, service};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// How far each projection is, and which has stopped.
    Status,
    /// Make one anew from the first event, beside the one that serves, and let it take over.
    ///
    /// Can be interrupted: the next time it goes on where it was.
    Rebuild {
        /// Which: `account_status` or `work`.
        #[arg(value_parser = [::projections::ACCOUNT_STATUS, ::projections::WORK])]
        name: String,
    },
}

pub(super) async fn run(config: Config, command: Command) -> Result<()> {
    let store = store::of(database::existing(&config).await?);
    let registry = service::registry(&config, &Clock::default());
    let done = match command {
        Command::Status => status(&store, &registry).await,
        Command::Rebuild { name } => rebuild(&store, &registry, &name).await,
    };
    store.database().close().await;
    done
}

async fn status(store: &Store, registry: &Registry) -> Result<()> {
    let head = store.head().await?;
    say!("{:<28} {:<8} {:>7} {:>12} {:>12}  state", "projection", "kind", "version", "position", "behind");
    let mut stopped = Vec::new();
    for state in registry.states(store).await? {
        let words = match &state.failure {
            None => "follows".to_owned(),
            Some((position, failure)) => format!("STOPPED at {position}: {failure}"),
        };
        let (name, kind, version, position) = (&state.name, state.kind.name(), state.version, state.position);
        say!("{name:<28} {kind:<8} {version:>7} {position:>12} {:>12}  {words}", head - position);
        if state.failure.is_some() {
            stopped.push(state.name);
        }
    }
    if stopped.is_empty() { Ok(()) } else { anyhow::bail!("{} stopped: see above", stopped.join(" and ")) }
}

async fn rebuild(store: &Store, registry: &Registry, name: &str) -> Result<()> {
    let bar = ProgressBar::new(u64::try_from(store.head().await?)?);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} events, {per_sec}, {eta} left")?);
    let progress = |position: i64, head: i64| {
        bar.set_length(head.unsigned_abs());
        bar.set_position(position.unsigned_abs());
    };
    registry.rebuild(store, name, &progress).await?;
    bar.finish_and_clear();
    say!("{name} is rebuilt up to position {}.", store.head().await?);
    Ok(())
}
