//! `relight user`.

use std::io::Read;

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use commands::Clock;
use secrecy::SecretString;

use crate::{
    config::Config,
    database,
    error::Error,
    sign_in::{Role, Users},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add somebody.
    Add {
        /// The e-mail address.
        #[arg(long)]
        email: String,
        /// What they are; `owner` is a customer.
        #[arg(long)]
        role: UserRole,
        /// Read the password from standard input: one line.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum UserRole {
    Owner,
    Support,
    Auditor,
    Admin,
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Owner => Self::Owner,
            UserRole::Support => Self::Support,
            UserRole::Auditor => Self::Auditor,
            UserRole::Admin => Self::Admin,
        }
    }
}

pub(super) async fn run(config: Config, command: Command) -> Result<()> {
    let Command::Add { email, role, password_stdin: _ } = command;
    let mut password = String::new();
    std::io::stdin().take(4096).read_to_string(&mut password)?;
    let password: SecretString = password.trim_end_matches(['\n', '\r']).to_owned().into();
    let database = database::existing(&config).await?;
    let added = Users::new(database.clone()).add(&email, &password, role.into(), Clock::default().now()).await;
    database.close().await;
    match added {
        Ok(id) => say!("{id}"),
        Err(Error::Rule(sentence)) => bail!("{sentence}"),
        Err(Error::Internal(cause)) => return Err(cause),
        Err(_) => bail!("The user can't be added."),
    }
    Ok(())
}
