//! `relight reconnect-link`.

use anyhow::{Context as _, Result};
use commands::{Clock, new_id};
use domain::{AccountId, LinkId};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    database, service,
    vault::{self, Missing},
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The account's id, as its page's address shows it.
    account: AccountId,
}

/// Prints the link alone.
pub(super) async fn run(config: Config, options: Options) -> Result<()> {
    let (database, clock) = (database::existing(&config).await?, Clock::default());
    let vault = vault::open(&config, &database, Missing::Refuse, clock.now()).await?;
    let client = service::client().await??;
    let commands = service::commands(&config, &client, database, vault, clock, CancellationToken::new());
    let link = commands.make_link(options.account, LinkId::new(new_id())).await;
    commands.store.database().close().await;
    say!("{}", link.with_context(|| format!("{} can't be refreshed", options.account))?);
    Ok(())
}
