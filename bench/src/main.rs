//! Measures what Relight promises: `cargo run --release -p bench -- all`.
//!
//! Each figure stands beside its limit, measured in the same run; absolute times mean little on a shared machine.

mod accounts;
mod append;
mod beside;
mod feed;
mod figure;
mod follow;
mod load;
mod peers;
mod queue;
mod refresh;
mod renewals;
mod serve;
mod sign_ins;
mod storm;

use anyhow::Result;
use clap::{Parser, Subcommand};

use figure::Figure;

/// Measures what Relight promises.
#[derive(Parser)]
struct Cli {
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything but `storm` and `renewals`.
    All,
    /// From the callback to an active account and fresh widgets, beside 10,000 accounts whose pulls are due.
    Refresh {
        /// How many other accounts are due.
        #[arg(long, default_value_t = 10_000)]
        accounts: u32,
    },
    /// Commands a second and their latency, beside stock postgres-es and sqlite-es, and beside bare statements.
    Append {
        /// Only on SQLite.
        #[arg(long)]
        sqlite: bool,
    },
    /// Catching up with the journal, from commit to view, an account's history: each beside bare statements.
    Follow {
        /// How many events the journal has.
        #[arg(long, default_value_t = 1_000_000)]
        events: u32,
    },
    /// A claim while many rows wait and after many were done; no-op jobs a second.
    Queue,
    /// A warm feed beside a bare handler that returns the same bytes.
    Feed,
    /// The lists of a million accounts, as pages and by the API.
    Accounts {
        /// How many there are.
        #[arg(long, default_value_t = 1_000_000)]
        accounts: u32,
    },
    /// Very many tokens that run out at one moment; takes minutes, so it isn't part of `all`.
    Storm {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        accounts: u32,
        /// Only on SQLite.
        #[arg(long)]
        sqlite: bool,
    },
    /// Very many tokens that are renewed over the schedule, by calls; takes some ten minutes, so it isn't part of `all`.
    Renewals {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        accounts: u32,
        /// Only on SQLite.
        #[arg(long)]
        sqlite: bool,
    },
    /// Memory and start of the program on SQLite.
    Serve,
    /// Memory of the program at and after 1,000 sign-ins, 100 at once.
    SignIns,
    /// The bare handler that `feed` measures beside: returns what it reads from standard input.
    #[command(hide = true)]
    Bare,
    /// The pretend Meta of `renewals`.
    #[command(hide = true)]
    Sandbox,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let mut figures: Vec<Figure> = Vec::new();
    match cli.command {
        Command::Bare => return feed::bare().await,
        Command::Sandbox => return renewals::sandbox().await,
        _ => {}
    }
    // As it should run: with fsync.
    store::testing::use_durable_postgres();
    let peers = match cli.command {
        Command::All | Command::Append { sqlite: false } | Command::Queue => peers::Peers::install().await?,
        _ => None,
    };
    let peers = peers.as_ref();
    match cli.command {
        Command::Bare | Command::Sandbox => {}
        Command::All => {
            figures.extend(append::measure(peers).await?);
            figures.extend(follow::measure(1_000_000).await?);
            figures.extend(queue::measure(peers).await?);
            figures.extend(accounts::measure(1_000_000).await?);
            figures.extend(serve::measure().await?);
            figures.extend(sign_ins::measure().await?);
            figures.extend(feed::measure().await?);
            figures.extend(refresh::measure(10_000).await?);
        }
        Command::Refresh { accounts } => figures.extend(refresh::measure(accounts).await?),
        Command::Storm { accounts, sqlite } => figures.extend(storm::measure(accounts, sqlite).await?),
        Command::Accounts { accounts } => figures.extend(accounts::measure(accounts).await?),
        Command::Follow { events } => figures.extend(follow::measure(events).await?),
        Command::Queue => figures.extend(queue::measure(peers).await?),
        Command::Append { sqlite: true } => figures.extend(append::sqlite().await?),
        Command::Append { sqlite: false } => figures.extend(append::measure(peers).await?),
        Command::Feed => figures.extend(feed::measure().await?),
        Command::Renewals { accounts, sqlite } => figures.extend(renewals::measure(accounts, sqlite).await?),
        Command::Serve => figures.extend(serve::measure().await?),
        Command::SignIns => figures.extend(sign_ins::measure().await?),
    }
    figure::print(&figures, cli.json)
}
