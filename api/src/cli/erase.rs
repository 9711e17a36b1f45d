//! `relight erase`.

use anyhow::{Context as _, Result, bail};
use commands::{Clock, Context, erase};
use domain::{AccountId, Actor};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    database, service,
    vault::{self, Missing},
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The account's id, as its page's address shows it.
    account: Option<AccountId>,
    /// Says that it is meant: there is no way back.
    #[arg(long, requires = "account")]
    yes: bool,
    /// Take what was erased out of the database's files as well. On PostgreSQL the tables concerned are written anew, each locked
    /// for as long as that takes; on SQLite that has happened already.
    #[arg(long)]
    scrub: bool,
}

/// Erases an account, and what is left of erasures in the files.
pub(super) async fn run(config: Config, options: Options) -> Result<()> {
    if options.account.is_none() && !options.scrub {
        bail!("name the account to erase, or say --scrub");
    }
    if options.account.is_some() && !options.yes {
        bail!(
            "this deletes the account's token, profile, posts, logins and mails for good: add --yes if that is meant"
        );
    }
    let (database, clock) = (database::existing(&config).await?, Clock::default());
    if let Some(account) = options.account {
        let vault = vault::open(&config, &database, Missing::Refuse, clock.now()).await?;
        let client = service::client().await??;
        let commands = service::commands(&config, &client, database.clone(), vault, clock, CancellationToken::new());
        let correlation = commands::new_id().to_string();
        let context = Context { actor: Actor::Operator, correlation, causation: None, request: None };
        let code = commands.erase_account(account, erase::AskedBy::Operator, &context).await;
        say!("Erased. Its code: {}", code.with_context(|| format!("{account} can't be erased"))?);
    }
    if options.scrub {
        database.scrub(&erase::tables().collect::<Vec<_>>()).await?;
        say!("What was erased is out of the database's files. Its WAL archives and backups keep it until they end.");
    }
    database.close().await;
    Ok(())
}
