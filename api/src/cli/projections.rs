//! `relight projections`.

use anyhow::Result;
use clap::Subcommand;
use commands::Clock;
use engine::{Kind, Quarantined, Registry, Retried, Store};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{config::Config, database, service};

/// How many of those that were set aside are listed.
const LISTED: i64 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// How far each projection is, which has stopped, and whom each has set aside.
    Status,
    /// Try again what was set aside, after its cause was mended.
    ///
    /// An account is set aside where one of its events can't be applied; all others go on. Another version of the program
    /// tries again by itself when it starts.
    Retry {
        /// Which projection; all of them without it.
        name: Option<String>,
        /// Which account; all that were set aside without it.
        account: Option<String>,
    },
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
        Command::Retry { name, account } => retry(&store, &registry, name.as_deref(), account.as_deref()).await,
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
            Some((position, failure)) => format!("STOPPED at {position}: {failure}"),
            None if state.quarantined == 1 => "follows, without 1 account".to_owned(),
            None if state.quarantined > 0 => format!("follows, without {} accounts", state.quarantined),
            // While it runs, and after it was interrupted: these rows don't serve yet.
            None if state.kind == Kind::Rebuild => "is being rebuilt, or waits for its rebuild to go on".to_owned(),
            None => "follows".to_owned(),
        };
        let (name, kind, version, position) = (&state.name, state.kind.name(), state.version, state.position);
        say!("{name:<28} {kind:<8} {version:>7} {position:>12} {:>12}  {words}", head - position);
        if state.failure.is_some() {
            stopped.push(state.name);
        }
    }
    for aside in engine::quarantined(store, None, LISTED).await? {
        let Quarantined { projection, aggregate_id, position, failure, since, .. } = aside;
        say!("{projection} has set aside {aggregate_id} at {position} since {}: {failure}", since.format("%F %T UTC"));
    }
    if stopped.is_empty() { Ok(()) } else { anyhow::bail!("{} stopped: see above", stopped.join(" and ")) }
}

async fn retry(store: &Store, registry: &Registry, name: Option<&str>, account: Option<&str>) -> Result<()> {
    let retried = registry.retry(store, name, account).await?;
    for Retried { was, failure } in &retried {
        let (name, account) = (&was.projection, &was.aggregate_id);
        match failure {
            None => say!("{name} is up to date again with {account}."),
            Some(failure) => say!("{name} still can't apply {account}: {failure}"),
        }
    }
    let left = retried.iter().filter(|one| one.failure.is_some()).count();
    match (retried.len(), left) {
        (0, _) => match account {
            Some(account) => anyhow::bail!(
                "{account} is not set aside{}: ids are whole",
                name.map_or_else(String::new, |name| format!(" in {name}"))
            ),
            None => say!("No account is set aside. A projection that had stopped goes on."),
        },
        (_, 0) => {}
        (tried, left) => anyhow::bail!("{left} of {tried} stay set aside: see above"),
    }
    Ok(())
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
