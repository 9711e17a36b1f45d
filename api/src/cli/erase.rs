//! `relight erase`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use commands::{Clock, Context, erase};
use domain::{AccountId, Actor};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    database, service,
    sign_in::{self, Users},
    vault::{self, Missing},
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The account's id, as its page's address shows it.
    account: Option<AccountId>,
    /// The address of somebody who signs in, to erase that person instead: rights, sessions, invitations and mails go.
    #[arg(long, conflicts_with = "account")]
    member: Option<String>,
    /// Says that it is meant: there is no way back.
    #[arg(long)]
    yes: bool,
    /// Take what was erased out of the database's files as well. On PostgreSQL the tables concerned are written anew, each locked
    /// for as long as that takes; on SQLite that has happened already.
    #[arg(long)]
    scrub: bool,
}

/// Erases an account, and what is left of erasures in the files.
pub(super) async fn run(config: Config, options: Options) -> Result<()> {
    let is_about_somebody = options.account.is_some() || options.member.is_some();
    if !is_about_somebody && !options.scrub {
        bail!("name the account or the --member to erase, or say --scrub");
    }
    if is_about_somebody && !options.yes {
        bail!("this deletes everything about it for good: add --yes if that is meant");
    }
    let (database, clock) = (database::existing(&config).await?, Clock::default());
    if is_about_somebody {
        let vault = vault::open(&config, &database, Missing::Refuse, clock.now()).await?;
        let client = service::client().await??;
        let commands = service::commands(&config, &client, database.clone(), vault, clock, CancellationToken::new());
        let correlation = commands::new_id().to_string();
        let context = Context { actor: Actor::Operator, correlation, causation: None, request: None };
        if let Some(account) = options.account {
            let code = commands.erase_account(account, erase::AskedBy::Operator, &context).await;
            say!("Erased. Its code: {}", code.with_context(|| format!("{account} can't be erased"))?);
        }
        if let Some(email) = &options.member {
            let user = Users::new(database.clone()).by_email(email).await?;
            let user = user.with_context(|| format!("nobody signs in as {email}"))?;
            sign_in::erase::member(&commands, &user, &context).await?;
            say!("Erased.");
        }
    }
    if options.scrub {
        let tables: BTreeSet<_> = erase::tables().chain(sign_in::erase::tables()).collect();
        database.scrub(&tables.into_iter().collect::<Vec<_>>()).await?;
        say!("What was erased is out of the database's files. Its WAL archives and backups keep it until they end.");
    }
    database.close().await;
    Ok(())
}
