//! `relight doctor`.

use std::time::Duration;

use anyhow::{Result, bail};
use commands::{Clock, app_check, clock::is_near, vault::usage};
use domain::Connection;
use engine::{Database, files};

use crate::{
    config::Config,
    database,
    mail::Mailer,
    reach, service,
    vault::{self, Missing},
};

/// How long Meta has for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Looks at everything that must work, says what does, and fails if something doesn't.
pub(super) async fn run(config: Config) -> Result<()> {
    let mut ill = false;
    let mut say = |well: bool, text: String| {
        say!("{} {text}", if well { "ok   " } else { "WRONG" });
        ill |= !well;
    };
    match database::existing(&config).await {
        Ok(database) => {
            say(true, format!("{} answers: {}", database.dialect().name(), database::shown(&config)));
            match vault(&config, &database).await {
                Ok(sentence) => say(true, sentence),
                Err(error) => say(false, format!("{error:#}")),
            }
            database.close().await;
        }
        Err(error) => say(false, format!("{error:#}")),
    }
    for open in open_files(&config) {
        say!("WARN  {open}");
    }
    for reached in reach::meta(&config, TIMEOUT).await {
        let (login, url) = (reached.login, reached.url);
        match reached.answer {
            None => say!("      no app with {login} Login is configured: its button is hidden"),
            Some(Ok(told)) => {
                say(true, format!("Meta answers at {url}"));
                let here = Clock::default().now();
                if let Some(told) = told.filter(|told| !is_near(*told, here)) {
                    say(false, format!("this machine's clock says {here}, and Meta's {told}: set it (NTP)"));
                }
            }
            Some(Err(error)) => say(false, format!("Meta does not answer at {url}: {error}")),
        }
    }
    for (login, answer) in apps(&config).await? {
        match answer {
            Some(Ok(())) => say(true, format!("Meta knows the app with {login} Login by its id and secret")),
            Some(Err(error)) => say(false, format!("Meta refuses the app with {login} Login: {error}")),
            None => say!("      Meta could not say whether the id and secret of the app with {login} Login are right"),
        }
    }
    match config.smtp.url.as_ref().map(|url| Mailer::new(url, config.mail.from.as_deref())) {
        None => say!("      no smtp.url is configured: nobody gets mails"),
        Some(Err(sentence)) => say(false, sentence),
        Some(Ok(mailer)) => match mailer.answers().await {
            Ok(()) => say(true, "the mail server answers".to_owned()),
            Err(failure) => say(false, format!("smtp.url: {failure}")),
        },
    }
    if !config.is_https() {
        say!("WARN  http.public_url is not https: Meta accepts that on your own machine only");
    }
    say!("\nEnter these addresses at Meta, exactly so:");
    for connection in Connection::ALL {
        for (field, address) in config.callbacks(connection) {
            say!("  {:<10} {field:<24} {address}", connection.login());
        }
    }
    if ill {
        bail!("something is wrong: see above");
    }
    Ok(())
}

/// Whether Meta takes the ids and secrets of the apps that are configured.
async fn apps(config: &Config) -> Result<Vec<(&'static str, Option<Result<(), String>>)>> {
    let (consumer, business) = service::apps(config, &meta::client(TIMEOUT)?, &Clock::default());
    let mut answers = Vec::new();
    if let Some(consumer) = consumer {
        let redirect_uri = format!("{}/oauth/{}/callback", config.public_url(), Connection::Consumer);
        answers.push((Connection::Consumer.login(), app_check::consumer(&consumer, &redirect_uri).await));
    }
    if let Some(business) = business {
        answers.push((Connection::Business.login(), app_check::business(&business).await));
    }
    Ok(answers)
}

/// What there is to say about the vault's keys.
async fn vault(config: &Config, database: &Database) -> Result<String> {
    let file = database::key_file(config);
    if config.vault.keys.is_none()
        && !database.is_shared()
        && !file.exists()
        && usage::key_ids(database).await?.is_empty()
    {
        return Ok(format!("the first `relight serve` makes the vault's key: {}", file.display()));
    }
    let vault = vault::open(config, database, Missing::Refuse, Clock::default().now()).await?;
    let keys: Vec<_> = vault.key_ids().collect();
    Ok(format!("the vault's keys open what is sealed: {}", keys.join(", ")))
}

/// What others than their owner can read in the data folder. `serve` takes that from them at its start.
fn open_files(config: &Config) -> impl Iterator<Item = String> {
    let own = [config.data_dir.clone(), database::key_file(config)];
    let database = files::of_sqlite(&config.data_dir.join("relight.db"));
    own.into_iter().chain(database).filter_map(|path| {
        let mode = files::others_may(&path)?;
        Some(format!("{} is open to other users of this machine (mode {mode:04o})", path.display()))
    })
}
