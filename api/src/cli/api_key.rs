//! `relight api-key`.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use commands::Clock;
use secrecy::ExposeSecret;

use crate::{
    config::Config,
    database,
    sign_in::{Role, api_key},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key. It is printed alone, once.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long)]
        role: KeyRole,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum KeyRole {
    Service,
    Support,
    Auditor,
    Admin,
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Self {
        match role {
            KeyRole::Service => Self::Service,
            KeyRole::Support => Self::Support,
            KeyRole::Auditor => Self::Auditor,
            KeyRole::Admin => Self::Admin,
        }
    }
}

pub(super) async fn run(config: Config, command: Command) -> Result<()> {
    let Command::Create { name, role } = command;
    if name.is_empty() || name.len() > 100 || name.contains('\0') {
        bail!("A key's name has 1 to 100 characters.");
    }
    let database = database::existing(&config).await?;
    let key = api_key::create(&database, &name, role.into(), Clock::default().now()).await;
    database.close().await;
    say!("{}", key?.expose_secret());
    Ok(())
}
