//! `relight keys`: which keys of the vault are needed, and how an old one is taken out of use. See `docs/keys.md`.

use std::fmt::Write;

use anyhow::{Result, bail, ensure};
use clap::Subcommand;
use commands::{
    Clock, Vault, link,
    vault::{
        proof::Sentence,
        tables,
        usage::{self, Usage},
    },
};
use engine::Database;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    config::Config,
    database,
    vault::{self, Missing},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// How many rows each key has sealed, and whether all can be opened.
    Status {
        /// One JSON object.
        #[arg(long)]
        json: bool,
        /// Open every row, instead of some of each key and table.
        #[arg(long)]
        every_row: bool,
    },
    /// Seal all rows anew under the first key, while the service runs.
    ///
    /// Can be interrupted: the next time it goes on where it was.
    Reseal,
    /// Let the reconnect links die that a key signed which is about to be dropped.
    RevokeLinks {
        /// The key's id.
        key: String,
    },
}

pub(super) async fn run(config: Config, command: Command) -> Result<()> {
    let database = database::existing(&config).await?;
    let done = carry_out(&config, &database, command).await;
    database.close().await;
    done
}

async fn carry_out(config: &Config, database: &Database, command: Command) -> Result<()> {
    match command {
        Command::Status { json, every_row } => {
            let vault = vault::ring(config, database, Missing::Refuse).await?;
            status(&vault, database, json, every_row).await
        }
        Command::Reseal => reseal(&vault::ring(config, database, Missing::Refuse).await?, database).await,
        Command::RevokeLinks { key } => revoke_links(database, &key).await,
    }
}

async fn status(vault: &Vault, database: &Database, as_json: bool, every_row: bool) -> Result<()> {
    let usages = vault.usage(database, Clock::default().now(), every_row).await?;
    if as_json {
        say!("{}", json!({ "keys": usages.iter().map(to_json).collect::<Vec<_>>() }));
    } else {
        print(&usages);
    }
    let closed: Vec<_> = usages.iter().filter(|usage| !usage.opens).map(|usage| usage.key_id.as_str()).collect();
    if closed.is_empty() { Ok(()) } else { bail!("rows of {} can't be opened: see above", closed.join(" and ")) }
}

fn to_json(usage: &Usage) -> Value {
    let tables: serde_json::Map<_, _> =
        usage.counts.iter().map(|count| (count.table.to_owned(), count.rows.into())).collect();
    json!({
        "id": usage.key_id,
        "configured": usage.is_configured,
        "seals": usage.seals,
        "rows": usage.rows(),
        "tables": tables,
        "links_until": usage.until(),
        "opens": usage.opens,
        "unopened": usage.unopened,
    })
}

fn print(usages: &[Usage]) {
    let width = usages.iter().map(|usage| usage.key_id.len()).max().unwrap_or_default().max(4);
    let mut head = format!("{:<width$}  {:<14}", "key", "");
    for table in tables::ALL {
        let _ = write!(head, " {:>17}", table.name);
    }
    say!("{head}  state");
    for usage in usages {
        let role = match (usage.seals, usage.is_configured) {
            (true, _) => "seals",
            (false, true) => "opens",
            (false, false) => "NOT CONFIGURED",
        };
        let mut line = format!("{:<width$}  {role:<14}", usage.key_id);
        for count in &usage.counts {
            let _ = write!(line, " {:>17}", count.rows);
        }
        say!("{line}  {}", state(usage));
    }
}

fn state(usage: &Usage) -> String {
    match (usage.opens, usage.unopened, usage.rows(), usage.until()) {
        (false, Some(unopened), rows, _) => format!("CAN'T BE OPENED: {unopened} of {rows} rows"),
        (false, None, ..) => "CAN'T BE OPENED".to_owned(),
        (true, _, 0, _) if usage.seals => "in use".to_owned(),
        (true, _, 0, _) => "no rows: may be dropped".to_owned(),
        (true, _, _, Some(until)) => format!("in use; its links work until {}", until.format("%Y-%m-%d")),
        (true, ..) => "in use".to_owned(),
    }
}

async fn reseal(vault: &Vault, database: &Database) -> Result<()> {
    let first = vault.sealing_key();
    // Under a key that took over another one's id, rows of both would stand side by side.
    let faults = vault.prove(database, Clock::default().now()).await?;
    let others: Vec<_> = faults.into_iter().filter(|fault| fault.is_configured).collect();
    if !others.is_empty() {
        bail!("vault.keys: {}", Sentence(&others));
    }
    let bar = ProgressBar::new(vault.outdated(database).await?.unsigned_abs());
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {per_sec}, {eta} left")?);
    let done = vault.reseal(database, &|rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    say!("Rows sealed anew under {first}: {}.", done.rows);
    if done.coming > 0 {
        bail!(
            "rows are still being sealed under another key than {first} ({} now): give all nodes the same vault.keys, with \
             {first} at the front, and run this again",
            done.coming
        );
    }
    if done.unopened > 0 {
        bail!("no key of vault.keys opens some rows ({}): see `relight keys status --every-row`", done.unopened);
    }
    let links = usage::counts(database, Clock::default().now()).await?;
    for (key, counts) in links.iter().filter(|(key, _)| key.as_str() != first) {
        if let Some(until) = counts.iter().filter_map(|count| count.until).max() {
            let rows: i64 = counts.iter().map(|count| count.rows).sum();
            say!(
                "{key} is still needed until {} for reconnect links (of {rows} accounts), or see `relight keys revoke-links`.",
                until.format("%Y-%m-%d")
            );
        }
    }
    Ok(())
}

async fn revoke_links(database: &Database, key: &str) -> Result<()> {
    let accounts = link::revoke_key(database, key).await?;
    ensure!(accounts > 0, "no reconnect link that works was signed by a key {key}");
    say!("Reconnect links that {key} signed (of {accounts} accounts) stop working once it is dropped from vault.keys.");
    Ok(())
}
