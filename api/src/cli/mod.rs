//! The command line.

#[macro_use]
mod say;
mod api_key;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod erase;
mod history;
mod keys;
mod projections;
mod reconnect_link;
mod serve;
mod user;

use std::{io::IsTerminal, path::PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{config::Config, database};

/// Keeps Instagram connections lit.
#[derive(Debug, Parser)]
#[command(name = "relight", version, about)]
pub struct Cli {
    /// The configuration file; `relight.toml` here, if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it: against a pretend Meta on this machine.
    #[cfg(feature = "demo")]
    Demo(demo::Options),
    /// Run the service.
    Serve,
    /// Make the database if there is none, bring its schema up to date, and nothing else.
    Migrate,
    /// People who can sign in.
    User {
        #[command(subcommand)]
        command: user::Command,
    },
    /// Machines' keys.
    ApiKey {
        #[command(subcommand)]
        command: api_key::Command,
    },
    /// An account's story: each event in words, and the state after it.
    History(history::Options),
    /// A link by which somebody with the login refreshes an account, without signing in here.
    ReconnectLink(reconnect_link::Options),
    /// Erase an account: everything about it is deleted, for good.
    Erase(erase::Options),
    /// The views that pages and API read, made from the events.
    Projections {
        #[command(subcommand)]
        command: projections::Command,
    },
    /// The keys of the vault.
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Check the settings, the database and Meta, and show what to enter there.
    Doctor,
}

/// Carries out a command.
///
/// # Errors
/// A sentence for whoever typed it.
pub async fn run(cli: Cli) -> Result<()> {
    log();
    #[cfg(feature = "demo")]
    if let Command::Demo(options) = cli.command {
        return demo::run(options).await;
    }
    let config = Config::load(cli.config).map_err(anyhow::Error::msg)?;
    match cli.command {
        #[cfg(feature = "demo")]
        Command::Demo(_) => Ok(()),
        Command::Serve => serve::run(config).await,
        Command::Migrate => {
            database::create(&config).await?.close().await;
            say!("The database's schema is up to date.");
            Ok(())
        }
        Command::User { command } => user::run(config, command).await,
        Command::ApiKey { command } => api_key::run(config, command).await,
        Command::History(options) => history::run(config, options).await,
        Command::ReconnectLink(options) => reconnect_link::run(config, options).await,
        Command::Erase(options) => erase::run(config, options).await,
        Command::Projections { command } => projections::run(config, command).await,
        Command::Keys { command } => keys::run(config, command).await,
        Command::Doctor => doctor::run(config).await,
    }
}

/// Logs go to standard error: `RELIGHT_LOG=debug` for more, and see `tracing-subscriber` for filters.
fn log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("RELIGHT_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,tower_sessions=off,tower_sessions_core=off"));
    // A second start in one process, as in tests, keeps the first one's.
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let _ = log.try_init();
}
